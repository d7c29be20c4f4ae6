package engine

import (
	"strings"
	"sync"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"github.com/blox/blox/daemon-scheduler/environment"
)

// deploymentMetrics count the deployments that end while this replica leads, by its own act or a user's.
type deploymentMetrics struct {
	ended     *prometheus.CounterVec
	durations *prometheus.HistogramVec
	phases    *prometheus.HistogramVec
}

// deploymentSeconds are buckets from a deployment on one instance to one that bakes for a day.
var deploymentSeconds = []float64{1, 2.5, 5, 10, 30, 60, 120, 300, 600, 1800, 3600, 4 * 3600, 24 * 3600}

func newDeploymentMetrics(registerer prometheus.Registerer) deploymentMetrics {
	with := promauto.With(registerer)
	m := deploymentMetrics{
		ended: with.NewCounterVec(prometheus.CounterOpts{
			Name: "blox_ds_deployments_total",
			Help: "Deployments that ended while this replica led, by outcome: completed, failed or stopped.",
		}, []string{"outcome"}),
		durations: with.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "blox_ds_deployment_duration_seconds",
			Help:    "Time from a deployment's creation to its end, by outcome: completed, failed or stopped.",
			Buckets: deploymentSeconds,
		}, []string{"outcome"}),
		phases: with.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "blox_ds_deployment_phase_duration_seconds",
			Help:    "Time that deployments spent in a phase: pending, rollout (the canary included) or bake.",
			Buckets: deploymentSeconds,
		}, []string{"phase"}),
	}
	for _, state := range []environment.RolloutState{
		environment.RolloutCompleted, environment.RolloutFailed, environment.RolloutStopped,
	} {
		m.ended.WithLabelValues(outcomeLabel(state))
		m.durations.WithLabelValues(outcomeLabel(state))
	}
	for _, phase := range []environment.DeploymentPhase{
		environment.DeploymentPending, environment.DeploymentRollout, environment.DeploymentBake,
	} {
		m.phases.WithLabelValues(string(phase))
	}
	return m
}

func outcomeLabel(state environment.RolloutState) string { return strings.ToLower(string(state)) }

func (m deploymentMetrics) observe(ended []environment.Deployment) {
	for _, d := range ended {
		outcome := outcomeLabel(d.Rollout())
		m.ended.WithLabelValues(outcome).Inc()
		if d.StartTime.IsZero() || d.EndTime.IsZero() { // a record of v0.3
			continue
		}
		m.durations.WithLabelValues(outcome).Observe(max(0, d.EndTime.Sub(d.StartTime).Seconds()))
		for phase, duration := range d.PhaseDurations() {
			m.phases.WithLabelValues(string(phase)).Observe(duration.Seconds())
		}
	}
}

// deploymentTracker finds the deployments that have ended during one term.
type deploymentTracker struct {
	mu    sync.Mutex
	ended map[string]map[string]bool // by environment and deployment id; of known environments
}

// update returns the deployments that ended since the last call with the environment. Those that had ended before the
// first call belong to another term.
func (t *deploymentTracker) update(e environment.Environment) (ended []environment.Deployment) {
	t.mu.Lock()
	defer t.mu.Unlock()
	before, known := t.ended[e.Name]
	now := map[string]bool{}
	for id, d := range e.Deployments {
		if d.Status != environment.Completed {
			continue
		}
		now[id] = true
		if known && !before[id] {
			ended = append(ended, d)
		}
	}
	if t.ended == nil {
		t.ended = map[string]map[string]bool{}
	}
	t.ended[e.Name] = now
	return ended
}

// forget removes an environment that was deleted.
func (t *deploymentTracker) forget(name string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.ended, name)
}

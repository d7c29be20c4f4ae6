package engine

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"github.com/blox/blox/daemon-scheduler/planner"
	"github.com/blox/blox/internal/ecserrors"
)

// metrics are the leader's. Each label has a bounded set of values, but for those of environments.
type metrics struct {
	reconciles        *prometheus.CounterVec
	reconcileDuration prometheus.Histogram
	planDuration      prometheus.Histogram
	starts            *prometheus.CounterVec
	stops             *prometheus.CounterVec
	phantoms          prometheus.Counter
	attributes        *prometheus.CounterVec
	joinToStart       prometheus.Histogram
	joinToRunning     prometheus.Histogram
	environments      *environmentMetrics
	leader            prometheus.Gauge
	electionsWon      prometheus.Counter
	deployments       deploymentMetrics
}

// startOutcome is the outcome of a task start.
type startOutcome string

const (
	startSucceeded              = startOutcome(ecserrors.Succeeded)
	startRejected               = startOutcome(ecserrors.Rejected)
	startNotSent                = startOutcome(ecserrors.NotSent)
	startUnknown                = startOutcome(ecserrors.Unknown)
	startConfirmed startOutcome = "confirmed"
	startNotFound  startOutcome = "not_found"
)

// callOutcomes ends the help of metrics of calls with an outcome label.
const callOutcomes = "rejected (ECS gave a reason), " +
	"not_sent (throttled, credentials rejected, or not sent) or unknown (no response)."

func newMetrics(e *Engine, registerer prometheus.Registerer) metrics {
	with := promauto.With(registerer)
	with.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "blox_ds_workqueue_depth", Help: "Environments waiting to be reconciled.",
	}, func() float64 { return float64(e.queueDepth()) })
	seconds := []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 300}
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		return with.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
	}
	histogram := func(name, help string) prometheus.Histogram {
		return with.NewHistogram(prometheus.HistogramOpts{Name: name, Help: help, Buckets: seconds})
	}
	return metrics{
		reconciles: counter("blox_ds_environment_reconciliations_total",
			"Reconciliations of environments, by outcome: succeeded or failed.", "outcome"),
		reconcileDuration: histogram("blox_ds_environment_reconciliation_duration_seconds",
			"Duration of a reconciliation of one environment, its calls of ECS included."),
		planDuration: histogram("blox_ds_plan_duration_seconds",
			"Duration of building the state of one environment and planning for it."),
		starts: counter("blox_ds_task_starts_total", "Task starts, by outcome: succeeded, "+callOutcomes+
			" An unknown start counts again as confirmed (found in ECS) or not_found.", "outcome"),
		stops: counter("blox_ds_task_stops_total", "StopTask calls, by reason (superseded, duplicate, not_matching, "+
			"draining, scale_in, unhealthy, hand_back, deleted) and outcome. "+
			"The outcome is succeeded, "+callOutcomes, "reason", "outcome"),
		phantoms: with.NewCounter(prometheus.CounterOpts{
			Name: "blox_ds_phantom_tasks_total",
			Help: "Tasks of the cluster state that the leader ignores, because ECS does not know them.",
		}),
		attributes: counter("blox_ds_readiness_attributes_total", "Readiness attributes of instances, by change "+
			"(set, removed) and outcome. The outcome is succeeded, instance_gone, "+callOutcomes, "change", "outcome"),
		joinToStart: histogram("blox_ds_instance_to_start_seconds",
			"Time from when an instance can first run tasks until ECS responds to StartTask."),
		joinToRunning: histogram("blox_ds_instance_to_running_seconds",
			"Time from when an instance can first run tasks until its daemon is RUNNING."),
		environments: newEnvironmentMetrics(registerer),
		leader: with.NewGauge(prometheus.GaugeOpts{
			Name: "blox_ds_leader", Help: "1 while this replica leads, else 0.",
		}),
		electionsWon: with.NewCounter(prometheus.CounterOpts{
			Name: "blox_ds_leader_elections_won_total", Help: "Times that this replica has become the leader.",
		}),
		deployments: newDeploymentMetrics(registerer),
	}
}

func (m metrics) observeReconciliation(start time.Time, err error) {
	outcome := "succeeded"
	if err != nil {
		outcome = "failed"
	}
	m.reconciles.WithLabelValues(outcome).Inc()
	m.reconcileDuration.Observe(time.Since(start).Seconds())
}

func (m metrics) countStarts(outcome startOutcome, n int) {
	m.starts.WithLabelValues(string(outcome)).Add(float64(n))
}

func (m metrics) countStop(reason planner.StopReason, outcome ecserrors.Outcome) {
	m.stops.WithLabelValues(string(reason), string(outcome.Class)).Inc()
}

func (m metrics) countAttributes(change attributeChange, outcome ecserrors.Outcome, instanceGone bool, n int) {
	label := string(outcome.Class)
	if instanceGone {
		label = "instance_gone"
	}
	m.attributes.WithLabelValues(string(change), label).Add(float64(n))
}

// setLeading records the beginning or the end of a term. After its end, another replica reports the gauges.
func (m metrics) setLeading(leading bool) {
	if leading {
		m.leader.Set(1)
		m.electionsWon.Inc()
		return
	}
	m.leader.Set(0)
	m.environments.reset()
}

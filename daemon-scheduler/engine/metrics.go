package engine

import (
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"github.com/blox/blox/daemon-scheduler/environment"
	"github.com/blox/blox/daemon-scheduler/planner"
)

// metrics is what the engine tells of itself.
type metrics struct {
	looks              *prometheus.CounterVec
	lookTime, planTime prometheus.Histogram
	launches, stops    *prometheus.CounterVec
	readiness          *prometheus.CounterVec
	seenToStart        prometheus.Histogram
	seenToRunning      prometheus.Histogram
	missing, surplus   *prometheus.GaugeVec
	leading            prometheus.Gauge
	terms              prometheus.Counter
}

func newMetrics(e *Engine, registerer prometheus.Registerer) metrics {
	with := promauto.With(registerer)
	seconds := []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 300}
	with.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "blox_queue_depth", Help: "Environments that wait to be looked at.",
	}, func() float64 { return float64(e.depth()) })
	return metrics{
		looks: with.NewCounterVec(prometheus.CounterOpts{
			Name: "blox_reconciles_total", Help: "Looks at an environment, by outcome: ok or failed.",
		}, []string{"outcome"}),
		lookTime: with.NewHistogram(prometheus.HistogramOpts{
			Name: "blox_reconcile_duration_seconds", Help: "Time of a look at an environment, with what it had done.", Buckets: seconds,
		}),
		planTime: with.NewHistogram(prometheus.HistogramOpts{
			Name: "blox_plan_duration_seconds", Help: "Time to see an environment's present state and to plan.", Buckets: seconds,
		}),
		launches: with.NewCounterVec(prometheus.CounterOpts{
			Name: "blox_launches_total",
			Help: "Launches by outcome: started, failed (ECS says why), undone (throttled or not sent), unknown (no answer), " +
				"found (live, when ECS was asked afterwards) or lost (not live then).",
		}, []string{"outcome"}),
		stops: with.NewCounterVec(prometheus.CounterOpts{
			Name: "blox_stops_total", Help: "Calls of StopTask by reason and outcome: ok, refused or failed.",
		}, []string{"reason", "outcome"}),
		readiness: with.NewCounterVec(prometheus.CounterOpts{
			Name: "blox_readiness_attributes_total",
			Help: "Readiness attributes of instances, by change, set or removed, and outcome: ok, gone (ECS does not know the instance), " +
				"refused (ECS says why), undone (throttled or not sent) or unknown (no answer).",
		}, []string{"change", "outcome"}),
		seenToStart: with.NewHistogram(prometheus.HistogramOpts{
			Name: "blox_instance_to_start_seconds", Help: "Time from seeing an instance that can be given tasks to the answer of StartTask.", Buckets: seconds,
		}),
		seenToRunning: with.NewHistogram(prometheus.HistogramOpts{
			Name: "blox_instance_to_running_seconds", Help: "Time from seeing an instance that can be given tasks to its daemon RUNNING.", Buckets: seconds,
		}),
		missing: with.NewGaugeVec(prometheus.GaugeOpts{
			Name: "blox_daemons_missing", Help: "Instances that should have an environment's daemon RUNNING and do not; told by the leader.",
		}, []string{"environment"}),
		surplus: with.NewGaugeVec(prometheus.GaugeOpts{
			Name: "blox_daemons_duplicate", Help: "Live tasks beyond one of an environment's deployment on an instance; told by the leader.",
		}, []string{"environment"}),
		leading: with.NewGauge(prometheus.GaugeOpts{Name: "blox_leading", Help: "1 while this replica leads, else 0."}),
		terms:   with.NewCounter(prometheus.CounterOpts{Name: "blox_terms_total", Help: "Times that this replica began to lead."}),
	}
}

// looked notes how a look went.
func (m metrics) looked(began time.Time, err error) {
	outcome := "ok"
	if err != nil {
		outcome = "failed"
	}
	m.looks.WithLabelValues(outcome).Inc()
	m.lookTime.Observe(time.Since(began).Seconds())
}

// census notes what a plan from a current copy found.
func (m metrics) census(name string, plan planner.Plan, tasks []environment.Task) {
	running, live, surplus := map[string]bool{}, map[string]bool{}, 0
	for _, t := range tasks {
		if t.StartedBy != plan.Deployment || !t.Live() {
			continue
		}
		if live[t.Instance] {
			surplus++
		}
		live[t.Instance] = true
		if t.Running() {
			running[t.Instance] = true
		}
	}
	m.missing.WithLabelValues(name).Set(float64(max(0, plan.Progress.Desired-len(running))))
	m.surplus.WithLabelValues(name).Set(float64(surplus))
}

func (m metrics) forget(name string) {
	m.missing.DeleteLabelValues(name)
	m.surplus.DeleteLabelValues(name)
}

// led notes that this replica leads, or does no more: then others tell of the daemons.
func (m metrics) led(leads bool) {
	if leads {
		m.leading.Set(1)
		m.terms.Inc()
		return
	}
	m.leading.Set(0)
	m.missing.Reset()
	m.surplus.Reset()
}

// cause is a reason to stop a task, without what differs from environment to environment.
func cause(reason, name string) string {
	return strings.TrimSuffix(strings.TrimPrefix(reason, "blox: "), " of environment "+name)
}

package probe

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

// Metrics are what the runs have shown.
type Metrics struct {
	runs        *prometheus.CounterVec
	seconds     *prometheus.HistogramVec
	failures    *prometheus.CounterVec
	lastSuccess prometheus.Gauge
}

// NewMetrics registers the metrics; all series of the steps are there from the start, so that alerts can count on them.
func NewMetrics(registerer prometheus.Registerer, readOnly bool) *Metrics {
	with := promauto.With(registerer)
	m := &Metrics{
		runs: with.NewCounterVec(prometheus.CounterOpts{
			Name: "blox_canary_runs_total", Help: "Runs of the canary, by outcome: success or failure.",
		}, []string{"outcome"}),
		seconds: with.NewHistogramVec(prometheus.HistogramOpts{
			Name: "blox_canary_step_duration_seconds", Help: "Time of the steps that succeeded.",
			Buckets: []float64{.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600},
		}, []string{"step"}),
		failures: with.NewCounterVec(prometheus.CounterOpts{
			Name: "blox_canary_step_failures_total", Help: "Steps that failed.",
		}, []string{"step"}),
		lastSuccess: with.NewGauge(prometheus.GaugeOpts{
			Name: "blox_canary_last_success_timestamp_seconds", Help: "When the latest run without a failure ended; 0 before the first.",
		}),
	}
	for _, outcome := range []string{"success", "failure"} {
		m.runs.WithLabelValues(outcome)
	}
	for _, step := range Steps(readOnly) {
		m.seconds.WithLabelValues(step)
		m.failures.WithLabelValues(step)
	}
	return m
}

// Count takes a whole run in.
func (m *Metrics) Count(r Report) {
	outcome := "failure"
	if r.Healthy {
		outcome = "success"
		m.lastSuccess.Set(float64(r.StartedAt.UnixMilli())/1000 + r.Seconds)
	}
	m.runs.WithLabelValues(outcome).Inc()
	for _, s := range r.Steps {
		if s.Error != "" {
			m.failures.WithLabelValues(s.Name).Inc()
		} else {
			m.seconds.WithLabelValues(s.Name).Observe(s.Seconds)
		}
	}
}

package probe

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

// Metrics counts and times runs.
type Metrics struct {
	runs        *prometheus.CounterVec
	seconds     *prometheus.HistogramVec
	failures    *prometheus.CounterVec
	lastSuccess prometheus.Gauge
}

// NewMetrics registers the metrics. Every step has its series from the start, so that alerts can rely on them.
func NewMetrics(registerer prometheus.Registerer, readOnly bool) *Metrics {
	with := promauto.With(registerer)
	m := &Metrics{
		runs: with.NewCounterVec(prometheus.CounterOpts{
			Name: "blox_probe_runs_total", Help: "Runs of the probe by outcome: succeeded or failed.",
		}, []string{"outcome"}),
		seconds: with.NewHistogramVec(prometheus.HistogramOpts{
			Name: "blox_probe_step_duration_seconds", Help: "Duration of successful steps.",
			Buckets: []float64{.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600},
		}, []string{"step"}),
		failures: with.NewCounterVec(prometheus.CounterOpts{
			Name: "blox_probe_step_failures_total", Help: "Failed steps.",
		}, []string{"step"}),
		lastSuccess: with.NewGauge(prometheus.GaugeOpts{
			Name: "blox_probe_last_success_timestamp_seconds", Help: "Unix time of the last successful run; 0 before the first.",
		}),
	}
	for _, outcome := range []string{"succeeded", "failed"} {
		m.runs.WithLabelValues(outcome)
	}
	for _, step := range Steps(readOnly) {
		m.seconds.WithLabelValues(step)
		m.failures.WithLabelValues(step)
	}
	return m
}

// Observe adds a complete run to the metrics.
func (m *Metrics) Observe(r Report) {
	outcome := "failed"
	if r.Healthy {
		outcome = "succeeded"
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

package ingest

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"github.com/blox/blox/cluster-state-service/state"
)

// metrics is what consuming tells of itself.
type metrics struct {
	events *prometheus.CounterVec
	age    prometheus.Histogram
}

func newMetrics(registerer prometheus.Registerer) metrics {
	with := promauto.With(registerer)
	return metrics{
		events: with.NewCounterVec(prometheus.CounterOpts{
			Name: "blox_events_total",
			Help: "Events dealt with, by kind (task, instance, other) and outcome: recorded, skipped (a kind that is not stored) or undecodable.",
		}, []string{"kind", "outcome"}),
		age: with.NewHistogram(prometheus.HistogramOpts{
			Name: "blox_event_age_seconds", Help: "Time from an event's arrival in the queue or stream to its commit.",
			Buckets: []float64{.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 60, 600, 3600},
		}),
	}
}

func (m metrics) recorded(kind state.Kind, sent time.Time) {
	m.events.WithLabelValues(string(kind), "recorded").Inc()
	if !sent.IsZero() {
		m.age.Observe(time.Since(sent).Seconds())
	}
}

func (m metrics) skipped() { m.events.WithLabelValues("other", "skipped").Inc() }

func (m metrics) undecodable() { m.events.WithLabelValues("other", "undecodable").Inc() }

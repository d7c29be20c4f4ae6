package ingest

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"github.com/blox/blox/cluster-state-service/state"
)

// outcome is the outcome of an event.
type outcome string

const (
	outcomeRecorded outcome = "recorded"
	outcomeOutdated outcome = "outdated" // old, and ECS does not know the entity
	outcomeDeferred outcome = "deferred" // ECS did not answer
)

type metrics struct {
	events *prometheus.CounterVec
	age    prometheus.Histogram
}

func newMetrics(registerer prometheus.Registerer) metrics {
	factory := promauto.With(registerer)
	return metrics{
		events: factory.NewCounterVec(prometheus.CounterOpts{
			Name: "blox_css_ingest_events_total",
			Help: "Events by kind (task, instance, service, daemon or other) and outcome. Recorded: stored. " +
				"Outdated: old, and ECS does not know the entity. Deferred: ECS has not responded yet; counted at each attempt. " +
				"Skipped: of an unsupported kind, or not from ECS. Malformed: not decoded.",
		}, []string{"kind", "outcome"}),
		age: factory.NewHistogram(prometheus.HistogramOpts{
			Name:    "blox_css_ingest_event_age_seconds",
			Help:    "Time from an event's arrival in the queue or stream to its commit.",
			Buckets: []float64{.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 60, 600, 3600},
		}),
	}
}

func (m metrics) eventFinished(kind state.Kind, o outcome, sent time.Time) {
	m.events.WithLabelValues(string(kind), string(o)).Inc()
	if o == outcomeRecorded && !sent.IsZero() {
		m.age.Observe(time.Since(sent).Seconds())
	}
}

func (m metrics) eventSkipped(kind string) { m.events.WithLabelValues(kind, "skipped").Inc() }

func (m metrics) eventMalformed() { m.events.WithLabelValues("other", "malformed").Inc() }

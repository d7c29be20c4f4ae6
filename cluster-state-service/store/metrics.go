package store

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

// metrics is what the store tells of itself.
type metrics struct {
	seconds     prometheus.Histogram
	batch       prometheus.Histogram
	records     *prometheus.CounterVec
	corrections *prometheus.CounterVec
}

// What became of a record: written, not newer than what is stored, or late for an entity that reconcile had removed.
const (
	written = "written"
	older   = "older"
	removed = "removed"
)

func newMetrics(registerer prometheus.Registerer) metrics {
	with := promauto.With(registerer)
	return metrics{
		seconds: with.NewHistogram(prometheus.HistogramOpts{
			Name: "blox_store_transaction_duration_seconds", Help: "Time of a transaction of records in etcd.",
			Buckets: []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5},
		}),
		batch: with.NewHistogram(prometheus.HistogramOpts{
			Name: "blox_store_transaction_records", Help: "Records in a transaction.", Buckets: []float64{1, 2, 5, 10, 20, 50, 100},
		}),
		records: with.NewCounterVec(prometheus.CounterOpts{
			Name: "blox_store_records_total", Help: "Records from events, by outcome: written, older (than what is stored) or removed (by reconcile before).",
		}, []string{"outcome"}),
		corrections: with.NewCounterVec(prometheus.CounterOpts{
			Name: "blox_reconcile_corrections_total", Help: "Records that were put right by comparing with ECS, by change: put or remove.",
		}, []string{"change"}),
	}
}

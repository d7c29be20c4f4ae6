package store

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

type metrics struct {
	duration    prometheus.Histogram
	batch       prometheus.Histogram
	records     *prometheus.CounterVec
	corrections *prometheus.CounterVec
}

// The outcomes of a record.
const (
	outcomeWritten = "written"
	outcomeOlder   = "older"   // not newer than the stored version
	outcomeRemoved = "removed" // late: the reconciler had removed the entity
)

func newMetrics(registerer prometheus.Registerer) metrics {
	factory := promauto.With(registerer)
	return metrics{
		duration: factory.NewHistogram(prometheus.HistogramOpts{
			Name:    "blox_css_store_transaction_duration_seconds",
			Help:    "Duration of etcd transactions that write records.",
			Buckets: []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5},
		}),
		batch: factory.NewHistogram(prometheus.HistogramOpts{
			Name:    "blox_css_store_transaction_records",
			Help:    "Number of records in an etcd transaction.",
			Buckets: []float64{1, 2, 5, 10, 20, 50, 100},
		}),
		records: factory.NewCounterVec(prometheus.CounterOpts{
			Name: "blox_css_store_records_total",
			Help: "Records from events by outcome: written, older (than the stored version) " +
				"or removed (by the reconciler before the event arrived).",
		}, []string{"outcome"}),
		corrections: factory.NewCounterVec(prometheus.CounterOpts{
			Name: "blox_css_reconciliation_corrections_total",
			Help: "Total number of records that the reconciler corrected by change: put or remove.",
		}, []string{"change"}),
	}
}

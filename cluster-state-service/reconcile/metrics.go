package reconcile

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

// metrics describe the reconciliations of this replica. The store counts the corrections.
type metrics struct {
	duration        prometheus.Histogram
	clusterFailures prometheus.Counter
	drifts          prometheus.Counter
	requests        prometheus.Counter
	lastFinished    prometheus.Gauge
}

func newMetrics(registerer prometheus.Registerer) metrics {
	factory := promauto.With(registerer)
	return metrics{
		duration: factory.NewHistogram(prometheus.HistogramOpts{
			Name:    "blox_css_reconciliation_duration_seconds",
			Help:    "Duration of successful reconciliations of a cluster.",
			Buckets: prometheus.ExponentialBuckets(.05, 2, 13),
		}),
		clusterFailures: factory.NewCounter(prometheus.CounterOpts{
			Name: "blox_css_reconciliation_cluster_failures_total",
			Help: "Failed reconciliations of a cluster.",
		}),
		drifts: factory.NewCounter(prometheus.CounterOpts{
			Name: "blox_css_reconciliation_drifts_total",
			Help: "Clusters reconciled because ECS's counts differed from the records twice in a row.",
		}),
		requests: factory.NewCounter(prometheus.CounterOpts{
			Name: "blox_css_reconciliation_ecs_requests_total",
			Help: "Requests to ECS.",
		}),
		lastFinished: factory.NewGauge(prometheus.GaugeOpts{
			Name: "blox_css_reconciliation_last_timestamp_seconds",
			Help: "Unix time at which this replica last reconciled a cluster.",
		}),
	}
}

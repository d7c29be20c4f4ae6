package reconcile

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

// metrics describe the reconciliations of this replica. The store counts the corrections.
type metrics struct {
	duration        prometheus.Histogram
	clusterFailures prometheus.Counter
	requests        prometheus.Counter
	lastFinished    prometheus.Gauge
}

func newMetrics(registerer prometheus.Registerer) metrics {
	factory := promauto.With(registerer)
	return metrics{
		duration: factory.NewHistogram(prometheus.HistogramOpts{
			Name:    "blox_css_reconciliation_duration_seconds",
			Help:    "Duration of reconciliations, each of which covers all clusters.",
			Buckets: prometheus.ExponentialBuckets(.1, 2, 12),
		}),
		clusterFailures: factory.NewCounter(prometheus.CounterOpts{
			Name: "blox_css_reconciliation_cluster_failures_total",
			Help: "Total number of failures to reconcile a cluster.",
		}),
		requests: factory.NewCounter(prometheus.CounterOpts{
			Name: "blox_css_reconciliation_ecs_requests_total",
			Help: "Total number of requests to ECS.",
		}),
		lastFinished: factory.NewGauge(prometheus.GaugeOpts{
			Name: "blox_css_reconciliation_last_timestamp_seconds",
			Help: "Unix time at which this replica last completed a reconciliation.",
		}),
	}
}

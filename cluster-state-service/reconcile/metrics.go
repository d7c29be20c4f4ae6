package reconcile

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

// metrics is what comparing tells of itself. What had to be corrected, the store counts.
type metrics struct {
	seconds  prometheus.Histogram
	failures prometheus.Counter
	calls    prometheus.Counter
	finished prometheus.Gauge
}

func newMetrics(registerer prometheus.Registerer) metrics {
	with := promauto.With(registerer)
	return metrics{
		seconds: with.NewHistogram(prometheus.HistogramOpts{
			Name: "blox_reconcile_duration_seconds", Help: "Time of a comparison with ECS.", Buckets: prometheus.ExponentialBuckets(.1, 2, 12),
		}),
		failures: with.NewCounter(prometheus.CounterOpts{
			Name: "blox_reconcile_cluster_failures_total", Help: "Clusters that could not be compared with ECS.",
		}),
		calls: with.NewCounter(prometheus.CounterOpts{Name: "blox_reconcile_ecs_calls_total", Help: "Calls to ECS."}),
		finished: with.NewGauge(prometheus.GaugeOpts{
			Name: "blox_reconcile_finished_timestamp_seconds", Help: "When this replica last finished a comparison, in Unix time.",
		}),
	}
}

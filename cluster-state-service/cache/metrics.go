package cache

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

type metrics struct {
	loads       prometheus.Counter
	subscribers *prometheus.GaugeVec
	terminated  *prometheus.CounterVec
	waits       prometheus.Histogram
	reads       prometheus.Histogram
}

// latencies are histogram buckets in seconds.
var latencies = []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5}

func newMetrics(c *Cache, registerer prometheus.Registerer) metrics {
	registerSnapshotGauges(c, registerer)
	factory := promauto.With(registerer)
	return metrics{
		loads: factory.NewCounter(prometheus.CounterOpts{
			Name: "blox_css_cache_loads_total",
			Help: "Full loads of the cache from etcd.",
		}),
		subscribers: factory.NewGaugeVec(prometheus.GaugeOpts{
			Name: "blox_css_stream_subscribers",
			Help: "Open streams by kind.",
		}, []string{"kind"}),
		terminated: factory.NewCounterVec(prometheus.CounterOpts{
			Name: "blox_css_streams_terminated_total",
			Help: "Streams terminated by the service, by reason: slow, interrupted or replay.",
		}, []string{"reason"}),
		waits: factory.NewHistogram(prometheus.HistogramOpts{
			Name:    "blox_css_cache_wait_current_seconds",
			Help:    "Time that a linearizable read waits for the cache to catch up with etcd.",
			Buckets: latencies,
		}),
		reads: factory.NewHistogram(prometheus.HistogramOpts{
			Name:    "blox_css_cache_revision_read_seconds",
			Help:    "Duration of the read of etcd's revision that linearizable reads share.",
			Buckets: latencies,
		}),
	}
}

// registerSnapshotGauges registers gauges that are computed from the current snapshot; 0 before the first load.
func registerSnapshotGauges(c *Cache, registerer prometheus.Registerer) {
	factory := promauto.With(registerer)
	gauge := func(name, help string, value func(*Snapshot) int64) {
		factory.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, func() float64 {
			if s := c.Snapshot(); s != nil {
				return float64(value(s))
			}
			return 0
		})
	}
	gauge("blox_css_cache_revision", "etcd revision that the cache has reached.",
		func(s *Snapshot) int64 { return s.Revision })
	gauge("blox_css_cache_lag_revisions", "Revisions by which the cache lagged at the latest read of etcd's revision.",
		func(s *Snapshot) int64 { return max(0, c.revisionReads.latest.Load()-s.Revision) })
	gauge("blox_css_cache_tasks", "Tasks in the cache.",
		func(s *Snapshot) int64 { return int64(s.Tasks.Len()) })
	gauge("blox_css_cache_instances", "Container instances in the cache.",
		func(s *Snapshot) int64 { return int64(s.Instances.Len()) })
}

package cache

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"github.com/blox/blox/cluster-state-service/state"
)

type metrics struct {
	loads       prometheus.Counter
	differences prometheus.Counter
	subscribers *prometheus.GaugeVec
	terminated  *prometheus.CounterVec
	waiting     prometheus.Gauge
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
		differences: factory.NewCounter(prometheus.CounterOpts{
			Name: "blox_css_cache_audit_differences_total",
			Help: "Records that differed between the cache and etcd in an audit; the cache was then reloaded.",
		}),
		subscribers: factory.NewGaugeVec(prometheus.GaugeOpts{
			Name: "blox_css_stream_subscribers",
			Help: "Open streams by kind.",
		}, []string{"kind"}),
		terminated: factory.NewCounterVec(prometheus.CounterOpts{
			Name: "blox_css_streams_terminated_total",
			Help: "Streams terminated by the service, by reason: slow, interrupted or replay.",
		}, []string{"reason"}),
		waiting: factory.NewGauge(prometheus.GaugeOpts{
			Name: "blox_css_waiting_lists",
			Help: "Lists that wait for a change.",
		}),
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
	if registerer != nil {
		registerer.MustRegister(regionGauges{c})
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

var (
	notReconciledDescription = prometheus.NewDesc("blox_css_clusters_not_reconciled",
		"Known clusters that were never reconciled, by account and region; lists lack their records. An account and region "+
			"that was never reconciled counts as one more.",
		[]string{"account", "region"}, nil)
	oldestReconciliationDescription = prometheus.NewDesc("blox_css_oldest_reconciliation_timestamp_seconds",
		"Unix time at which the reconciled cluster with the least recent reconciliation was reconciled, by account and "+
			"region.",
		[]string{"account", "region"}, nil)
)

// regionGauges report how complete and how old the records of each account and region are.
type regionGauges struct{ cache *Cache }

// Describe implements prometheus.Collector.
func (regionGauges) Describe(descriptions chan<- *prometheus.Desc) {
	descriptions <- notReconciledDescription
	descriptions <- oldestReconciliationDescription
}

// Collect implements prometheus.Collector.
func (g regionGauges) Collect(metrics chan<- prometheus.Metric) {
	snapshot := g.cache.Snapshot()
	if snapshot == nil {
		return
	}
	gauge := func(description *prometheus.Desc, value float64, region state.Region) {
		metrics <- prometheus.MustNewConstMetric(description, prometheus.GaugeValue, value, region.Account, region.Name)
	}
	for region := range snapshot.Reconciliations.Regions() {
		gauge(notReconciledDescription, float64(snapshot.Reconciliations.missing(region)), region)
	}
	for region, at := range snapshot.Reconciliations.Oldest() {
		gauge(oldestReconciliationDescription, float64(at.UnixMilli())/1000, region)
	}
}

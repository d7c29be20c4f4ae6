package cache

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"github.com/blox/blox/cluster-state-service/state"
)

// metrics is what the view tells of itself.
type metrics struct {
	loads       prometheus.Counter
	subscribers *prometheus.GaugeVec
	cut         *prometheus.CounterVec
	waits       prometheus.Histogram
	reads       prometheus.Histogram
}

var latencies = []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5}

func newMetrics(v *Cache, registerer prometheus.Registerer) metrics {
	with := promauto.With(registerer)
	of := func(count func(*state.Snapshot) int64) func() float64 {
		return func() float64 {
			if s := v.Snapshot(); s != nil {
				return float64(count(s))
			}
			return 0
		}
	}
	with.NewGaugeFunc(prometheus.GaugeOpts{Name: "blox_view_revision", Help: "Revision of etcd that the view has reached."},
		of(func(s *state.Snapshot) int64 { return s.Revision }))
	with.NewGaugeFunc(prometheus.GaugeOpts{Name: "blox_view_lag", Help: "Revisions that etcd had at the latest read of its revision and the view has yet to reach."},
		of(func(s *state.Snapshot) int64 { return max(0, v.reading.told.Load()-s.Revision) }))
	with.NewGaugeFunc(prometheus.GaugeOpts{Name: "blox_view_tasks", Help: "Tasks in the view."},
		of(func(s *state.Snapshot) int64 { return int64(s.Tasks.Len()) }))
	with.NewGaugeFunc(prometheus.GaugeOpts{Name: "blox_view_instances", Help: "Container instances in the view."},
		of(func(s *state.Snapshot) int64 { return int64(s.Instances.Len()) }))
	return metrics{
		loads: with.NewCounter(prometheus.CounterOpts{Name: "blox_view_loads_total", Help: "Times that the view was loaded from etcd."}),
		subscribers: with.NewGaugeVec(prometheus.GaugeOpts{
			Name: "blox_stream_subscribers", Help: "Streams that are open, by kind.",
		}, []string{"kind"}),
		cut: with.NewCounterVec(prometheus.CounterOpts{
			Name: "blox_stream_cut_total", Help: "Streams that the service ended, by reason: slow, interrupted or replay.",
		}, []string{"reason"}),
		waits: with.NewHistogram(prometheus.HistogramOpts{
			Name: "blox_view_fresh_seconds", Help: "Time for the view to catch up with etcd for a linearizable read.",
			Buckets: latencies,
		}),
		reads: with.NewHistogram(prometheus.HistogramOpts{
			Name: "blox_view_revision_read_seconds", Help: "Time of the small read of etcd that linearizable reads share.",
			Buckets: latencies,
		}),
	}
}

package clusterstate

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

// Register registers the metrics of the cluster state.
func (c Cluster) Register(registerer prometheus.Registerer) {
	with := promauto.With(registerer)
	with.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "blox_ds_informer_age_seconds",
		Help: "Time since the informer last knew that its cluster state was complete; -1 before the first time.",
	}, func() float64 {
		if !c.Synced() {
			return -1
		}
		return c.Age(time.Now()).Seconds()
	})
	with.NewCounterFunc(prometheus.CounterOpts{
		Name: "blox_ds_informer_skipped_records_total", Help: "Malformed records that the informer skipped.",
	}, func() float64 { n, _ := c.Skipped(); return float64(n) })
	with.NewCounterFunc(prometheus.CounterOpts{
		Name: "blox_ds_informer_audit_differences_total",
		Help: "Audits in which the informer's copy differed from cluster-state-service; it then listed again.",
	}, func() float64 { n, _ := c.Differences(); return float64(n) })
}

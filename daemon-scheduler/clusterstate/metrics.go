package clusterstate

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

// Register has the copy tell of itself.
func (c Cluster) Register(registerer prometheus.Registerer) {
	with := promauto.With(registerer)
	with.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "blox_mirror_age_seconds", Help: "Time since the copy of the clusters is known to have been complete; -1 before that.",
	}, func() float64 {
		if !c.Synced() {
			return -1
		}
		return c.Age(time.Now()).Seconds()
	})
	with.NewCounterFunc(prometheus.CounterOpts{
		Name: "blox_mirror_left_out_total", Help: "Odd records that the copy of the clusters does without.",
	}, func() float64 { n, _ := c.Skipped(); return float64(n) })
}

package ingest

import (
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

// newestEvent is the time of the newest event that this replica has recorded.
type newestEvent struct{ milliseconds atomic.Int64 } // since 1970; 0 before the first

// recorded records an event that was committed. A clock that is ahead must not hide that no events follow.
func (e *newestEvent) recorded(changedAt time.Time) {
	at := min(changedAt.UnixMilli(), time.Now().UnixMilli())
	for {
		newest := e.milliseconds.Load()
		if at <= newest || e.milliseconds.CompareAndSwap(newest, at) {
			return
		}
	}
}

// at returns the time; zero before the first event.
func (e *newestEvent) at() time.Time { return timeOf(&e.milliseconds) }

func timeOf(milliseconds *atomic.Int64) time.Time {
	if ms := milliseconds.Load(); ms > 0 {
		return time.UnixMilli(ms)
	}
	return time.Time{}
}

func (e *newestEvent) register(registerer prometheus.Registerer) {
	promauto.With(registerer).NewGaugeFunc(prometheus.GaugeOpts{
		Name: "blox_css_ingest_newest_event_timestamp_seconds",
		Help: "Time of the newest event that this replica has recorded; 0 before the first.",
	}, func() float64 { return float64(e.milliseconds.Load()) / 1000 })
}

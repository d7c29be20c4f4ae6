package ingest

import (
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"github.com/blox/blox/cluster-state-service/state"
)

// progress records how far this replica has read the queue or stream.
type progress struct {
	receivedAt, newestEventAt atomic.Int64 // Unix milliseconds; 0 before the first
}

// received records a receive that succeeded, with or without events.
func (p *progress) received() { p.receivedAt.Store(time.Now().UnixMilli()) }

// recorded records an event that was committed. A clock that is ahead must not hide that no events follow.
func (p *progress) recorded(changedAt time.Time) {
	at := min(changedAt.UnixMilli(), time.Now().UnixMilli())
	for {
		newest := p.newestEventAt.Load()
		if at <= newest || p.newestEventAt.CompareAndSwap(newest, at) {
			return
		}
	}
}

// state returns the times; zero before the first.
func (p *progress) state() state.IngestProgress {
	return state.IngestProgress{ReceivedAt: timeOf(&p.receivedAt), NewestEventAt: timeOf(&p.newestEventAt)}
}

func timeOf(milliseconds *atomic.Int64) time.Time {
	if ms := milliseconds.Load(); ms > 0 {
		return time.UnixMilli(ms)
	}
	return time.Time{}
}

func (p *progress) register(registerer prometheus.Registerer) {
	factory := promauto.With(registerer)
	gauge := func(name, help string, milliseconds *atomic.Int64) {
		factory.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, func() float64 {
			return float64(milliseconds.Load()) / 1000
		})
	}
	gauge("blox_css_ingest_last_receive_timestamp_seconds",
		"Time of this replica's last successful receive, with or without events; 0 before the first.", &p.receivedAt)
	gauge("blox_css_ingest_newest_event_timestamp_seconds",
		"Time of the newest event that this replica has recorded; 0 before the first.", &p.newestEventAt)
}

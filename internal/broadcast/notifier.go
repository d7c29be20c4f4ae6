package broadcast

import (
	"sync"
	"time"
)

// Waking a reader, which then writes to its client, costs about wakeCost. The notifier leaves as much time between two
// rounds of wake-ups as a round costs, so that readers find several items at once and write them together.
const (
	wakeCost     = 10 * time.Microsecond
	longestDelay = 20 * time.Millisecond
)

// notifier coalesces wake-ups. It wakes readers at once if the last round is long enough ago, else at the end of the
// round: a thousand readers are woken at most 100 times a second, however many items are appended.
type notifier struct {
	lock    sync.Locker // the owner's, held by callers of notify and flush
	waiters func() int64

	pending []chan struct{} // closed in the next round
	last    time.Time       // of the last round
	timer   *time.Timer     // nil while no round is scheduled
}

// notify closes ready soon.
func (n *notifier) notify(ready chan struct{}) {
	n.pending = append(n.pending, ready)
	if n.timer != nil {
		return
	}
	delay := min(time.Duration(n.waiters())*wakeCost, longestDelay) - time.Since(n.last)
	if delay <= 0 {
		n.flush()
		return
	}
	n.timer = time.AfterFunc(delay, func() {
		n.lock.Lock()
		defer n.lock.Unlock()
		n.flush()
	})
}

// flush closes all pending channels now.
func (n *notifier) flush() {
	if n.timer != nil {
		n.timer.Stop()
		n.timer = nil
	}
	for _, ready := range n.pending {
		close(ready)
	}
	clear(n.pending)
	n.pending = n.pending[:0]
	n.last = time.Now()
}

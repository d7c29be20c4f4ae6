package cache

import (
	"sync"
	"time"
)

// Time between two wake-ups of all subscribers. Waking a subscriber that receives little costs about wakeCost, so the
// interval leaves time for other work. A subscriber that receives much misses wake-ups by itself.
const (
	wakeCost        = 3 * time.Microsecond
	maxWakeInterval = 20 * time.Millisecond
)

// notifier coalesces the wake-ups of subscribers that wait for the next segment. It wakes them at once if the last
// wake-up is long enough ago, else at the end of the interval. A thousand subscribers thus wake at most 300 times a
// second, however many changes there are.
type notifier struct {
	lock        sync.Locker
	subscribers func() int64

	pending []*segment  // segments whose waiters wake next
	last    time.Time   // of the last wake-up
	timer   *time.Timer // nil if no wake-up is scheduled
}

// notify schedules a wake-up of the subscribers that wait for s's successor. The caller holds the lock.
func (n *notifier) notify(s *segment) {
	n.pending = append(n.pending, s)
	if n.timer != nil {
		return
	}
	remaining := min(time.Duration(n.subscribers())*wakeCost, maxWakeInterval) - time.Since(n.last)
	if remaining <= 0 {
		n.flush()
		return
	}
	n.timer = time.AfterFunc(remaining, func() {
		n.lock.Lock()
		defer n.lock.Unlock()
		n.flush()
	})
}

// flush wakes the pending segments' subscribers now. The caller holds the lock.
func (n *notifier) flush() {
	if n.timer != nil {
		n.timer.Stop()
		n.timer = nil
	}
	for _, s := range n.pending {
		close(s.notified)
	}
	clear(n.pending)
	n.pending = n.pending[:0]
	n.last = time.Now()
}

package cache

import (
	"sync"
	"time"
)

// How long one round of calls is given before the next. To wake a subscriber that wants little costs about perCallee, so
// there is time for other work in between; who is sent much is late for the next round by itself.
const (
	perCallee    = 3 * time.Microsecond
	longestRound = 20 * time.Millisecond
)

// rounds call those who wait for pages of the log: at once when the last call is long enough ago, else at the end of its
// round, so that a thousand subscribers are called three hundred times a second at the most, however many changes there are.
type rounds struct {
	lock    sync.Locker
	callees func() int64

	waiting []*page // to be turned in the next round
	last    time.Time
	next    *time.Timer // nil when no round is due
}

// turn has p turned soon. The caller holds the lock.
func (r *rounds) turn(p *page) {
	r.waiting = append(r.waiting, p)
	if r.next != nil {
		return
	}
	left := min(time.Duration(r.callees())*perCallee, longestRound) - time.Since(r.last)
	if left <= 0 {
		r.call()
		return
	}
	r.next = time.AfterFunc(left, func() {
		r.lock.Lock()
		defer r.lock.Unlock()
		r.call()
	})
}

// call turns the pages now. The caller holds the lock.
func (r *rounds) call() {
	if r.next != nil {
		r.next.Stop()
		r.next = nil
	}
	for _, p := range r.waiting {
		close(p.turned)
	}
	clear(r.waiting)
	r.waiting, r.last = r.waiting[:0], time.Now()
}

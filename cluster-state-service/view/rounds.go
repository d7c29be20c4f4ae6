package view

import (
	"sync"
	"time"
)

// How long one round of calls is given before the next: to wake a subscriber, and to send what it waits for, costs about
// perCallee, so that half of two cores are left for other work however many there are, up to longestRound.
const (
	perCallee    = 10 * time.Microsecond
	longestRound = 20 * time.Millisecond
)

// rounds call those who wait for pages of the log: at once when the last call is long enough ago, else at the end of its
// round, so that a thousand subscribers of a thousand changes a second are called a hundred times, and not a thousand.
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

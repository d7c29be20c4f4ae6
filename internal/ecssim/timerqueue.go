package ecssim

import (
	"container/heap"
	"time"
)

// timerQueue is a heap of functions by due time. Functions with equal times run in the order of scheduling, so that
// delayed events arrive in order.
type timerQueue []entry

type entry struct {
	due time.Time
	seq int64
	do  func()
}

func (a timerQueue) Len() int { return len(a) }
func (a timerQueue) Less(i, j int) bool {
	if !a[i].due.Equal(a[j].due) {
		return a[i].due.Before(a[j].due)
	}
	return a[i].seq < a[j].seq
}
func (a timerQueue) Swap(i, j int) { a[i], a[j] = a[j], a[i] }
func (a *timerQueue) Push(x any)   { *a = append(*a, x.(entry)) }
func (a *timerQueue) Pop() any {
	last := len(*a) - 1
	e := (*a)[last]
	(*a)[last] = entry{} // release the closure
	*a = (*a)[:last]
	return e
}

// maxPerLock limits how many functions run while the lock is held once.
const maxPerLock = 100

// schedule runs do after d, with the lock held. If d is 0, do runs when the lock is released.
func (s *Sim) schedule(d time.Duration, do func()) {
	if s.closed {
		return
	}
	if d <= 0 {
		s.deferred = append(s.deferred, do)
		return
	}
	e := entry{time.Now().Add(d), s.nextSeq(), do}
	heap.Push(&s.timers, e)
	if s.timers[0].seq == e.seq {
		select {
		case s.wake <- struct{}{}:
		default:
		}
	}
}

func (s *Sim) deferUntilUnlock() {
	for len(s.deferred) > 0 {
		do := s.deferred[0]
		s.deferred = s.deferred[1:]
		do()
	}
	s.deferred = nil
}

// runTimers runs scheduled functions when they are due, until Close.
func (s *Sim) runTimers() {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		timer.Reset(s.runDue())
		select {
		case <-s.done:
			return
		case <-s.wake:
		case <-timer.C:
		}
	}
}

// runDue runs the due functions and returns the time until the next one is due.
func (s *Sim) runDue() time.Duration {
	s.lock()
	defer s.unlock()
	for range maxPerLock {
		if len(s.timers) == 0 {
			return time.Hour
		}
		if wait := time.Until(s.timers[0].due); wait > 0 {
			return wait
		}
		heap.Pop(&s.timers).(entry).do()
		s.deferUntilUnlock()
	}
	return 0
}

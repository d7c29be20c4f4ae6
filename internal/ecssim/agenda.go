package ecssim

import (
	"container/heap"
	"time"
)

// agenda holds what is to be done later, the earliest first. Entries of one time keep their order, so that
// delayed events arrive as they were sent.
type agenda []entry

type entry struct {
	due time.Time
	seq int64
	do  func()
}

func (a agenda) Len() int { return len(a) }
func (a agenda) Less(i, j int) bool {
	if !a[i].due.Equal(a[j].due) {
		return a[i].due.Before(a[j].due)
	}
	return a[i].seq < a[j].seq
}
func (a agenda) Swap(i, j int) { a[i], a[j] = a[j], a[i] }
func (a *agenda) Push(x any)   { *a = append(*a, x.(entry)) }
func (a *agenda) Pop() any {
	last := len(*a) - 1
	e := (*a)[last]
	(*a)[last] = entry{} // lets go of the closure
	*a = (*a)[:last]
	return e
}

// atOnce bounds how many entries are done under one hold of the lock.
const atOnce = 100

// later does do after d, under the lock. With d of 0 it is done as soon as the present call has its answer.
func (s *Sim) later(d time.Duration, do func()) {
	if s.closed {
		return
	}
	if d <= 0 {
		s.soon = append(s.soon, do)
		return
	}
	e := entry{time.Now().Add(d), s.seq(), do}
	heap.Push(&s.agenda, e)
	if s.agenda[0].seq == e.seq {
		select {
		case s.wake <- struct{}{}:
		default:
		}
	}
}

func (s *Sim) doSoon() {
	for len(s.soon) > 0 {
		do := s.soon[0]
		s.soon = s.soon[1:]
		do()
	}
	s.soon = nil
}

// keepTime does the agenda's entries when they are due, until Close.
func (s *Sim) keepTime() {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		timer.Reset(s.doDue())
		select {
		case <-s.done:
			return
		case <-s.wake:
		case <-timer.C:
		}
	}
}

// doDue does what is due and returns the time until it has to be called again.
func (s *Sim) doDue() time.Duration {
	s.lock()
	defer s.unlock()
	for range atOnce {
		if len(s.agenda) == 0 {
			return time.Hour
		}
		if wait := time.Until(s.agenda[0].due); wait > 0 {
			return wait
		}
		heap.Pop(&s.agenda).(entry).do()
		s.doSoon()
	}
	return 0
}

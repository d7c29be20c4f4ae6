package engine

import (
	"context"
	"math/rand/v2"
	"sync"
	"time"
)

const (
	retryFirst = 100 * time.Millisecond // doubled with every failure in a row
	retryMost  = 5 * time.Second        // changes wait as long, those of users too

	// After a look an environment rests for four times what it took to plan, so that a flood of changes costs a fifth of one
	// processor at most, and the first change is looked at at once.
	restTimes = 4
	restLeast = 10 * time.Millisecond
	restMost  = 500 * time.Millisecond
)

// queue holds the names of what has to be looked at. A waiting name is there once, however often it was added, and a
// name that is being looked at is handed out again only when that is done.
type queue struct {
	mu       sync.Mutex
	ready    []string
	waiting  map[string]bool // in ready, or to be put there when done
	working  map[string]bool
	timers   map[string]*time.Timer
	resting  map[string]*time.Timer // looked at a moment ago
	failures map[string]int
	held     map[string]bool // failed, and not looked at before their retry, whatever changes
	wake     chan struct{}   // closed, and replaced, when ready grows
	closed   bool
}

func newQueue() *queue {
	return &queue{
		waiting: map[string]bool{}, working: map[string]bool{}, timers: map[string]*time.Timer{},
		resting: map[string]*time.Timer{}, failures: map[string]int{}, held: map[string]bool{}, wake: make(chan struct{}),
	}
}

// Add has name looked at as soon as a worker is free.
func (q *queue) Add(name string) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed || q.waiting[name] || q.held[name] {
		return
	}
	q.waiting[name] = true
	q.push(name)
}

// push makes a waiting name ready, unless its time has yet to come.
func (q *queue) push(name string) {
	if q.closed || !q.waiting[name] || q.working[name] || q.resting[name] != nil {
		return
	}
	q.ready = append(q.ready, name)
	close(q.wake)
	q.wake = make(chan struct{})
}

// Next is the name that waits longest; false when ctx has ended. Done has to follow.
func (q *queue) Next(ctx context.Context) (string, bool) {
	for {
		q.mu.Lock()
		if ctx.Err() != nil {
			q.mu.Unlock()
			return "", false
		}
		if len(q.ready) > 0 {
			name := q.ready[0]
			q.ready = q.ready[1:]
			delete(q.waiting, name)
			q.working[name] = true
			q.mu.Unlock()
			return name, true
		}
		wake := q.wake
		q.mu.Unlock()
		select {
		case <-ctx.Done():
		case <-wake:
		}
	}
}

// Done ends the look at name, which took so long to plan. It is looked at again at until, unless that is zero, or, when the look failed, after a
// delay that grows with every failure in a row.
func (q *queue) Done(name string, until time.Time, failed bool, planned time.Duration) {
	q.mu.Lock()
	defer q.mu.Unlock()
	delete(q.working, name)
	if q.closed {
		return
	}
	if failed {
		wait := min(retryFirst<<min(q.failures[name], 20), retryMost)
		wait -= rand.N(wait / 2)
		q.failures[name]++
		q.held[name] = true
		delete(q.waiting, name)
		if retry := time.Now().Add(wait); until.IsZero() || retry.Before(until) {
			until = retry
		}
	} else {
		delete(q.failures, name)
	}
	if timer := q.timers[name]; timer != nil {
		timer.Stop()
		delete(q.timers, name)
	}
	if !until.IsZero() {
		q.timers[name] = time.AfterFunc(time.Until(until), func() { q.release(name); q.Add(name) })
	}
	q.resting[name] = time.AfterFunc(min(max(restTimes*planned, restLeast), restMost), func() { q.rested(name) })
}

func (q *queue) rested(name string) {
	q.mu.Lock()
	defer q.mu.Unlock()
	delete(q.resting, name)
	q.push(name)
}

// Len is how many names wait, the resting ones included.
func (q *queue) Len() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.waiting)
}

func (q *queue) release(name string) {
	q.mu.Lock()
	defer q.mu.Unlock()
	delete(q.held, name)
}

// Close forgets everything; what is added later too.
func (q *queue) Close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closed, q.ready = true, nil
	for _, timers := range []map[string]*time.Timer{q.timers, q.resting} {
		for _, timer := range timers {
			timer.Stop()
		}
	}
}

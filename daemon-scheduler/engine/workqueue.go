package engine

import (
	"context"
	"sync"
	"time"

	"github.com/blox/blox/internal/backoff"
)

const (
	firstRetry   = 100 * time.Millisecond // doubles with every failure in a row
	longestRetry = 5 * time.Second        // a user's change of an environment that keeps failing waits as long

	// After its planning, a name is not planned for again for four times the planning time. A flood of changes then
	// costs at most a fifth of one processor, and the first change is still reconciled at once. The time in which a plan
	// is executed counts, so a plan that calls ECS is followed by the next one without a pause.
	cooldownFactor   = 4
	shortestCooldown = 10 * time.Millisecond
	longestCooldown  = 500 * time.Millisecond
)

// workqueue holds the names of environments to reconcile. A name is queued once, however often it was added, and one
// worker at a time processes it.
type workqueue struct {
	mu         sync.Mutex
	queue      []string                    // names that a worker may take, oldest first
	dirty      map[string]bool             // names in queue, and names to enter it later
	processing map[string]time.Time        // names that a worker has taken, with the time
	requeues   map[string]*time.Timer      // names to add at a later time
	cooldowns  map[string]*time.Timer      // names reconciled a moment ago
	retries    map[string]*backoff.Backoff // names whose last reconciliation failed
	backingOff map[string]bool             // names of retries that Add ignores until their retry
	added      chan struct{}               // closed, and replaced, when queue grows
	closed     bool
}

func newWorkqueue() *workqueue {
	return &workqueue{
		dirty: map[string]bool{}, processing: map[string]time.Time{}, requeues: map[string]*time.Timer{},
		cooldowns: map[string]*time.Timer{}, retries: map[string]*backoff.Backoff{}, backingOff: map[string]bool{},
		added: make(chan struct{}),
	}
}

// Add queues name, unless it is queued already, backs off after a failure, or the queue is closed.
func (q *workqueue) Add(name string) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed || q.dirty[name] || q.backingOff[name] {
		return
	}
	q.dirty[name] = true
	q.enqueue(name)
}

// enqueue makes a dirty name available to workers, unless one processes it or it cools down.
func (q *workqueue) enqueue(name string) {
	if _, processing := q.processing[name]; q.closed || !q.dirty[name] || processing || q.cooldowns[name] != nil {
		return
	}
	q.queue = append(q.queue, name)
	close(q.added)
	q.added = make(chan struct{})
}

// Next takes the name that has waited longest, blocking until there is one; false when ctx has ended. The worker has to
// call Done with it.
func (q *workqueue) Next(ctx context.Context) (string, bool) {
	for {
		name, ok, added := q.take(ctx)
		if ok || ctx.Err() != nil {
			return name, ok
		}
		select {
		case <-ctx.Done():
		case <-added:
		}
	}
}

// take returns the oldest name, or else a channel that is closed when there may be one.
func (q *workqueue) take(ctx context.Context) (name string, ok bool, added <-chan struct{}) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if ctx.Err() != nil || len(q.queue) == 0 {
		return "", false, q.added
	}
	name, q.queue = q.queue[0], q.queue[1:]
	delete(q.dirty, name)
	q.processing[name] = time.Now()
	return name, true, nil
}

// Done ends the processing of name, which took planTime to plan. The queue adds name again at requeueAt, unless that is
// zero. If processing failed, the queue adds name again after a back-off, and ignores Add until then.
func (q *workqueue) Done(name string, requeueAt time.Time, failed bool, planTime time.Duration) {
	q.mu.Lock()
	defer q.mu.Unlock()
	executed := time.Since(q.processing[name]) - planTime
	delete(q.processing, name)
	if q.closed {
		return
	}
	if failed {
		if retry := q.backOff(name); requeueAt.IsZero() || retry.Before(requeueAt) {
			requeueAt = retry
		}
	} else {
		delete(q.retries, name)
	}
	if timer := q.requeues[name]; timer != nil {
		timer.Stop()
		delete(q.requeues, name)
	}
	if !requeueAt.IsZero() {
		q.requeues[name] = time.AfterFunc(time.Until(requeueAt), func() { q.endBackOff(name); q.Add(name) })
	}
	cooldown := min(max(cooldownFactor*planTime-executed, shortestCooldown), longestCooldown)
	q.cooldowns[name] = time.AfterFunc(cooldown, func() { q.endCooldown(name) })
}

// backOff counts a failure of name and returns the time of its retry.
func (q *workqueue) backOff(name string) time.Time {
	if q.retries[name] == nil {
		q.retries[name] = backoff.New(firstRetry, longestRetry)
	}
	q.backingOff[name] = true
	delete(q.dirty, name)
	return time.Now().Add(q.retries[name].Next())
}

func (q *workqueue) endBackOff(name string) {
	q.mu.Lock()
	defer q.mu.Unlock()
	delete(q.backingOff, name)
}

func (q *workqueue) endCooldown(name string) {
	q.mu.Lock()
	defer q.mu.Unlock()
	delete(q.cooldowns, name)
	q.enqueue(name)
}

// Len returns the number of waiting names, including names that cool down.
func (q *workqueue) Len() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.dirty)
}

// Close empties the queue and stops its timers. Add does nothing afterwards.
func (q *workqueue) Close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closed = true
	q.queue = nil
	for _, timers := range []map[string]*time.Timer{q.requeues, q.cooldowns} {
		for _, timer := range timers {
			timer.Stop()
		}
	}
}

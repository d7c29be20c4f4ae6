package engine

import (
	"context"
	"slices"
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
// worker at a time processes it. Names have groups, each with workers of its own.
type workqueue struct {
	groupOf  func(name string) string // nil: all names are of one group
	perGroup int                      // names of one group that are processed concurrently; 0: any number

	mu         sync.Mutex
	groups     map[string]string           // of names that are queued or processed
	busy       map[string]int              // names of each group that workers process
	queue      []string                    // names that a worker may take, oldest first
	dirty      map[string]bool             // names in queue, and names to enter it later
	processing map[string]processed        // names that a worker has taken
	requeues   map[string]*time.Timer      // names to add at a later time
	cooldowns  map[string]*time.Timer      // names reconciled a moment ago
	retries    map[string]*backoff.Backoff // names whose last reconciliation failed
	backingOff map[string]bool             // names of retries that Add ignores until their retry
	changed    chan struct{}               // closed, and replaced, when a worker may find another name
	closed     bool
}

// processed is a name that a worker has taken.
type processed struct {
	at    time.Time
	group string
}

func newWorkqueue() *workqueue {
	return &workqueue{
		groups: map[string]string{}, busy: map[string]int{},
		dirty: map[string]bool{}, processing: map[string]processed{}, requeues: map[string]*time.Timer{},
		cooldowns: map[string]*time.Timer{}, retries: map[string]*backoff.Backoff{}, backingOff: map[string]bool{},
		changed: make(chan struct{}),
	}
}

// Add queues name, unless it is queued already, backs off after a failure, or the queue is closed.
func (q *workqueue) Add(name string) {
	group := ""
	if q.groupOf != nil { // it may take other locks
		group = q.groupOf(name)
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed || q.dirty[name] || q.backingOff[name] {
		return
	}
	q.dirty[name] = true
	q.groups[name] = group
	q.enqueue(name)
}

// enqueue makes a dirty name available to workers, unless one processes it or it cools down.
func (q *workqueue) enqueue(name string) {
	if _, processing := q.processing[name]; q.closed || !q.dirty[name] || processing || q.cooldowns[name] != nil {
		return
	}
	q.queue = append(q.queue, name)
	q.wake()
}

// wake makes all waiting workers look for a name.
func (q *workqueue) wake() {
	close(q.changed)
	q.changed = make(chan struct{})
}

// Next takes the name that has waited longest and whose group has a worker left, blocking until there is one; false
// when ctx has ended. The worker has to call Done with it.
func (q *workqueue) Next(ctx context.Context) (string, bool) {
	for {
		name, ok, changed := q.take(ctx)
		if ok || ctx.Err() != nil {
			return name, ok
		}
		select {
		case <-ctx.Done():
		case <-changed:
		}
	}
}

// take returns the oldest name that a worker may process, or else a channel that is closed when there may be one.
func (q *workqueue) take(ctx context.Context) (name string, ok bool, changed <-chan struct{}) {
	q.mu.Lock()
	defer q.mu.Unlock()
	n := slices.IndexFunc(q.queue, func(name string) bool {
		return q.perGroup == 0 || q.busy[q.groups[name]] < q.perGroup
	})
	if ctx.Err() != nil || n < 0 {
		return "", false, q.changed
	}
	name = q.queue[n]
	if n == 0 {
		q.queue = q.queue[1:]
	} else {
		q.queue = slices.Delete(q.queue, n, n+1)
	}
	delete(q.dirty, name)
	group := q.groups[name]
	delete(q.groups, name)
	q.busy[group]++
	q.processing[name] = processed{time.Now(), group}
	return name, true, nil
}

// Done ends the processing of name, which took planTime to plan. The queue adds name again at requeueAt, unless that is
// zero. If processing failed, the queue adds name again after a back-off, and ignores Add until then.
func (q *workqueue) Done(name string, requeueAt time.Time, failed bool, planTime time.Duration) {
	q.mu.Lock()
	defer q.mu.Unlock()
	executed := time.Since(q.processing[name].at) - planTime
	q.release(q.processing[name].group)
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

// release returns a worker to its group.
func (q *workqueue) release(group string) {
	q.busy[group]--
	if q.busy[group] == 0 {
		delete(q.busy, group)
	}
	if q.perGroup > 0 {
		q.wake()
	}
}

// backOff counts a failure of name and returns the time of its retry.
func (q *workqueue) backOff(name string) time.Time {
	if q.retries[name] == nil {
		q.retries[name] = backoff.New(firstRetry, longestRetry)
	}
	q.backingOff[name] = true
	delete(q.dirty, name)
	delete(q.groups, name)
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

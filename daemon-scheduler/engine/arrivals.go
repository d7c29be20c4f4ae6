package engine

import (
	"sync"
	"time"
)

const (
	arrivalKept = 10 * time.Minute // an instance that gets no task for so long is not counted
	mostKept    = 20_000           // instances, and tasks
)

// arrivals remembers when instances became able to run tasks, to tell how long they waited for theirs.
type arrivals struct {
	mu      sync.Mutex
	joined  map[string]time.Time // by instance ARN
	started map[string]time.Time // by task ARN: when its instance had joined
}

func newArrivals() *arrivals {
	return &arrivals{joined: map[string]time.Time{}, started: map[string]time.Time{}}
}

// join notes an instance.
func (a *arrivals) join(instance string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	prune(a.joined)
	a.joined[instance] = time.Now()
}

// start notes the first task of an environment on an instance, and tells how long after the instance had joined that is.
func (a *arrivals) start(instance, task string) (waited time.Duration, known bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	joined, ok := a.joined[instance]
	if waited = time.Since(joined); !ok || waited > arrivalKept {
		return 0, false
	}
	prune(a.started)
	a.started[task] = joined
	return waited, true
}

// run tells how long after its instance had joined a task is RUNNING, once.
func (a *arrivals) run(task string) (waited time.Duration, known bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	joined, ok := a.started[task]
	delete(a.started, task)
	return time.Since(joined), ok
}

// prune makes room when there is little.
func prune(times map[string]time.Time) {
	if len(times) < mostKept {
		return
	}
	for arn, at := range times {
		if time.Since(at) > arrivalKept {
			delete(times, arn)
		}
	}
	if len(times) >= mostKept {
		clear(times)
	}
}

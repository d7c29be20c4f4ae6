package engine

import (
	"sync"
	"time"
)

const (
	joinRetention = 10 * time.Minute // an instance that waits longer for its first task is not measured
	maxTracked    = 20_000           // instances, and tasks
)

// joinTracker measures how long new instances wait for their first task.
type joinTracker struct {
	mu           sync.Mutex
	joinedAt     map[string]time.Time // by instance ARN
	joinedBefore map[string]time.Time // by ARN of a task that was started: when its instance joined
}

func newJoinTracker() *joinTracker {
	return &joinTracker{joinedAt: map[string]time.Time{}, joinedBefore: map[string]time.Time{}}
}

// instanceJoined records that an instance can run tasks from now on.
func (j *joinTracker) instanceJoined(instance string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	prune(j.joinedAt)
	j.joinedAt[instance] = time.Now()
}

// taskStarted records the first task of an environment on an instance. It returns how long ago the instance joined,
// and false if that is unknown or long ago.
func (j *joinTracker) taskStarted(instance, task string) (wait time.Duration, known bool) {
	j.mu.Lock()
	defer j.mu.Unlock()
	joined, ok := j.joinedAt[instance]
	if wait = time.Since(joined); !ok || wait > joinRetention {
		return 0, false
	}
	prune(j.joinedBefore)
	j.joinedBefore[task] = joined
	return wait, true
}

// taskRunning returns, once for each task, how long ago its instance joined.
func (j *joinTracker) taskRunning(task string) (wait time.Duration, known bool) {
	j.mu.Lock()
	defer j.mu.Unlock()
	joined, ok := j.joinedBefore[task]
	delete(j.joinedBefore, task)
	return time.Since(joined), ok
}

// prune keeps times below maxTracked entries.
func prune(times map[string]time.Time) {
	if len(times) < maxTracked {
		return
	}
	for arn, at := range times {
		if time.Since(at) > joinRetention {
			delete(times, arn)
		}
	}
	if len(times) >= maxTracked {
		clear(times)
	}
}

package clusterstate

import (
	"maps"
	"sync"
	"time"

	"github.com/blox/blox/daemon-scheduler/environment"
)

// AvailabilityTracker remembers since when the tasks of environments have been available, by the clock of this process.
// The zero AvailabilityTracker has seen no task.
type AvailabilityTracker struct {
	mu            sync.Mutex
	byEnvironment map[string]map[string]environment.Availability // name, then task ARN; the inner maps never change
}

// Observe records which of an environment's tasks are available now, and returns since when, by ARN. It records none of
// an environment to whose plan that does not matter. The caller must not change the map.
func (t *AvailabilityTracker) Observe(
	e environment.Environment, tasks []environment.Task, now time.Time,
) map[string]environment.Availability {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !e.MeasuresAvailability() {
		delete(t.byEnvironment, e.Name)
		return nil
	}
	before := t.byEnvironment[e.Name]
	if unchanged(before, tasks) {
		return before
	}
	next := make(map[string]environment.Availability, len(tasks))
	for _, task := range tasks {
		if task.Running() {
			next[task.ARN] = observed(before, task, now)
		}
	}
	if t.byEnvironment == nil {
		t.byEnvironment = map[string]map[string]environment.Availability{}
	}
	t.byEnvironment[e.Name] = next
	return next
}

// unchanged reports whether the RUNNING tasks are those of before, and as available.
func unchanged(before map[string]environment.Availability, tasks []environment.Task) bool {
	running := 0
	for n := range tasks {
		if !tasks[n].Running() {
			continue
		}
		last, known := before[tasks[n].ARN]
		if !known || last.Available != tasks[n].Available() {
			return false
		}
		running++
	}
	return running == len(before)
}

// observed returns the availability of a RUNNING task.
func observed(
	before map[string]environment.Availability, task environment.Task, now time.Time,
) environment.Availability {
	last, known := before[task.ARN]
	if known && last.Available == task.Available() {
		return last
	}
	next := environment.Availability{Available: task.Available(), Since: now}
	if last.Available {
		next.AvailableFor = now.Sub(last.Since)
	}
	return next
}

// Extend returns observations of the environment by another tracker, each beginning when this one saw its task the same
// if that was earlier. It changes neither.
func (t *AvailabilityTracker) Extend(
	name string, observed map[string]environment.Availability,
) map[string]environment.Availability {
	if t == nil {
		return observed
	}
	t.mu.Lock()
	known := t.byEnvironment[name] // the map never changes
	t.mu.Unlock()
	var extended map[string]environment.Availability // nil while nothing differs
	for arn, later := range observed {
		earlier, found := known[arn]
		if !found || earlier.Available != later.Available || !earlier.Since.Before(later.Since) {
			continue
		}
		if extended == nil {
			extended = maps.Clone(observed)
		}
		extended[arn] = earlier
	}
	if extended == nil {
		return observed
	}
	return extended
}

// Forget removes an environment that was deleted.
func (t *AvailabilityTracker) Forget(name string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.byEnvironment, name)
}

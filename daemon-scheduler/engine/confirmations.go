package engine

import (
	"maps"
	"sync"
	"time"

	"github.com/blox/blox/daemon-scheduler/environment"
)

const (
	// keptLife is how long a task counts as live, for stops of others on its instance, after ECS described it so.
	keptLife = time.Minute
	// countedLife is how long it does so for the rollout budget. A phantom appears hours after its task has stopped, and
	// cluster-state-service notices within minutes that the event of a stop was lost.
	countedLife = 5 * time.Minute
)

// confirmations hold when ECS last described tasks as live. They are safe for concurrent use.
type confirmations struct {
	mu       sync.Mutex
	at       map[string]time.Time // by task ARN
	prunedAt time.Time
}

// add records those of the described tasks that are live and not stopping. It forgets expired entries now and then.
func (c *confirmations) add(described []environment.Task, at time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.at == nil {
		c.at = map[string]time.Time{}
	}
	if at.Sub(c.prunedAt) >= keptLife {
		c.prunedAt = at
		maps.DeleteFunc(c.at, func(_ string, confirmed time.Time) bool { return at.Sub(confirmed) >= countedLife })
	}
	for _, t := range described {
		if t.Live() && !t.Stopping() {
			c.at[t.ARN] = at
		}
	}
}

// allKept reports whether there are tasks and ECS has described all of them as live within keptLife.
func (c *confirmations) allKept(tasks []string, now time.Time) bool {
	return len(tasks) > 0 && len(c.olderThan(keptLife, tasks, now)) == 0
}

// olderThan returns the tasks that ECS has not described as live for that long.
func (c *confirmations) olderThan(age time.Duration, tasks []string, now time.Time) (older []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, arn := range tasks {
		if now.Sub(c.at[arn]) >= age {
			older = append(older, arn)
		}
	}
	return older
}

package engine

import (
	"time"

	"github.com/blox/blox/daemon-scheduler/environment"
)

// bake is a bake time that this replica measures by its own clock.
type bake struct {
	deployment         string
	startedAt, restart int64         // as recorded, in Unix nanoseconds; they identify it
	before             time.Duration // that had passed when this replica first saw it
	since              time.Time     // when that was
}

// bakedFor returns for how long leaders have seen the environment's deployment in progress bake: what the former ones
// have recorded, and what this one has seen since.
func (l *leaderState) bakedFor(env environment.Environment, now time.Time) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	d, rollsOut := env.InProgress()
	if !rollsOut || d.BakeStartedAt.IsZero() {
		delete(l.bakes, env.Name)
		return 0
	}
	recorded := time.Duration(d.BakedSeconds) * time.Second
	seen := l.bakes[env.Name]
	same := seen.deployment == d.ID &&
		seen.startedAt == d.BakeStartedAt.UnixNano() && seen.restart == d.BakeRestart.UnixNano()
	if !same {
		seen = bake{d.ID, d.BakeStartedAt.UnixNano(), d.BakeRestart.UnixNano(), recorded, now}
		l.bakes[env.Name] = seen
	}
	return max(recorded, seen.before+now.Sub(seen.since))
}

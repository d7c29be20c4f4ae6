package engine

import (
	"time"

	"github.com/blox/blox/daemon-scheduler/environment"
	"github.com/blox/blox/daemon-scheduler/planner"
)

// stepTimer returns the timer of the present step of an environment's canary.
func (l *leaderState) stepTimer(e environment.Environment) planner.StepTimer {
	current, _ := e.Current()
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.stepTimers[e.Name].For(current)
}

// recordStep records what a plan that was made at now has found of the step.
func (l *leaderState) recordStep(e environment.Environment, p environment.StepProgress, now time.Time) {
	timer := l.stepTimer(e).After(p, now)
	l.mu.Lock()
	defer l.mu.Unlock()
	if p.Number == 0 {
		delete(l.stepTimers, e.Name)
		return
	}
	l.stepTimers[e.Name] = timer
}

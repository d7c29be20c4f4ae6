package planner

import (
	"slices"

	"github.com/blox/blox/daemon-scheduler/environment"
)

// stopToReplace stops superseded tasks that run, to make room for one of the target. Such a stop is the first half of
// the start: its Launch has to be recorded before StopTask is called. A leader that cannot write stops nothing then,
// and its successor knows that the instance lacks its task because of the rollout.
func stopToReplace(f *facts, i *instanceState) instancePlan {
	p := f.stop(i.superseded, ReasonSuperseded)
	for n := range p.actions {
		p.actions[n].Launch = replacement(f, i, p.actions[n].Task)
		p.actions[n].Unhealthy = i.unhealthy
	}
	return p
}

// replacement returns the launch that replaces a task of the instance.
func replacement(f *facts, i *instanceState, task string) environment.Launch {
	next := nextLaunch(f, i)
	next.State = environment.LaunchReplacing
	next.Task = task
	last := i.launch
	switch {
	case !i.hasLaunch || !i.isTarget(last.Deployment):
		return withTries(next, tries{attempts: 1})
	case last.State == environment.LaunchStarted:
		return withTries(next, stopOf(last, f.task(last.Task)).next)
	case last.State == environment.LaunchFailed && last.Reason != "":
		return withTries(next, triesOf(last).another())
	}
	return withTries(next, triesOf(last))
}

// isReplacing reports whether the launch record announces the stop of a superseded task that still runs, to make room
// for the target's. An earlier leader may have requested that stop, or may have ended before.
func (i *instanceState) isReplacing() bool {
	return i.launch.State == environment.LaunchReplacing && i.isTarget(i.launch.Deployment) &&
		slices.ContainsFunc(i.superseded, func(t environment.Task) bool { return t.ARN == i.launch.Task })
}

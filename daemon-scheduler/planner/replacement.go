package planner

import "github.com/blox/blox/daemon-scheduler/environment"

// stopToReplace stops superseded tasks that run, to make room for one of the target. Such a stop is the first half of
// the start: its Launch has to be recorded before StopTask is called. A leader that cannot write stops nothing then,
// and its successor knows that the instance lacks its task because of the rollout.
func stopToReplace(f *facts, i *instanceState) instancePlan {
	p := f.stop(i.superseded, ReasonSuperseded)
	for n := range p.actions {
		p.actions[n].Launch = replacement(f, i, p.actions[n].Task)
	}
	return p
}

// replacement returns the launch that replaces a task of the instance.
func replacement(f *facts, i *instanceState, task string) environment.Launch {
	next := nextLaunch(i)
	next.State = environment.LaunchReplacing
	next.Task = task
	next.Attempts = 1
	last := i.launch
	if !i.hasLaunch || !i.isTarget(last.Deployment) {
		return next
	}
	next.Attempts = last.Attempts
	next.Failures = last.Failures
	switch {
	case last.State == environment.LaunchStarted:
		stop := stopOf(last, f.task(last.Task))
		next.Attempts = stop.attempts
		next.Failures = stop.failures
	case last.State == environment.LaunchFailed && last.Reason != "":
		next.Attempts++
	}
	return next
}

package planner

import "github.com/blox/blox/daemon-scheduler/environment"

// stopToReplace stops superseded tasks that run, to make room for one of the target. Such a stop is the first half of
// the start: its Launch has to be recorded before StopTask is called. A leader that cannot write stops nothing then,
// and its successor knows that the instance lacks its task because of the rollout.
func (b *planBuilder) stopToReplace(i *instanceState, superseded []environment.Task) {
	first := len(b.plan.Actions)
	b.stopOthers(i.ARN, superseded)
	for n := range b.plan.Actions[first:] {
		stop := &b.plan.Actions[first+n]
		stop.Launch = b.replacement(i, stop.Task)
	}
}

// replacement returns the launch that replaces a task of the instance.
func (b *planBuilder) replacement(i *instanceState, task string) environment.Launch {
	next := environment.Launch{
		Instance: i.ARN, Deployment: i.target.ID, TaskDefinition: i.target.TaskDefinition,
		State: environment.LaunchReplacing, Task: task, Attempts: 1, StoredVersion: i.launch.StoredVersion,
	}
	if last := i.launch; i.hasLaunch && last.Deployment == i.target.ID { // the instance stays failed until its task runs
		next.Reason = last.Reason
		next.Detail = last.Detail
		next.Attempts = last.Attempts
		switch {
		case last.State == environment.LaunchStarted:
			_, next.Attempts = consecutiveFailures(last, b.tasksByARN[last.Task])
		case last.State == environment.LaunchFailed && last.Reason != "":
			next.Attempts++
		}
	}
	return next
}

package planner

import (
	"slices"
	"time"

	"github.com/blox/blox/daemon-scheduler/environment"
)

// settleInterval is the time from a task's start until its instance settles, and between two batches of records.
const settleInterval = 15 * time.Second

// isSettled reports whether a leader has seen the instance as finished: connected, with its present task available
// for the current deployment. A lost agent does not change that at once.
func (f *facts) isSettled(i *instanceState) bool {
	settled := environment.Settled{Deployment: f.current().ID, Task: i.kept.ARN}
	return f.deployed() && i.hasKept && i.kept.Available() && i.launch.Settled == settled
}

// recordFinished records which instances are finished, all of them at once. In a big fleet some agent is always away
// for a few seconds, so the instances are never finished all at one time. Nothing is recorded for a deployment that
// completes, or that has been completed. Plans has the plan for each instance.
func recordFinished(
	f *facts, instances []*instanceState, plans []instancePlan, p environment.Progress,
) (d instancePlan) {
	rollsOut := f.deployed() && f.current().Status != environment.Completed && p.Status != environment.Completed
	if !f.Fresh || !rollsOut || f.holdReason(f.targets.current) != "" {
		return instancePlan{}
	}
	for n, i := range instances {
		if len(plans[n].actions) > 0 || i.settled || !f.isFinished(i) {
			continue
		}
		launch, recordable := settledLaunch(f, i)
		if !recordable {
			continue
		}
		d.actions = append(d.actions, record(launch, recordSettled).actions...)
		d.requeueAt = Earliest(d.requeueAt, i.kept.StartedAt.Add(settleInterval))
	}
	if f.Now.Before(d.requeueAt) && d.requeueAt.Sub(f.Now) <= settleInterval { // else the clock of ECS is ahead
		return requeue(d.requeueAt)
	}
	return instancePlan{actions: d.actions}
}

// isFinished reports whether the instance shows the task of the current deployment available, for the min ready time,
// and no other task that stays.
func (f *facts) isFinished(i *instanceState) bool {
	return f.hasProven(i) && i.schedulable && i.isTarget(f.current().ID) && !slices.ContainsFunc(i.superseded, notStopping)
}

// hasProven reports whether the instance's task is available, and has been for the min ready time.
func (f *facts) hasProven(i *instanceState) bool {
	return i.hasKept && f.staysAvailable(i.kept) && !i.kept.StartedAt.IsZero() && i.minReadyAt.IsZero()
}

// settledLaunch returns the launch record of a finished instance. It reports false if the record is not of the task
// that is kept, and that may change.
func settledLaunch(f *facts, i *instanceState) (launch environment.Launch, recordable bool) {
	mayAppear := f.isInvisible(i.launch) && f.isKnown(i.launch.Deployment)
	switch {
	case i.launch.State == environment.LaunchStarted && i.launch.Task == i.kept.ARN:
		launch = i.launch
	case mayAppear, i.hasLaunch && i.launch.Deployment == i.kept.StartedBy, len(i.superseded)+len(i.duplicates) > 0:
		return environment.Launch{}, false
	default:
		launch = adoptedLaunch(f, i)
	}
	launch.Settled = environment.Settled{Deployment: f.current().ID, Task: i.kept.ARN}
	return launch, true
}

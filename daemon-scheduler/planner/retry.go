package planner

import (
	"time"

	"github.com/blox/blox/daemon-scheduler/environment"
	"github.com/blox/blox/internal/backoff"
)

// start plans a launch that replaces the last one, if any.
func (b *planBuilder) start(i *instanceState, attempts int, reason string) {
	last := i.launch
	next := environment.Launch{
		Instance:       i.ARN,
		Deployment:     i.target.ID,
		TaskDefinition: i.target.TaskDefinition,
		State:          environment.LaunchOpen,
		Attempts:       attempts,
		HadNoTask:      !i.hasRunning && !i.unavailable,
		StoredVersion:  last.StoredVersion,
	}
	if i.hasLaunch && last.Deployment == i.target.ID { // the instance stays failed until its task runs
		next.Reason = last.Reason
		next.Detail = last.Detail
	}
	b.addAction(Action{Kind: Start, Instance: i.ARN, Launch: next, Reason: reason})
}

// planRetry plans for an instance without a live task of its target whose last launch has an outcome.
func (b *planBuilder) planRetry(i *instanceState) {
	launch := i.launch
	switch {
	case b.isInvisible(launch):
		b.awaitVisible(launch)
	case launch.Deployment != i.target.ID:
		b.start(i, 1, startMissing)
	case launch.State == environment.LaunchReplacing:
		b.start(i, launch.Attempts, startMissing)
	case launch.State == environment.LaunchStarted:
		b.replaceStopped(i, b.tasksByARN[launch.Task])
	case b.backingOff(i) && b.instanceImproved(launch):
		b.start(i, launch.Attempts+1, startImproved)
	case b.backingOff(i):
		b.addWait(launch.Instance, waitBackingOff+launch.Reason)
		b.requeueAt(launch.NextAttemptAt)
	case launch.Reason == "": // StartTask was not answered and ECS has no such task: this attempt is made again
		b.start(i, launch.Attempts, startRetry)
	default:
		b.start(i, launch.Attempts+1, startRetry)
	}
}

// backingOff reports whether the target's last attempt on the instance failed and the next one is not due yet.
func (b *planBuilder) backingOff(i *instanceState) bool {
	failed := i.hasLaunch && i.launch.State == environment.LaunchFailed && i.launch.Deployment == i.target.ID
	return failed && b.Now.Before(i.launch.NextAttemptAt)
}

// instanceImproved reports whether the instance has changed since a start on it failed, and a tenth of the delay has
// passed: an instance that keeps changing must not consume the API budget. A task that keeps stopping frees
// resources, and so changes the instance itself; it gets the whole delay.
func (b *planBuilder) instanceImproved(launch environment.Launch) bool {
	improved, ok := b.ImprovedAt[launch.Instance]
	if !ok || improved.Before(announcedAt(launch)) || launch.Reason == taskStopped {
		return false
	}
	due := announcedAt(launch).Add(retryDelay(launch.Attempts) / 10)
	if b.Now.Before(due) {
		b.requeueAt(due)
		return false
	}
	return true
}

// replaceStopped replaces a task that stopped: at once if it is the first that stopped after it had run, otherwise
// after a growing delay.
func (b *planBuilder) replaceStopped(i *instanceState, task environment.Task) {
	failures, nextAttempt := consecutiveFailures(i.launch, task)
	due := i.launch.NotAfter.Add(retryDelay(failures))
	if failures == 0 || !b.Now.Before(due) {
		b.start(i, nextAttempt, startStopped)
		return
	}
	launch := stoppedLaunch(i.launch, task)
	b.addAction(Action{Kind: Record, Instance: launch.Instance, Launch: launch, Reason: recordKeepsStopping})
	b.requeueAt(launch.NextAttemptAt)
	if i.target.ID == b.current.ID {
		b.addFailed(launch.Instance, launch.Reason, true)
	}
}

// awaitConfirmation waits until ECS is consistent about an open launch, then has the launch confirmed. The instance
// is occupied until then.
func (b *planBuilder) awaitConfirmation(i *instanceState) {
	due := b.confirmableAt(i.launch)
	switch {
	case b.Now.Before(due):
		b.addWait(i.ARN, waitConfirmation)
		b.requeueAt(due)
	case i.hasKept && b.Fresh && i.launch.Deployment == i.kept.StartedBy: // no call to ECS is needed
		started := StartedLaunch(i.launch, i.kept.ARN)
		b.addAction(Action{Kind: Record, Instance: i.ARN, Launch: started, Reason: recordTaskFound})
	default:
		b.addAction(Action{Kind: Confirm, Instance: i.ARN, Launch: i.launch, Reason: confirmUnanswered})
	}
}

// confirmableAt returns when ECS's answer about the task of an open launch is final.
func (b *planBuilder) confirmableAt(launch environment.Launch) time.Time {
	if seen, ok := b.FirstSeenAt[launch.Instance]; ok {
		return seen.Add(environment.LaunchWindow + b.StartConfirmTimeout)
	}
	return launch.NotAfter.Add(b.StartConfirmTimeout)
}

// awaitVisible waits until the cluster state shows a launch's task, and has the launch confirmed if that takes long.
func (b *planBuilder) awaitVisible(launch environment.Launch) {
	due := launch.NotAfter.Add(b.StartConfirmTimeout)
	if launch.NextAttemptAt.After(due) {
		due = launch.NextAttemptAt
	}
	if b.Now.Before(due) {
		b.addWait(launch.Instance, waitInvisible)
		b.requeueAt(due)
		return
	}
	b.addAction(Action{Kind: Confirm, Instance: launch.Instance, Launch: launch, Reason: confirmInvisible})
}

// recordRunning updates the launch record of an instance that has its task, and tracks scale-in once nothing changes.
func (b *planBuilder) recordRunning(i *instanceState) {
	if i.launch.Deployment != i.kept.StartedBy || !i.hasLaunch {
		return
	}
	next := i.launch
	if next.State == environment.LaunchFailed { // ECS has started it nevertheless
		next = StartedLaunch(next, i.kept.ARN)
	}
	if i.kept.Running() {
		next.Reason = ""
		next.Detail = ""
	}
	if next.State != i.launch.State || next.Reason != i.launch.Reason {
		b.addAction(Action{Kind: Record, Instance: i.ARN, Launch: next, Reason: recordTaskFound})
		return
	}
	b.trackScaleIn(i)
}

// forgetDeparted deletes the launch record of an instance that left, once no StartTask call can be under way.
func (b *planBuilder) forgetDeparted(launch environment.Launch) {
	due := b.confirmableAt(launch)
	switch {
	case launch.State == environment.LaunchOpen && b.Now.Before(due):
		b.requeueAt(due)
	case !b.Fresh:
		b.requeueAt(b.Now.Add(staleRecheck))
	default:
		b.addAction(Action{Kind: Forget, Instance: launch.Instance, Launch: launch, Reason: forgetInstanceLeft})
	}
}

// retryDelay is the delay after that many failures in a row.
func retryDelay(failures int) time.Duration {
	return backoff.Delay(retryDelayInitial, retryDelayMax, failures)
}

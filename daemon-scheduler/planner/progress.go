package planner

import (
	"slices"

	"github.com/blox/blox/daemon-scheduler/environment"
)

// countInstance adds a matching instance to the deployment's progress.
func (b *planBuilder) countInstance(i *instanceState) {
	if !b.deployed {
		return
	}
	if i.schedulable {
		b.desired++
	}
	if i.target.ID != b.current.ID { // it keeps the previous deployment
		if i.hasKept || len(i.others) > 0 {
			b.plan.Counts.Outdated++
		}
		return
	}
	_, superseded := b.splitOthers(i)
	b.countTasks(i.kept, i.hasKept, superseded)
	failed := i.launch.Deployment == b.current.ID && i.launch.Reason != ""
	switch {
	case i.hasKept && i.schedulable && i.kept.Running():
		b.countRunning(i, superseded)
	case i.hasKept && !failed: // it is starting
	case i.released:
	case failed:
		b.addFailed(i.ARN, i.launch.Reason, i.schedulable)
	case i.launch.Deployment != b.current.ID:
		b.carryLegacyFailure(i.ARN, i.schedulable)
	}
}

// countRunning adds an instance whose task is RUNNING. It is finished once no superseded task remains.
func (b *planBuilder) countRunning(i *instanceState, superseded []environment.Task) {
	b.running++
	if !slices.ContainsFunc(superseded, func(t environment.Task) bool { return !t.Stopping() }) {
		b.finished++
	}
	restarted := i.launch.Deployment == b.current.ID && i.launch.Attempts > 1
	if restarted && i.kept.StartedAt.After(b.lastRestart) {
		b.lastRestart = i.kept.StartedAt
	}
}

// countTasks counts the live tasks on an instance.
func (b *planBuilder) countTasks(kept environment.Task, hasKept bool, superseded []environment.Task) {
	counts := &b.plan.Counts
	switch {
	case hasKept && kept.Running():
		counts.Running++
	case hasKept:
		counts.Pending++
	}
	if len(superseded) > 0 {
		counts.Outdated++
	}
}

// carryLegacyFailure keeps a failure that v0.3 recorded until Blox first tries to start a task on the instance.
func (b *planBuilder) carryLegacyFailure(instance string, schedulable bool) {
	for _, f := range b.current.FailedInstances {
		if f.Arn == instance {
			b.plan.Progress.LegacyFailures = append(b.plan.Progress.LegacyFailures, f)
			b.addFailed(instance, f.Reason, schedulable)
			return
		}
	}
}

// addFailed adds an instance to the failed ones.
func (b *planBuilder) addFailed(instance, reason string, schedulable bool) {
	b.plan.Failed = append(b.plan.Failed, environment.FailedInstance{Arn: instance, Reason: reason})
	if schedulable {
		b.finished++
	}
}

// summarizeProgress sets the deployment's progress. A deployment is completed when every instance that can run its
// task has it RUNNING or failed, and at least one has it RUNNING, or there is no such instance. On hold, or while the
// cluster state is not fresh, the progress stays as it was.
func (b *planBuilder) summarizeProgress() {
	b.plan.Counts.Desired = b.desired
	b.plan.Counts.Failed = len(b.plan.Failed)
	progress := &b.plan.Progress
	if !b.Fresh || !b.deployed || b.holdReason != "" {
		*progress = environment.Progress{
			Status: b.current.Status, Health: b.current.Health, Desired: b.current.DesiredTaskCount,
			LegacyFailures: b.current.FailedInstances,
		}
		return
	}
	progress.Status = environment.Running
	progress.Desired = b.desired
	succeeded := b.running > 0 || b.desired == 0
	if !b.canaryPending && b.finished == b.desired && succeeded && b.bakeTimeElapsed() {
		progress.Status = environment.Completed
	}
	if len(b.plan.Failed) > 0 {
		progress.Health = environment.Unhealthy
	}
}

// bakeTimeElapsed reports whether all tasks of a finished deployment have run for the bake time. A task that replaced
// one of its own deployment starts the bake time again. Rollbacks do not bake.
func (b *planBuilder) bakeTimeElapsed() bool {
	bakeTime := b.spec.DeploymentConfiguration.BakeTime()
	if bakeTime == 0 || b.current.RollbackOf != "" || b.current.Status == environment.Completed {
		return true
	}
	b.plan.Progress.Baking = true
	since := b.current.BakeStartedAt
	if since.IsZero() {
		since = b.Now // RecordProgress records it
	}
	if b.lastRestart.After(since) {
		since = b.lastRestart
	}
	if b.Now.Before(since.Add(bakeTime)) {
		b.requeueAt(since.Add(bakeTime))
		return false
	}
	return true
}

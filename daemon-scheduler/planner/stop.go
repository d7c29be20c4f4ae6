package planner

import (
	"slices"

	"github.com/blox/blox/daemon-scheduler/environment"
)

// stopSuperseded stops duplicates, and superseded tasks as far as the rollout budget allows. It reports whether the
// instance has to wait for that before it is given a task.
func (b *planBuilder) stopSuperseded(i *instanceState) (wait bool) {
	duplicates, superseded := b.splitOthers(i)
	stopping := b.stopOthers(i.ARN, duplicates)
	running := slices.IndexFunc(superseded, b.staysRunning)
	switch {
	case len(superseded) == 0:
		return stopping
	case !b.Fresh: // the superseded tasks may have stopped, and the kept one too
		return true
	case running >= 0 && b.budget.startFirst && b.belowMinReady(i): // the new task may still fail
		b.addWait(i.ARN, waitMinReady)
		b.requeueAtMinReady()
		return stopping
	case i.hasKept && b.staysRunning(i.kept), running < 0: // no superseded task is needed any more
		stopped := b.stopOthers(i.ARN, superseded)
		if !i.hasKept && !stopped {
			b.addWait(i.ARN, waitOldTask)
		}
		return !i.hasKept || stopping || stopped
	case len(superseded) > 1: // one that runs is enough until the budget covers the instance
		surplus := slices.Delete(slices.Clone(superseded), running, running+1)
		if !b.stopOthers(i.ARN, surplus) {
			b.addWait(i.ARN, waitOldTasks)
		}
		return true
	case i.hasKept || i.isOpen(): // the new task beside the superseded one is starting, or about to stop
		return stopping
	}
	return !b.replaceSuperseded(i, superseded) || stopping
}

// replaceSuperseded handles an instance whose only live task runs and is superseded. It reports whether a new task
// may be started now: beside the old one, or after a failed attempt to do so.
func (b *planBuilder) replaceSuperseded(i *instanceState, superseded []environment.Task) (start bool) {
	switch {
	case b.surging(i), b.backingOff(i) && !b.instanceImproved(i.launch): // which need no more of the budget
		return true
	case !b.reserve():
		b.addWait(i.ARN, waitRollout+b.budget.limit)
		b.requeueAtMinReady()
		return false
	case b.budget.startFirst:
		return true
	}
	b.stopToReplace(i, superseded)
	return false
}

// stopOthers stops duplicates and superseded tasks, and reports whether it had to.
func (b *planBuilder) stopOthers(instance string, tasks []environment.Task) (stopped bool) {
	for _, task := range tasks {
		reason := ReasonSuperseded
		if task.StartedBy == b.current.ID {
			reason = ReasonDuplicate
		}
		stopped = b.stop(instance, task, reason) || stopped
	}
	return stopped
}

// stopTasks stops the tasks for one reason, and reports whether it had to.
func (b *planBuilder) stopTasks(instance string, tasks []environment.Task, reason StopReason) (stopped bool) {
	for _, task := range tasks {
		stopped = b.stop(instance, task, reason) || stopped
	}
	return stopped
}

// stop stops the task unless it is stopping already, and reports whether it had to. On hold, or while the cluster
// state is not fresh, it does nothing.
func (b *planBuilder) stop(instance string, task environment.Task, reason StopReason) bool {
	if !b.Fresh || b.holdReason != "" || task.Stopping() {
		return false
	}
	if b.stopRequested(task) {
		b.requeueAt(b.StopRequestedAt[task.ARN].Add(stopRetryInterval))
		return false
	}
	b.addAction(Action{
		Kind: Stop, Instance: instance, Task: task.ARN, StopReason: reason, Reason: reason.Message(b.Environment.Name),
	})
	b.requeueAt(b.Now.Add(stopRetryInterval))
	return true
}

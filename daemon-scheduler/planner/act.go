package planner

import (
	"cmp"
	"slices"
	"time"

	"github.com/blox/blox/daemon-scheduler/environment"
)

// planInstance plans for one instance of the cluster. Whatever comes first holds back what would follow.
func (p *planBuilder) planInstance(at *instanceState) {
	if at.matches {
		p.countInstance(at)
	}
	if at.hasLaunch && at.launch.State == environment.LaunchOpen {
		p.awaitConfirmation(at)
		if p.deployed && at.schedulable {
			p.stopSuperseded(at)
		}
		return
	}
	switch {
	case !p.deployed && at.Status == "DRAINING" && len(at.others) > 0: // whatever became of who started them
		p.drain(at)
	case !p.deployed:
	case p.holdReason != "":
		if !at.hasKept {
			p.addWait(at.ARN, p.holdReason)
		}
	case !at.matches:
		p.notMatching(at.Instance, at.launch)
	case at.Status == "DRAINING":
		p.drain(at)
	case !at.schedulable:
		p.unschedulable(at)
	case !p.Fresh:
		p.addWait(at.ARN, "the copy of the cluster is not current")
	case at.target.ID == "":
		p.addWait(at.ARN, "the deployment waits to be promoted")
	case p.stopSuperseded(at):
	case at.hasKept:
		p.recordRunning(at)
	case at.hasLaunch && p.isKnown(at.launch.Deployment):
		p.planRetry(at)
	default:
		p.start(at, 1, "no task of the deployment")
	}
}

// unschedulable leaves an instance alone that can be given no task; but two tasks of one deployment are one too many wherever they
// are.
func (p *planBuilder) unschedulable(at *instanceState) {
	if at.released {
		if !p.stopTasksFor(at.ARN, p.liveTasks[at.ARN], func(environment.Task) string { return ReasonScaleIn }) {
			p.addWait(at.ARN, "only daemons were on the instance for long: it may be taken away")
		}
		return
	}
	own, _ := p.splitOthers(at)
	p.stopTasks(at.ARN, own)
	if !at.hasKept {
		p.addWait(at.ARN, "the instance is "+at.Status+" or its agent is disconnected")
	}
}

// stopSuperseded deals with all tasks of the environment but the one to keep, and tells whether that holds back the rest.
func (p *planBuilder) stopSuperseded(at *instanceState) (holds bool) {
	own, outdated := p.splitOthers(at)
	stopped := p.stopTasks(at.ARN, own)
	running := slices.IndexFunc(outdated, p.staysRunning)
	switch {
	case len(outdated) == 0:
		return stopped
	case !p.Fresh:
		return true
	case running >= 0 && p.budget.startFirst && p.belowMinReady(at):
		p.addWait(at.ARN, "its new task has not run for long enough to stop the earlier one")
		p.requeueAtMinReady()
		return stopped
	case at.hasKept && p.staysRunning(at.kept), running < 0:
		now := p.stopTasks(at.ARN, outdated)
		if !at.hasKept && !now {
			p.addWait(at.ARN, "its earlier task has not stopped yet")
		}
		return !at.hasKept || stopped || now
	case len(outdated) > 1: // one that runs is enough until its turn comes
		if !p.stopTasks(at.ARN, slices.Delete(slices.Clone(outdated), running, running+1)) {
			p.addWait(at.ARN, "one of its earlier tasks has not stopped yet")
		}
		return true
	case at.hasKept || at.launch.State == environment.LaunchOpen: // what was begun beside the task that runs may yet run, or end
		return stopped
	}
	return !p.replaceSuperseded(at, outdated) || stopped
}

// keepOrder orders tasks by how much they deserve to be kept: those not being stopped first, then RUNNING ones, then the
// oldest.
func keepOrder(a, b environment.Task) int {
	no := func(is bool) int {
		if is {
			return 0
		}
		return 1
	}
	return cmp.Or(
		cmp.Compare(no(!a.Stopping()), no(!b.Stopping())),
		cmp.Compare(no(a.Running()), no(b.Running())),
		a.CreatedAt.Compare(b.CreatedAt),
		cmp.Compare(a.ARN, b.ARN),
	)
}

// stopTasks asks for the end of tasks that are not being stopped already, and tells whether it had to.
func (p *planBuilder) stopTasks(instance string, tasks []environment.Task) (some bool) {
	return p.stopTasksFor(instance, tasks, func(task environment.Task) string {
		if task.StartedBy == p.current.ID {
			return ReasonDuplicate
		}
		return ReasonSuperseded
	})
}

func (p *planBuilder) stopTasksFor(instance string, tasks []environment.Task, reason func(environment.Task) string) (some bool) {
	if !p.Fresh || p.holdReason != "" {
		return false
	}
	for _, task := range tasks {
		if task.Stopping() {
			continue
		}
		if p.stopRequested(task) {
			p.requeueAt(p.StopRequestedAt[task.ARN].Add(stopRetryInterval))
			continue
		}
		p.addAction(Action{Kind: Stop, Instance: instance, Task: task.ARN, Reason: reason(task) + p.Environment.Name})
		p.requeueAt(p.Now.Add(stopRetryInterval))
		some = true
	}
	return some
}

// awaitConfirmation waits until ECS may be believed about an open launch. The instance is occupied until then.
func (p *planBuilder) awaitConfirmation(at *instanceState) {
	due := at.launch.NotAfter.Add(p.StartConfirmTimeout)
	switch {
	case p.Now.Before(due):
		p.addWait(at.ARN, "a launch is open")
		p.requeueAt(due)
	case at.hasKept && p.Fresh && at.launch.Deployment == at.kept.StartedBy:
		p.addAction(Action{Kind: Record, Instance: at.ARN, Launch: StartedLaunch(at.launch, at.kept.ARN), Reason: "its task is there"})
	default:
		p.addAction(Action{Kind: Confirm, Instance: at.ARN, Launch: at.launch, Reason: "a launch was left open"})
	}
}

// planRetry plans for an instance without a live task of its target whose last launch is settled.
func (p *planBuilder) planRetry(at *instanceState) {
	launch := at.launch
	task, seen := p.tasksByARN[launch.Task]
	switch {
	case launch.State == environment.LaunchStarted && !seen:
		p.awaitVisible(launch)
	case launch.Deployment != at.target.ID:
		p.start(at, 1, "no task of the deployment")
	case launch.State == environment.LaunchStarted:
		p.replaceStopped(at, task)
	case p.backingOff(at) && p.instanceImproved(launch):
		p.start(at, launch.Attempts+1, "the instance has changed")
	case p.backingOff(at):
		p.addWait(launch.Instance, "backing off after a failure: "+launch.Reason)
		p.requeueAt(launch.NextAttemptAt)
	case launch.Reason == "": // nobody refused it: its answer was lost, and ECS knows nothing of it
		p.start(at, launch.Attempts, "another try")
	default:
		p.start(at, launch.Attempts+1, "another try")
	}
}

// backingOff tells whether the target's last try on the instance failed too lately for another one.
func (p *planBuilder) backingOff(at *instanceState) bool {
	return at.hasLaunch && at.launch.State == environment.LaunchFailed && at.launch.Deployment == at.target.ID && p.Now.Before(at.launch.NextAttemptAt)
}

// instanceImproved tells whether the instance of a failed start has changed since, so that the delay is cut short to a tenth: what keeps
// changing must not take all the calls that ECS grants. A daemon that keeps dying frees what it had, and so changes it itself.
func (p *planBuilder) instanceImproved(launch environment.Launch) bool {
	if changed, ok := p.ImprovedAt[launch.Instance]; !ok || changed.Before(announcedAt(launch)) || launch.Reason == "STOPPED" {
		return false
	}
	soon := announcedAt(launch).Add(backoff(launch.Attempts) / 10)
	if p.Now.Before(soon) {
		p.requeueAt(soon)
		return false
	}
	return true
}

// announcedAt is when the launch was written, before StartTask was called.
func announcedAt(launch environment.Launch) time.Time {
	return launch.NotAfter.Add(-environment.LaunchWindow)
}

// awaitVisible waits for the task of a launch to be shown by the copy of the cluster, and has ECS asked when that takes long.
func (p *planBuilder) awaitVisible(launch environment.Launch) {
	due := launch.NotAfter.Add(p.StartConfirmTimeout)
	if launch.NextAttemptAt.After(due) {
		due = launch.NextAttemptAt
	}
	if p.Now.Before(due) {
		p.addWait(launch.Instance, "its task is not seen yet")
		p.requeueAt(due)
		return
	}
	p.addAction(Action{Kind: Confirm, Instance: launch.Instance, Launch: launch, Reason: "its task was never seen"})
}

// replaceStopped replaces a task that stopped: at once when it had run and none had died before it, else after a growing delay.
func (p *planBuilder) replaceStopped(at *instanceState, task environment.Task) {
	deaths, attempts := consecutiveFailures(at.launch, task)
	next := at.launch.NotAfter.Add(backoff(deaths))
	if deaths == 0 || !p.Now.Before(next) {
		p.start(at, attempts, "its task stopped")
		return
	}
	launch := stoppedLaunch(at.launch, task)
	p.addAction(Action{Kind: Record, Instance: launch.Instance, Launch: launch, Reason: "its task keeps stopping"})
	p.requeueAt(launch.NextAttemptAt)
	if at.target.ID == p.current.ID {
		p.addFailed(launch.Instance, launch.Reason, true)
	}
}

// recordRunning puts right the record of an instance that has its task.
func (p *planBuilder) recordRunning(at *instanceState) {
	if at.launch.Deployment != at.kept.StartedBy || !at.hasLaunch {
		return
	}
	next, reason := at.launch, "its task is there"
	if next.State == environment.LaunchFailed {
		next = StartedLaunch(next, at.kept.ARN)
	}
	if at.kept.Running() {
		next.Reason, next.Detail = "", ""
	}
	if next.State != at.launch.State || next.Reason != at.launch.Reason {
		p.addAction(Action{Kind: Record, Instance: at.ARN, Launch: next, Reason: reason})
		return
	}
	p.trackScaleIn(at)
}

// start plans a launch in place of the last one, which may be none.
func (p *planBuilder) start(at *instanceState, attempts int, reason string) {
	last := at.launch
	next := environment.Launch{
		Instance: at.ARN, Deployment: at.target.ID, TaskDefinition: at.target.TaskDefinition,
		State: environment.LaunchOpen, Attempts: attempts, StoredVersion: last.StoredVersion, HadNoTask: !at.hasRunning && !at.unavailable,
	}
	if last.Deployment == at.target.ID && at.hasLaunch {
		next.Reason, next.Detail = last.Reason, last.Detail // it stays failed until it has its task
	}
	p.addAction(Action{Kind: Start, Instance: at.ARN, Launch: next, Reason: reason})
}

// forgetDeparted forgets the launch of an instance that left, once it is settled.
func (p *planBuilder) forgetDeparted(launch environment.Launch) {
	due := launch.NotAfter.Add(p.StartConfirmTimeout)
	switch {
	case launch.State == environment.LaunchOpen && p.Now.Before(due):
		p.requeueAt(due)
	case !p.Fresh:
		p.requeueAt(p.Now.Add(staleRecheck))
	default:
		p.addAction(Action{Kind: Forget, Instance: launch.Instance, Launch: launch, Reason: "the instance left"})
	}
}

package planner

import (
	"cmp"
	"slices"
	"time"

	"github.com/blox/blox/daemon-scheduler/environment"
)

// site plans for one instance of the cluster. Whatever comes first holds back what would follow.
func (p *planning) site(at *site) {
	if at.matches {
		p.count(at)
	}
	if at.launched && at.launch.State == environment.LaunchOpen {
		p.settle(at)
		if p.deployed && at.able {
			p.retire(at)
		}
		return
	}
	switch {
	case !p.deployed && at.Status == "DRAINING" && len(at.others) > 0: // whatever became of who started them
		p.drain(at)
	case !p.deployed:
	case p.held != "":
		if !at.lives {
			p.wait(at.ARN, p.held)
		}
	case !at.matches:
		p.exclude(at.Instance, at.launch)
	case at.Status == "DRAINING":
		p.drain(at)
	case !at.able:
		p.unable(at)
	case !p.Fresh:
		p.wait(at.ARN, "the copy of the cluster is not current")
	case at.target.ID == "":
		p.wait(at.ARN, "the deployment waits to be promoted")
	case p.retire(at):
	case at.lives:
		p.there(at)
	case at.launched && p.known(at.launch.Deployment):
		p.again(at)
	default:
		p.start(at, 1, "no task of the deployment")
	}
}

// unable leaves an instance alone that can be given no task; but two tasks of one deployment are one too many wherever they
// are.
func (p *planning) unable(at *site) {
	if at.yields {
		if !p.stopBecause(at.ARN, p.onInstance[at.ARN], func(environment.Task) string { return ReasonScaleIn }) {
			p.wait(at.ARN, "only daemons were on the instance for long: it may be taken away")
		}
		return
	}
	own, _ := p.own(at)
	p.stopAll(at.ARN, own)
	if !at.lives {
		p.wait(at.ARN, "the instance is "+at.Status+" or its agent is disconnected")
	}
}

// retire deals with all tasks of the environment but the one to keep, and tells whether that holds back the rest.
func (p *planning) retire(at *site) (holds bool) {
	own, outdated := p.own(at)
	stopped := p.stopAll(at.ARN, own)
	running := slices.IndexFunc(outdated, p.runs)
	switch {
	case len(outdated) == 0:
		return stopped
	case !p.Fresh:
		return true
	case running >= 0 && p.room.startFirst && p.unproven(at):
		p.wait(at.ARN, "its new task has not run for long enough to stop the earlier one")
		p.untilProven()
		return stopped
	case at.lives && p.runs(at.kept), running < 0:
		now := p.stopAll(at.ARN, outdated)
		if !at.lives && !now {
			p.wait(at.ARN, "its earlier task has not stopped yet")
		}
		return !at.lives || stopped || now
	case len(outdated) > 1: // one that runs is enough until its turn comes
		if !p.stopAll(at.ARN, slices.Delete(slices.Clone(outdated), running, running+1)) {
			p.wait(at.ARN, "one of its earlier tasks has not stopped yet")
		}
		return true
	case at.lives || at.launch.State == environment.LaunchOpen: // what was begun beside the task that runs may yet run, or end
		return stopped
	}
	return !p.replace(at, outdated) || stopped
}

// better orders tasks by how much they deserve to be kept: those not being stopped first, then RUNNING ones, then the
// oldest.
func better(a, b environment.Task) int {
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

// stopAll asks for the end of tasks that are not being stopped already, and tells whether it had to.
func (p *planning) stopAll(instance string, tasks []environment.Task) (some bool) {
	return p.stopBecause(instance, tasks, func(task environment.Task) string {
		if task.StartedBy == p.current.ID {
			return ReasonDuplicate
		}
		return ReasonSuperseded
	})
}

func (p *planning) stopBecause(instance string, tasks []environment.Task, reason func(environment.Task) string) (some bool) {
	if !p.Fresh || p.held != "" {
		return false
	}
	for _, task := range tasks {
		if task.Stopping() {
			continue
		}
		if p.askedToStop(task) {
			p.until(p.StopRequestedAt[task.ARN].Add(askAgain))
			continue
		}
		p.do(Action{Kind: Stop, Instance: instance, Task: task.ARN, Reason: reason(task) + p.Environment.Name})
		p.until(p.Now.Add(askAgain))
		some = true
	}
	return some
}

// settle waits until ECS may be believed about an open launch. The instance is occupied until then.
func (p *planning) settle(at *site) {
	due := at.launch.NotAfter.Add(p.StartConfirmTimeout)
	switch {
	case p.Now.Before(due):
		p.wait(at.ARN, "a launch is open")
		p.until(due)
	case at.lives && p.Fresh && at.launch.Deployment == at.kept.StartedBy:
		p.do(Action{Kind: Record, Instance: at.ARN, Launch: StartedLaunch(at.launch, at.kept.ARN), Reason: "its task is there"})
	default:
		p.do(Action{Kind: Confirm, Instance: at.ARN, Launch: at.launch, Reason: "a launch was left open"})
	}
}

// again plans for an instance without a live task of its target whose last launch is settled.
func (p *planning) again(at *site) {
	launch := at.launch
	task, seen := p.byARN[launch.Task]
	switch {
	case launch.State == environment.LaunchStarted && !seen:
		p.unseen(launch)
	case launch.Deployment != at.target.ID:
		p.start(at, 1, "no task of the deployment")
	case launch.State == environment.LaunchStarted:
		p.died(at, task)
	case p.backsOff(at) && p.better(launch):
		p.start(at, launch.Attempts+1, "the instance has changed")
	case p.backsOff(at):
		p.wait(launch.Instance, "backing off after a failure: "+launch.Reason)
		p.until(launch.NextAttemptAt)
	case launch.Reason == "": // nobody refused it: its answer was lost, and ECS knows nothing of it
		p.start(at, launch.Attempts, "another try")
	default:
		p.start(at, launch.Attempts+1, "another try")
	}
}

// backsOff tells whether the target's last try on the instance failed too lately for another one.
func (p *planning) backsOff(at *site) bool {
	return at.launched && at.launch.State == environment.LaunchFailed && at.launch.Deployment == at.target.ID && p.Now.Before(at.launch.NextAttemptAt)
}

// better tells whether the instance of a failed start has changed since, so that the delay is cut short to a tenth: what keeps
// changing must not take all the calls that ECS grants. A daemon that keeps dying frees what it had, and so changes it itself.
func (p *planning) better(launch environment.Launch) bool {
	if changed, ok := p.ImprovedAt[launch.Instance]; !ok || changed.Before(announced(launch)) || launch.Reason == "STOPPED" {
		return false
	}
	soon := announced(launch).Add(backoff(launch.Attempts) / 10)
	if p.Now.Before(soon) {
		p.until(soon)
		return false
	}
	return true
}

// announced is when the launch was written, before StartTask was called.
func announced(launch environment.Launch) time.Time {
	return launch.NotAfter.Add(-environment.LaunchWindow)
}

// unseen waits for the task of a launch to be shown by the copy of the cluster, and has ECS asked when that takes long.
func (p *planning) unseen(launch environment.Launch) {
	due := launch.NotAfter.Add(p.StartConfirmTimeout)
	if launch.NextAttemptAt.After(due) {
		due = launch.NextAttemptAt
	}
	if p.Now.Before(due) {
		p.wait(launch.Instance, "its task is not seen yet")
		p.until(due)
		return
	}
	p.do(Action{Kind: Confirm, Instance: launch.Instance, Launch: launch, Reason: "its task was never seen"})
}

// died replaces a task that stopped: at once when it had run and none had died before it, else after a growing delay.
func (p *planning) died(at *site, task environment.Task) {
	deaths, attempts := deaths(at.launch, task)
	next := at.launch.NotAfter.Add(backoff(deaths))
	if deaths == 0 || !p.Now.Before(next) {
		p.start(at, attempts, "its task stopped")
		return
	}
	launch := stopped(at.launch, task)
	p.do(Action{Kind: Record, Instance: launch.Instance, Launch: launch, Reason: "its task keeps stopping"})
	p.until(launch.NextAttemptAt)
	if at.target.ID == p.current.ID {
		p.fail(launch.Instance, launch.Reason, true)
	}
}

// there puts right the record of an instance that has its task.
func (p *planning) there(at *site) {
	if at.launch.Deployment != at.kept.StartedBy || !at.launched {
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
		p.do(Action{Kind: Record, Instance: at.ARN, Launch: next, Reason: reason})
		return
	}
	p.yield(at)
}

// start plans a launch in place of the last one, which may be none.
func (p *planning) start(at *site, attempts int, reason string) {
	last := at.launch
	next := environment.Launch{
		Instance: at.ARN, Deployment: at.target.ID, TaskDefinition: at.target.TaskDefinition,
		State: environment.LaunchOpen, Attempts: attempts, StoredVersion: last.StoredVersion, HadNoTask: !at.up && !at.lacks,
	}
	if last.Deployment == at.target.ID && at.launched {
		next.Reason, next.Detail = last.Reason, last.Detail // it stays failed until it has its task
	}
	p.do(Action{Kind: Start, Instance: at.ARN, Launch: next, Reason: reason})
}

// left forgets the launch of an instance that left, once it is settled.
func (p *planning) left(launch environment.Launch) {
	due := launch.NotAfter.Add(p.StartConfirmTimeout)
	switch {
	case launch.State == environment.LaunchOpen && p.Now.Before(due):
		p.until(due)
	case !p.Fresh:
		p.until(p.Now.Add(stale))
	default:
		p.do(Action{Kind: Forget, Instance: launch.Instance, Launch: launch, Reason: "the instance left"})
	}
}

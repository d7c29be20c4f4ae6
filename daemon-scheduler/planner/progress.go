package planner

import (
	"slices"

	"github.com/blox/blox/daemon-scheduler/environment"
)

// countInstance takes an instance into the deployment's progress.
func (p *planBuilder) countInstance(at *instanceState) {
	if !p.deployed {
		return
	}
	if at.schedulable {
		p.desired++
	}
	if at.target.ID != p.current.ID { // it is to stay as it was
		if at.hasKept || len(at.others) > 0 {
			p.plan.Counts.Outdated++
		}
		return
	}
	_, outdated := p.splitOthers(at)
	p.countTasks(at.kept, at.hasKept, outdated)
	replaced := !slices.ContainsFunc(outdated, func(t environment.Task) bool { return !t.Stopping() })
	switch ours := at.launch.Deployment == p.current.ID; {
	case at.hasKept && at.schedulable && at.kept.Running():
		p.running++
		if replaced {
			p.finished++
		}
		if ours && at.launch.Attempts > 1 && at.kept.StartedAt.After(p.lastRestart) {
			p.lastRestart = at.kept.StartedAt
		}
	case at.hasKept && !(ours && at.launch.Reason != ""):
	case at.released:
	case ours && at.launch.Reason != "":
		p.addFailed(at.ARN, at.launch.Reason, at.schedulable)
	case !ours:
		p.carryLegacyFailure(at.ARN, at.schedulable)
	}
}

// countTasks counts what lives on an instance.
func (p *planBuilder) countTasks(kept environment.Task, lives bool, outdated []environment.Task) {
	counts := &p.plan.Counts
	switch {
	case lives && kept.Running():
		counts.Running++
	case lives:
		counts.Pending++
	}
	if len(outdated) > 0 {
		counts.Outdated++
	}
}

// carryLegacyFailure keeps what v0.3 noted of an instance that it could not start the task on, until the first try of our own.
func (p *planBuilder) carryLegacyFailure(instance string, able bool) {
	for _, f := range p.current.FailedInstances {
		if f.Arn == instance {
			p.plan.Progress.LegacyFailures = append(p.plan.Progress.LegacyFailures, f)
			p.addFailed(instance, f.Reason, able)
			return
		}
	}
}

// addFailed puts an instance on the list of the failed.
func (p *planBuilder) addFailed(instance, reason string, able bool) {
	p.plan.Failed = append(p.plan.Failed, environment.FailedInstance{Arn: instance, Reason: reason})
	if able {
		p.finished++
	}
}

// summarizeProgress sums up. A deployment is completed when every instance that can run its task has it RUNNING or failed, and
// one at least is RUNNING, or there is none. From a copy that is not current nothing is concluded, nor while
// nothing may be done.
func (p *planBuilder) summarizeProgress() {
	p.plan.Counts.Desired, p.plan.Counts.Failed = p.desired, len(p.plan.Failed)
	progress := &p.plan.Progress
	if !p.Fresh || !p.deployed || p.holdReason != "" {
		*progress = environment.Progress{
			Status: p.current.Status, Health: p.current.Health, Desired: p.current.DesiredTaskCount,
			LegacyFailures: p.current.FailedInstances,
		}
		return
	}
	progress.Status, progress.Desired = environment.Running, p.desired
	if !p.canaryPending && p.finished == p.desired && (p.running > 0 || p.desired == 0) && p.bakeTimeElapsed() {
		progress.Status = environment.Completed
	}
	if len(p.plan.Failed) > 0 {
		progress.Health = environment.Unhealthy
	}
}

package planner

import (
	"slices"

	"github.com/blox/blox/daemon-scheduler/environment"
)

// count takes an instance into the deployment's progress.
func (p *planning) count(at *site) {
	if !p.deployed {
		return
	}
	if at.able {
		p.desired++
	}
	if at.target.ID != p.current.ID { // it is to stay as it was
		if at.lives || len(at.others) > 0 {
			p.plan.Counts.Outdated++
		}
		return
	}
	_, outdated := p.own(at)
	p.tally(at.kept, at.lives, outdated)
	replaced := !slices.ContainsFunc(outdated, func(t environment.Task) bool { return !t.Stopping() })
	switch ours := at.launch.Deployment == p.current.ID; {
	case at.lives && at.able && at.kept.Running():
		p.running++
		if replaced {
			p.settled++
		}
		if ours && at.launch.Attempts > 1 && at.kept.StartedAt.After(p.restarted) {
			p.restarted = at.kept.StartedAt
		}
	case at.lives && !(ours && at.launch.Reason != ""):
	case at.yields:
	case ours && at.launch.Reason != "":
		p.fail(at.ARN, at.launch.Reason, at.able)
	case !ours:
		p.carry(at.ARN, at.able)
	}
}

// tally counts what lives on an instance.
func (p *planning) tally(kept environment.Task, lives bool, outdated []environment.Task) {
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

// carry keeps what v0.3 noted of an instance that it could not start the task on, until the first try of our own.
func (p *planning) carry(instance string, able bool) {
	for _, f := range p.current.FailedInstances {
		if f.Arn == instance {
			p.plan.Progress.LegacyFailures = append(p.plan.Progress.LegacyFailures, f)
			p.fail(instance, f.Reason, able)
			return
		}
	}
}

// fail puts an instance on the list of the failed.
func (p *planning) fail(instance, reason string, able bool) {
	p.plan.Failed = append(p.plan.Failed, environment.FailedInstance{Arn: instance, Reason: reason})
	if able {
		p.settled++
	}
}

// progress sums up. A deployment is completed when every instance that can run its task has it RUNNING or failed, and
// one at least is RUNNING, or there is none. From a copy that is not current nothing is concluded, nor while
// nothing may be done.
func (p *planning) progress() {
	p.plan.Counts.Desired, p.plan.Counts.Failed = p.desired, len(p.plan.Failed)
	progress := &p.plan.Progress
	if !p.Fresh || !p.deployed || p.held != "" {
		*progress = environment.Progress{
			Status: p.current.Status, Health: p.current.Health, Desired: p.current.DesiredTaskCount,
			LegacyFailures: p.current.FailedInstances,
		}
		return
	}
	progress.Status, progress.Desired = environment.Running, p.desired
	if !p.canary && p.settled == p.desired && (p.running > 0 || p.desired == 0) && p.bake() {
		progress.Status = environment.Completed
	}
	if len(p.plan.Failed) > 0 {
		progress.Health = environment.Unhealthy
	}
}

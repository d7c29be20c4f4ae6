package planner

import "github.com/blox/blox/daemon-scheduler/environment"

// count takes an instance into the deployment's progress.
func (p *planning) count(instance string, able bool, kept environment.Task, lives bool, others []environment.Task) {
	if !p.deployed {
		return
	}
	if able {
		p.desired++
	}
	p.tally(kept, lives, others)
	launch := p.Launches[instance]
	switch ours := launch.Deployment == p.current.ID; {
	case lives && able && kept.Running():
		p.running++
		p.settled++
	case lives && !(ours && launch.Reason != ""):
	case ours && launch.Reason != "":
		p.fail(instance, launch.Reason, able)
	case !ours:
		p.carry(instance, able)
	}
}

// tally counts what lives on an instance.
func (p *planning) tally(kept environment.Task, lives bool, others []environment.Task) {
	counts := &p.plan.Counts
	switch {
	case lives && kept.Running():
		counts.Running++
	case lives:
		counts.Pending++
	}
	if len(others) > len(surplus(others, p.current.ID)) {
		counts.Outdated++
	}
}

// carry keeps what v0.3 noted of an instance that it could not start the task on, until the first try of our own.
func (p *planning) carry(instance string, able bool) {
	for _, f := range p.current.FailedInstances {
		if f.Arn == instance {
			p.plan.Progress.Carried = append(p.plan.Progress.Carried, f)
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
			Carried: p.current.FailedInstances,
		}
		return
	}
	progress.Status, progress.Desired = environment.Running, p.desired
	if p.settled == p.desired && (p.running > 0 || p.desired == 0) {
		progress.Status = environment.Completed
	}
	if len(p.plan.Failed) > 0 {
		progress.Health = environment.Unhealthy
	}
}

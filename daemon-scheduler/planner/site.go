package planner

import (
	"slices"

	"github.com/blox/blox/daemon-scheduler/environment"
)

// site is an instance of the cluster and what the environment has on it.
type site struct {
	environment.Instance
	launch   environment.Launch
	launched bool // whether there is a launch

	matches bool // the environment is for it
	able    bool // it matches and can be given a task
	target  environment.Deployment
	kept    environment.Task   // the target's task to keep
	lives   bool               // whether there is one
	others  []environment.Task // all other live tasks of the environment
	up      bool               // some task of the environment runs, and is to go on
	lacks   bool               // none does, and the rollout is to blame or cannot be held blameless
	alone   bool               // only daemons are on it
	yields  bool               // it is given up for now
}

// survey looks at every instance that has not left, by ARN, before anything is decided: what may be done to one depends on
// how many others are without their task.
func (p *planning) survey() []*site {
	var sites []*site
	for _, instance := range slices.SortedFunc(slices.Values(p.Instances), byARN) {
		if instance.Deregistered() {
			continue
		}
		at := &site{Instance: instance}
		at.launch, at.launched = p.Launches[instance.ARN]
		at.matches = p.group.Matches(instance)
		at.able = at.matches && instance.Status == "ACTIVE" && instance.AgentConnected
		sites = append(sites, at)
	}
	p.aim(sites)
	for _, at := range sites {
		at.kept, at.lives, at.others = p.sort(at.ARN, at.target)
		for _, task := range p.onInstance[at.ARN] {
			at.up = at.up || p.runs(task)
		}
		at.alone = !p.inCompany(at.ARN)
		at.yields = at.able && p.givenUp(at)
		at.able = at.able && !at.yields
		at.lacks = p.lacks(at)
	}
	p.room = p.measure(sites)
	return sites
}

// sort divides the environment's live tasks on an instance into the target's one to keep, if any, and the others.
func (p *planning) sort(instance string, target environment.Deployment) (kept environment.Task, lives bool, others []environment.Task) {
	for _, task := range slices.SortedFunc(slices.Values(p.onInstance[instance]), better) {
		if !lives && p.of(target, task.StartedBy) {
			kept, lives = task, true
			continue
		}
		others = append(others, task)
	}
	return kept, lives, others
}

// of tells whether what startedBy has started counts as the target's.
func (p *planning) of(target environment.Deployment, startedBy string) bool {
	return target.ID != "" && (startedBy == target.ID || p.Environment.Adopts(target, startedBy))
}

// own are those tasks that count as the target's, and outdated all others.
func (p *planning) own(at *site) (own, outdated []environment.Task) {
	for _, task := range at.others {
		if p.of(at.target, task.StartedBy) {
			own = append(own, task)
		} else {
			outdated = append(outdated, task)
		}
	}
	return own, outdated
}

// runs tells whether the task runs and, as far as is known, goes on running.
func (p *planning) runs(task environment.Task) bool { return task.Running() && !p.askedToStop(task) }

// askedToStop tells whether StopTask was called for the task so lately that the copy may not show it yet.
func (p *planning) askedToStop(task environment.Task) bool {
	asked, ok := p.StopRequestedAt[task.ARN]
	return ok && p.Now.Before(asked.Add(askAgain))
}

// inCompany tells whether a live task that is no daemon is on the instance.
func (p *planning) inCompany(instance string) bool { return p.company[instance] > 0 }

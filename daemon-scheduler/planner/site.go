package planner

import (
	"slices"

	"github.com/blox/blox/daemon-scheduler/environment"
)

// instanceState is an instance of the cluster and what the environment has on it.
type instanceState struct {
	environment.Instance
	launch    environment.Launch
	hasLaunch bool // whether there is a launch

	matches     bool // the environment is for it
	schedulable bool // it matches and can be given a task
	target      environment.Deployment
	kept        environment.Task   // the target's task to keep
	hasKept     bool               // whether there is one
	others      []environment.Task // all other live tasks of the environment
	hasRunning  bool               // some task of the environment runs, and is to go on
	unavailable bool               // none does, and the rollout is to blame or cannot be held blameless
	daemonsOnly bool               // only daemons are on it
	released    bool               // it is given up for now
}

// buildInstanceStates looks at every instance that has not left, by ARN, before anything is decided: what may be done to one depends on
// how many others are without their task.
func (p *planBuilder) buildInstanceStates() []*instanceState {
	var sites []*instanceState
	for _, instance := range slices.SortedFunc(slices.Values(p.Instances), byInstanceARN) {
		if instance.Deregistered() {
			continue
		}
		at := &instanceState{Instance: instance}
		at.launch, at.hasLaunch = p.Launches[instance.ARN]
		at.matches = p.selector.Matches(instance)
		at.schedulable = at.matches && instance.Status == "ACTIVE" && instance.AgentConnected
		sites = append(sites, at)
	}
	p.assignTargets(sites)
	for _, at := range sites {
		at.kept, at.hasKept, at.others = p.selectKept(at.ARN, at.target)
		for _, task := range p.liveTasks[at.ARN] {
			at.hasRunning = at.hasRunning || p.staysRunning(task)
		}
		at.daemonsOnly = !p.hasWorkloadTasks(at.ARN)
		at.released = at.schedulable && p.releasedForScaleIn(at)
		at.schedulable = at.schedulable && !at.released
		at.unavailable = p.unavailable(at)
	}
	p.budget = p.computeBudget(sites)
	return sites
}

// selectKept divides the environment's live tasks on an instance into the target's one to keep, if any, and the others.
func (p *planBuilder) selectKept(instance string, target environment.Deployment) (kept environment.Task, lives bool, others []environment.Task) {
	for _, task := range slices.SortedFunc(slices.Values(p.liveTasks[instance]), keepOrder) {
		if !lives && p.countsFor(target, task.StartedBy) {
			kept, lives = task, true
			continue
		}
		others = append(others, task)
	}
	return kept, lives, others
}

// countsFor tells whether what startedBy has started counts as the target's.
func (p *planBuilder) countsFor(target environment.Deployment, startedBy string) bool {
	return target.ID != "" && (startedBy == target.ID || p.Environment.Adopts(target, startedBy))
}

// splitOthers are those tasks that count as the target's, and outdated all others.
func (p *planBuilder) splitOthers(at *instanceState) (own, outdated []environment.Task) {
	for _, task := range at.others {
		if p.countsFor(at.target, task.StartedBy) {
			own = append(own, task)
		} else {
			outdated = append(outdated, task)
		}
	}
	return own, outdated
}

// staysRunning tells whether the task runs and, as far as is known, goes on running.
func (p *planBuilder) staysRunning(task environment.Task) bool {
	return task.Running() && !p.stopRequested(task)
}

// stopRequested tells whether StopTask was called for the task so lately that the copy may not show it yet.
func (p *planBuilder) stopRequested(task environment.Task) bool {
	asked, ok := p.StopRequestedAt[task.ARN]
	return ok && p.Now.Before(asked.Add(stopRetryInterval))
}

// hasWorkloadTasks tells whether a live task that is no daemon is on the instance.
func (p *planBuilder) hasWorkloadTasks(instance string) bool { return p.workloadTasks[instance] > 0 }

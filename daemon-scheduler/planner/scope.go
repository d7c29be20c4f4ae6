package planner

import (
	"cmp"
	"maps"
	"slices"

	"github.com/blox/blox/daemon-scheduler/environment"
)

const paused = "the environment is paused"

// rules reads what the current deployment's revision says of where its tasks are to be. What cannot be read, as a later
// version may have written it, holds everything as it is.
func (p *planning) rules() {
	p.spec = p.Environment.CurrentSpec()
	if p.Environment.Paused {
		p.held = paused
	}
	if !p.deployed {
		return
	}
	group, err := p.spec.Selector()
	if err != nil {
		p.held = cmp.Or(p.held, "the instance group cannot be read: "+err.Error())
	}
	p.group = group
}

// exclude sees to it that an instance that the deployment is not for has none of the environment's tasks. While its agent is
// disconnected, which happens by design for seconds, nothing is stopped: the query may be about just that.
func (p *planning) exclude(i environment.Instance, launch environment.Launch) {
	tasks := p.onInstance[i.ARN]
	if i.AgentConnected && p.stopBecause(i.ARN, tasks, func(environment.Task) string { return ReasonNotMatching }) {
		return
	}
	if len(tasks) > 0 || !p.Fresh || launch.Instance == "" {
		return
	}
	if _, seen := p.byARN[launch.Task]; launch.State == environment.LaunchStarted && !seen && p.known(launch.Deployment) {
		p.unseen(launch)
		return
	}
	p.do(Action{Kind: Forget, Instance: i.ARN, Launch: launch, Reason: "the instance does not match"})
}

// delete has every task of the environment stopped and every launch settled, and tells when that is done.
func (p *planning) delete() {
	p.plan.Progress = environment.Progress{Status: p.current.Status, Health: p.current.Health, LegacyFailures: p.current.FailedInstances}
	p.held = ""
	left := false
	for _, arn := range slices.Sorted(maps.Keys(p.onInstance)) {
		left = true
		p.tally(p.sort(arn, p.current))
		p.stopBecause(arn, p.onInstance[arn], func(environment.Task) string { return ReasonDeleted })
	}
	for _, arn := range slices.Sorted(maps.Keys(p.Launches)) {
		launch := p.Launches[arn]
		_, seen := p.byARN[launch.Task]
		switch {
		case launch.State == environment.LaunchOpen:
			left = true
			p.settle(&site{Instance: environment.Instance{ARN: arn}, launch: launch})
		case launch.State == environment.LaunchStarted && !seen && p.known(launch.Deployment):
			left = true
			p.unseen(launch)
		}
	}
	if !p.Fresh {
		p.until(p.Now.Add(stale))
	}
	p.plan.DeletionComplete = p.Fresh && !left
}

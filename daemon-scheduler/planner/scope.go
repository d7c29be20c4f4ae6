package planner

import (
	"cmp"
	"maps"
	"slices"

	"github.com/blox/blox/daemon-scheduler/environment"
)

const reasonPaused = "the environment is paused"

// applySpec reads what the current deployment's revision says of where its tasks are to be. What cannot be read, as a later
// version may have written it, holds everything as it is.
func (p *planBuilder) applySpec() {
	p.spec = p.Environment.CurrentSpec()
	if p.Environment.Paused {
		p.holdReason = reasonPaused
	}
	if !p.deployed {
		return
	}
	group, err := p.spec.Selector()
	if err != nil {
		p.holdReason = cmp.Or(p.holdReason, "the instance group cannot be read: "+err.Error())
	}
	p.selector = group
}

// notMatching sees to it that an instance that the deployment is not for has none of the environment's tasks. While its agent is
// disconnected, which happens by design for seconds, nothing is stopped: the query may be about just that.
func (p *planBuilder) notMatching(i environment.Instance, launch environment.Launch) {
	tasks := p.liveTasks[i.ARN]
	if i.AgentConnected && p.stopTasksFor(i.ARN, tasks, func(environment.Task) string { return ReasonNotMatching }) {
		return
	}
	if len(tasks) > 0 || !p.Fresh || launch.Instance == "" {
		return
	}
	if _, seen := p.tasksByARN[launch.Task]; launch.State == environment.LaunchStarted && !seen && p.isKnown(launch.Deployment) {
		p.awaitVisible(launch)
		return
	}
	p.addAction(Action{Kind: Forget, Instance: i.ARN, Launch: launch, Reason: "the instance does not match"})
}

// planDeletion has every task of the environment stopped and every launch settled, and tells when that is done.
func (p *planBuilder) planDeletion() {
	p.plan.Progress = environment.Progress{Status: p.current.Status, Health: p.current.Health, LegacyFailures: p.current.FailedInstances}
	p.holdReason = ""
	left := false
	for _, arn := range slices.Sorted(maps.Keys(p.liveTasks)) {
		left = true
		p.countTasks(p.selectKept(arn, p.current))
		p.stopTasksFor(arn, p.liveTasks[arn], func(environment.Task) string { return ReasonDeleted })
	}
	for _, arn := range slices.Sorted(maps.Keys(p.Launches)) {
		launch := p.Launches[arn]
		_, seen := p.tasksByARN[launch.Task]
		switch {
		case launch.State == environment.LaunchOpen:
			left = true
			p.awaitConfirmation(&instanceState{Instance: environment.Instance{ARN: arn}, launch: launch})
		case launch.State == environment.LaunchStarted && !seen && p.isKnown(launch.Deployment):
			left = true
			p.awaitVisible(launch)
		}
	}
	if !p.Fresh {
		p.requeueAt(p.Now.Add(staleRecheck))
	}
	p.plan.DeletionComplete = p.Fresh && !left
}

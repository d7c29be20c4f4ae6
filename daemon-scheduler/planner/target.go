package planner

import (
	"slices"

	"github.com/blox/blox/daemon-scheduler/environment"
)

// assignTargets sets the deployment that each instance is to run: the current one, or, outside a canary that waits
// for promotion, the one that was completed before.
func (b *planBuilder) assignTargets(instances []*instanceState) {
	for _, i := range instances {
		i.target = b.current
	}
	canary := b.spec.DeploymentConfiguration.Canary
	finished := b.current.Promoted || b.current.Status == environment.Completed
	if !b.deployed || finished || canary == nil || !b.Environment.HasCanary(b.current) {
		return
	}
	b.canaryPending = true
	selected := b.selectCanary(*canary, instances)
	for _, i := range instances {
		if !selected[i.ARN] {
			i.target = b.previous
		}
	}
}

// selectCanary returns the canary's instances. Those on which the deployment has begun come first, so that the choice
// is stable while instances join and leave.
func (b *planBuilder) selectCanary(canary environment.Canary, instances []*instanceState) map[string]bool {
	selected := map[string]bool{}
	if canary.Query != "" {
		selector, err := canary.Selector()
		if err != nil {
			b.holdReason = waitCanaryUnknown + err.Error()
			return selected
		}
		for _, i := range instances {
			selected[i.ARN] = selector.Matches(i.Instance)
		}
		return selected
	}
	desired := 0
	var candidates []*instanceState
	for _, i := range instances {
		if i.schedulable {
			desired++
		}
		if b.hasBegun(i) {
			selected[i.ARN] = true
		} else if i.schedulable {
			candidates = append(candidates, i)
		}
	}
	missing := max(0, canary.Size(desired)-len(selected))
	for _, i := range candidates[:min(len(candidates), missing)] {
		selected[i.ARN] = true
	}
	return selected
}

// hasBegun reports whether the current deployment has a launch record or a task on the instance.
func (b *planBuilder) hasBegun(i *instanceState) bool {
	if i.hasLaunch && i.launch.Deployment == b.current.ID {
		return true
	}
	return slices.ContainsFunc(b.liveTasks[i.ARN], func(t environment.Task) bool { return t.StartedBy == b.current.ID })
}

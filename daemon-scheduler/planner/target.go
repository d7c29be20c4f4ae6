package planner

import (
	"github.com/blox/blox/daemon-scheduler/environment"
)

// target is a deployment that instances are to run, with the spec of its own revision. Each instance is judged by its
// target: which instances it includes, in which order daemons drain, and when instances are released for scale-in.
type target struct {
	environment.Deployment
	spec     environment.Spec
	selector environment.Selector
	// err is why the query cannot be parsed: a later version wrote it. The selector then matches all instances.
	err error
}

func newTarget(e environment.Environment, d environment.Deployment) *target {
	t := &target{Deployment: d, spec: e.RevisionFor(d).Spec}
	t.selector, t.err = t.spec.Selector()
	return t
}

// targets are the two deployments between which a canary divides the instances.
type targets struct {
	deployed bool
	current  *target // the deployment to roll out or to maintain; empty if nothing is deployed
	previous *target // the newest completed deployment, which instances outside a canary keep; nil without one

	canaryPending bool                 // whether the current deployment waits for promotion
	canary        environment.Canary   // of the current deployment if canaryPending
	canarySelect  environment.Selector // by the canary's query
	canaryErr     error                // why that query cannot be parsed
}

func newTargets(e environment.Environment) (t targets) {
	current, deployed := e.Current()
	t.deployed = deployed
	t.current = &target{}
	if !deployed { // drains still go by the latest revision
		t.current.spec = e.LatestRevision().Spec
		return t
	}
	t.current = newTarget(e, current)
	if previous, completed := e.NewestCompleted(); completed {
		t.previous = t.current
		if previous.ID != current.ID {
			t.previous = newTarget(e, previous)
		}
	}
	if t.canaryPending = e.AwaitsPromotion(); t.canaryPending {
		t.canary = *t.current.spec.DeploymentConfiguration.Canary
		t.canarySelect, t.canaryErr = t.canary.Selector()
	}
	return t
}

// assign returns the target of each instance: the current deployment, or, outside a canary that waits for promotion,
// the one that was completed before; nil if there is none. Begun reports whether the current deployment has a launch
// record or a task on an instance: its instances stay in the canary while others join and leave.
func (t targets) assign(instances []environment.Instance, begun func(arn string) bool) []*target {
	assigned := make([]*target, len(instances))
	if !t.canaryPending {
		for n := range assigned {
			assigned[n] = t.current
		}
		return assigned
	}
	selected := t.selectCanary(instances, begun)
	for n := range assigned {
		assigned[n] = t.previous
		if selected[n] {
			assigned[n] = t.current
		}
	}
	return assigned
}

// selectCanary reports for each instance whether the canary includes it. A canary never includes instances that the
// current deployment's revision does not select: their tasks stop after the promotion only.
func (t targets) selectCanary(instances []environment.Instance, begun func(arn string) bool) []bool {
	selected := make([]bool, len(instances))
	candidate := make([]bool, len(instances))
	if t.canaryErr != nil {
		return selected
	}
	desired, chosen := 0, 0
	for n, i := range instances {
		hasBegun := begun(i.ARN)
		candidate[n] = i.CanRunTasks() && t.current.selector.Matches(i)
		switch {
		case t.canary.Query != "":
			selected[n] = (hasBegun || candidate[n]) && t.canarySelect.Matches(i)
		case hasBegun:
			selected[n] = true
			chosen++
		}
		desired += oneIf(candidate[n])
	}
	if t.canary.Query != "" {
		return selected
	}
	missing := t.canary.Size(desired) - chosen
	for n := 0; n < len(instances) && missing > 0; n++ {
		if !selected[n] && candidate[n] {
			selected[n] = true
			missing--
		}
	}
	return selected
}

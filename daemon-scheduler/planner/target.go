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

	adopted map[string]bool // ids of the other deployments whose tasks count as its own
}

func newTarget(e environment.Environment, d environment.Deployment) *target {
	t := &target{Deployment: d, spec: e.RevisionFor(d).Spec, adopted: map[string]bool{}}
	t.selector, t.err = t.spec.Selector()
	for id := range e.Deployments {
		if e.Adopts(d, id) {
			t.adopted[id] = true
		}
	}
	return t
}

// targets are the two deployments between which a canary divides the instances.
type targets struct {
	deployed bool
	current  *target // the deployment to roll out or to maintain; empty if nothing is deployed
	previous *target // the newest completed deployment, which instances outside a canary keep; nil without one

	canaryPending bool      // whether the current deployment waits for promotion
	canary        canarySet // of the current deployment if canaryPending
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
		t.canary = newCanarySet(e, current)
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
	selected := t.canary.choose(t.current.selector, instances, begun)
	for n := range assigned {
		assigned[n] = t.previous
		if selected[n] {
			assigned[n] = t.current
		}
	}
	return assigned
}

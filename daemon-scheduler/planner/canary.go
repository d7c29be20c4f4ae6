package planner

import (
	"github.com/blox/blox/daemon-scheduler/environment"
)

// canarySet is the set of instances that the present step of a canary and the steps before it cover: those that match
// one of the queries, and as many more as the largest step in percent or by count needs.
type canarySet struct {
	queries []environment.Selector
	sizes   []environment.CanaryStep
	err     error // why a query cannot be parsed: a later version wrote it
}

func newCanarySet(e environment.Environment, d environment.Deployment) (c canarySet) {
	_, number, _, waits := e.CanaryStep(d)
	if !waits {
		return c
	}
	steps := e.RevisionFor(d).Spec.DeploymentConfiguration.Canary.AllSteps()
	for _, step := range steps[:number] {
		if step.Query == "" {
			c.sizes = append(c.sizes, step)
			continue
		}
		selector, err := step.Selector()
		if err != nil {
			return canarySet{err: err}
		}
		c.queries = append(c.queries, selector)
	}
	return c
}

// choose reports for each instance whether the canary includes it. A canary never includes instances that the current
// deployment's revision, by its selector, does not select: their tasks stop after the promotion only. Begun reports
// whether the current deployment has begun on an instance: with a size, such instances stay in the canary while others
// join and leave, so that each step contains the one before.
func (c canarySet) choose(
	selector environment.Selector, instances []environment.Instance, begun func(arn string) bool,
) []bool {
	chosen := make([]bool, len(instances))
	candidate := make([]bool, len(instances))
	if c.err != nil {
		return chosen
	}
	desired, count := 0, 0
	for n, i := range instances {
		hasBegun := begun(i.ARN)
		candidate[n] = i.CanRunTasks() && selector.Matches(i)
		chosen[n] = hasBegun && len(c.sizes) > 0 || (hasBegun || candidate[n]) && c.matches(i)
		desired += oneIf(candidate[n])
		count += oneIf(chosen[n])
	}
	missing := c.size(desired) - count
	for n := 0; n < len(instances) && missing > 0; n++ {
		if !chosen[n] && candidate[n] {
			chosen[n] = true
			missing--
		}
	}
	return chosen
}

func (c canarySet) matches(i environment.Instance) bool {
	for _, query := range c.queries {
		if query.Matches(i) {
			return true
		}
	}
	return false
}

// size returns how many of desired instances the largest step covers.
func (c canarySet) size(desired int) (size int) {
	for _, step := range c.sizes {
		size = max(size, step.Size(desired))
	}
	return size
}

package planner

import (
	"cmp"
	"fmt"
	"maps"
	"slices"

	"github.com/blox/blox/daemon-scheduler/environment"
)

// room is how many more instances may be changed now.
type room struct {
	startFirst bool // the new task is started beside the old one, which stops when the new one runs
	left       int  // instances that may lose their running task or, with startFirst, get a second one
	most       int  // of all
}

// aim says what each instance is to run: the current deployment; but while that is a canary, for all other instances what
// was completed before.
func (p *planning) aim(sites []*site) {
	for _, at := range sites {
		at.target = p.current
	}
	canary := p.spec.DeploymentConfiguration.Canary
	if !p.deployed || p.current.Promoted || p.current.Status == environment.Completed || canary == nil || !p.Environment.HasCanary(p.current) {
		return
	}
	p.canary = true
	for _, d := range p.Environment.History() {
		if d.Rollout() == environment.RolledOut {
			p.previous = d
			break
		}
	}
	picked := p.pick(*canary, sites)
	for _, at := range sites {
		if !picked[at.ARN] {
			at.target = p.previous
		}
	}
}

// pick chooses the canary's instances: those first where the deployment has begun, so that the choice stands while
// instances come and go.
func (p *planning) pick(canary environment.Canary, sites []*site) map[string]bool {
	picked := map[string]bool{}
	if canary.Query != "" {
		group, err := canary.Picks()
		if err != nil {
			p.held = "the canary's query cannot be read: " + err.Error()
			return picked
		}
		for _, at := range sites {
			picked[at.ARN] = group.Has(at.Instance)
		}
		return picked
	}
	began := func(at *site) bool {
		return at.launched && at.launch.Deployment == p.current.ID ||
			slices.ContainsFunc(p.onInstance[at.ARN], func(t environment.Task) bool { return t.StartedBy == p.current.ID })
	}
	desired := 0
	var candidates []*site
	for _, at := range sites {
		if at.able {
			desired++
		}
		if at.able || began(at) {
			candidates = append(candidates, at)
		}
	}
	slices.SortStableFunc(candidates, func(a, b *site) int {
		if x, y := began(a), began(b); x != y {
			if x {
				return -1
			}
			return 1
		}
		return cmp.Compare(a.ARN, b.ARN)
	})
	share := canary.Share(desired)
	for i, at := range candidates {
		picked[at.ARN] = i < share || began(at)
	}
	return picked
}

// lacks tells whether the instance counts among those that are without a running task because of the rollout: where the
// current one has taken an earlier task away, or one was lost since the rollout began. An instance that had none before
// holds nothing up.
func (p *planning) lacks(at *site) bool {
	touched := at.launched && at.target.ID != "" && p.of(at.target, at.launch.Deployment) && !at.launch.Vacant
	switch {
	case !at.matches || at.Status != "ACTIVE" || at.target.ID == "":
		return false
	case !at.AgentConnected:
		return touched // nobody knows how its task does
	case at.up:
		return false
	case touched:
		return true
	}
	for _, task := range p.onInstance[at.ARN] {
		if task.Stopping() || p.askedToStop(task) {
			return true
		}
	}
	return p.lastStopped[at.ARN].After(at.target.StartTime)
}

// measure says how many instances may be changed beside those that are being changed.
func (p *planning) measure(sites []*site) room {
	desired, lacking, doubled := 0, 0, 0
	for _, at := range sites {
		if at.able || at.lacks {
			desired++
		}
		if at.lacks {
			lacking++
		}
		if p.doubles(at) {
			doubled++
		}
	}
	rules := p.spec.DeploymentConfiguration
	if most := rules.MayDouble(desired); most > 0 {
		return room{startFirst: true, left: most - doubled, most: most}
	}
	most := rules.MayLack(desired)
	return room{left: most - lacking, most: most}
}

// doubles tells whether the instance has, or may be getting, a second task beside a running one of before.
func (p *planning) doubles(at *site) bool {
	starting := at.launched && at.launch.State == environment.Open || at.lives
	return starting && slices.ContainsFunc(at.others, func(t environment.Task) bool { return !p.of(at.target, t.StartedBy) })
}

// take reserves room for one more instance, if there is some.
func (p *planning) take() bool {
	if p.room.left <= 0 {
		return false
	}
	p.room.left--
	return true
}

// replace deals with an instance whose live tasks are all of earlier deployments, one of them running. It is true when its
// new task may be started now, beside them.
func (p *planning) replace(at *site, outdated []environment.Task) (start bool) {
	switch {
	case p.backsOff(at) && !p.better(at.launch): // which takes no room
		return true
	case p.room.startFirst && p.take():
		return true
	case p.room.startFirst:
		p.wait(at.ARN, fmt.Sprintf("its turn has not come: %d instances may have two tasks", p.room.most))
	case !p.take():
		p.wait(at.ARN, fmt.Sprintf("its turn has not come: %d instances may be without a running task", p.room.most))
	default:
		p.stopAll(at.ARN, outdated)
	}
	return false
}

// judge has a deployment fail whose starts and tasks have failed too often. What goes back is not judged: there is
// nothing else to go back to.
func (p *planning) judge() {
	breaker := p.spec.DeploymentConfiguration.CircuitBreaker
	if !p.deployed || !p.Fresh || p.held != "" || p.current.Rollout() != environment.InRollout || p.current.RollbackOf != "" {
		return
	}
	failures, first := 0, ""
	for _, arn := range slices.Sorted(maps.Keys(p.Launches)) {
		l := p.Launches[arn]
		if l.Deployment != p.current.ID || l.Vacant {
			continue
		}
		if n := failed(l); n > 0 {
			failures += n
			if first == "" && l.Reason != "" {
				first = l.Reason + " on " + arn
				if l.Detail != "" {
					first += ": " + l.Detail
				}
			}
		}
	}
	failures = max(failures, p.current.FailedTasks)
	p.plan.Progress.FailedTasks = failures
	if most := breaker.MayFail(max(p.desired, 1)); breaker.Enable && failures >= most {
		p.plan.Fail = fmt.Sprintf("%d starts and tasks failed, of which %d are allowed", failures, most-1)
		if first != "" {
			p.plan.Fail += "; " + first
		}
		p.plan.Actions = slices.DeleteFunc(p.plan.Actions, func(a Action) bool { return a.Kind == Start || a.Kind == Stop })
	}
}

// failed is how many tries of the launch's deployment have failed on its instance.
func failed(l environment.Launch) int {
	if l.State == environment.Failed {
		return l.Attempts
	}
	return max(l.Attempts-1, 0)
}

// bake tells whether a deployment whose tasks all run has run for as long as it has to.
func (p *planning) bake() bool {
	due := p.spec.DeploymentConfiguration.BakeTime()
	if due == 0 || p.current.RollbackOf != "" || p.current.Status == environment.Completed {
		return true
	}
	p.plan.Progress.Baking = true
	since := p.current.BakingSince
	if since.IsZero() {
		since = p.Now // it is noted now
	}
	if p.Now.Before(since.Add(due)) {
		p.until(since.Add(due))
		return false
	}
	return true
}

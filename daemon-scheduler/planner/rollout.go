package planner

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/blox/blox/daemon-scheduler/environment"
)

// room is how many more instances may be changed now.
type room struct {
	startFirst bool // the new task is started beside the old one, which stops when the new one runs
	left       int  // instances that may lose their running task or, with startFirst, get a second one
	why        string
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
		group, err := canary.Selector()
		if err != nil {
			p.held = "the canary's query cannot be read: " + err.Error()
			return picked
		}
		for _, at := range sites {
			picked[at.ARN] = group.Matches(at.Instance)
		}
		return picked
	}
	desired, more := 0, []*site{}
	for _, at := range sites {
		if at.able {
			desired++
		}
		if p.begun(at) {
			picked[at.ARN] = true
		} else if at.able {
			more = append(more, at)
		}
	}
	for _, at := range more[:min(len(more), max(0, canary.Size(desired)-len(picked)))] {
		picked[at.ARN] = true
	}
	return picked
}

// begun tells whether the current deployment has begun on the instance.
func (p *planning) begun(at *site) bool {
	return at.launched && at.launch.Deployment == p.current.ID ||
		slices.ContainsFunc(p.onInstance[at.ARN], func(t environment.Task) bool { return t.StartedBy == p.current.ID })
}

// begin finds out since when the rollout disturbs instances: what a deployment has begun that was stopped or has failed, the
// one that takes its place goes on with.
func (p *planning) begin() {
	p.unended = map[string]bool{p.current.ID: true}
	p.since = p.current.StartTime
	var completed bool
	p.previous, completed = p.Environment.NewestCompleted()
	p.first = !completed || p.previous.ID == p.current.ID
	for _, d := range p.Environment.History() {
		if completed && d.ID == p.previous.ID {
			break
		}
		p.unended[d.ID] = true
		if d.StartTime.Before(p.since) {
			p.since = d.StartTime
		}
	}
}

// skew is by how much the clocks of ECS and of those who create deployments may differ.
const skew = 5 * time.Minute

// lose notes that a running task has ended, where that is to count: the rollout has stopped it and tried nothing in its place
// yet, or it was lost since the current deployment began.
func (p *planning) lose(task environment.Task) {
	ours := strings.HasPrefix(task.StoppedReason, ReasonSuperseded) && task.StoppedAt.After(p.since.Add(-skew)) &&
		!announced(p.Launches[task.Instance]).After(task.StoppedAt)
	if !task.StartedAt.IsZero() && (ours || task.StoppedAt.After(p.current.StartTime)) {
		p.lost[task.Instance] = true
	}
}

// lacks tells whether the instance counts among those that are without a running task because of the rollout: where it has
// taken an earlier task away, or one was lost since it began. An instance that had none before holds nothing up.
func (p *planning) lacks(at *site) bool {
	if !at.matches || at.Status != "ACTIVE" || at.target.ID == "" || at.yields {
		return false
	}
	last, seen := p.byARN[at.launch.Task]
	had := at.launched && (!at.launch.HadNoTask || !last.StartedAt.IsZero())
	touched := had && (p.unended[at.launch.Deployment] || announced(at.launch).After(p.since)) // what a canary is not for goes back meanwhile
	switch {
	case !at.AgentConnected && touched:
		return true // nobody knows how its task does
	case at.up:
		return touched && !at.launch.HadNoTask && p.unproven(at) && !slices.ContainsFunc(at.others, p.runs)
	case touched, had && at.launch.State == environment.LaunchStarted && !seen, p.lost[at.ARN]:
		return true
	}
	return slices.ContainsFunc(p.onInstance[at.ARN], func(t environment.Task) bool {
		return t.LastStatus != "PENDING" && (t.Stopping() || p.askedToStop(t))
	})
}

// A new task has to run for so long before the next instance may lose its own, or its own instance the one beside it: without
// that, tasks that die soon after they began to run would take all others with them. It doubles with every failure.
const (
	firstProof = time.Second
	mostProof  = time.Minute
)

// unproven tells whether the instance's task, which the current rollout has started, has not run for long enough yet.
func (p *planning) unproven(at *site) bool {
	since := at.kept.StartedAt
	if p.current.Status == environment.Completed || !at.lives || !p.runs(at.kept) || since.IsZero() || at.launch.Task != at.kept.ARN || at.launch.Deployment != p.current.ID {
		return false
	}
	if since.After(p.Now) { // by ECS's clock
		since = announced(at.launch)
	}
	due := since.Add(min(firstProof<<min(p.failures, 10), mostProof))
	if !p.Now.Before(due) {
		return false
	}
	if p.proven.IsZero() || due.Before(p.proven) {
		p.proven = due
	}
	return true
}

// untilProven has a look taken when the first task is proven that is not yet.
func (p *planning) untilProven() {
	if !p.proven.IsZero() {
		p.until(p.proven)
	}
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
	lack, double := rules.MaxUnavailable(desired), rules.MaxSurge(desired)
	may := room{startFirst: double > 0, left: lack - lacking, why: fmt.Sprintf("at most %d of the instances may be without a running task", lack)}
	if may.startFirst && may.left > 0 { // else tasks that die after they ran would take the old ones with them
		may.left, may.why = double-doubled, fmt.Sprintf("at most %d of the instances may have two tasks", double)
	}
	return may
}

// doubles tells whether the instance has, or may be getting, a second live task.
func (p *planning) doubles(at *site) bool {
	live := p.onInstance[at.ARN]
	_, seen := p.byARN[at.launch.Task]
	coming := at.launched && (at.launch.State == environment.LaunchOpen ||
		at.launch.State == environment.LaunchStarted && !seen && p.known(at.launch.Deployment))
	if coming && !slices.ContainsFunc(live, func(t environment.Task) bool { return t.StartedBy == at.launch.Deployment }) {
		return len(live) > 0
	}
	return len(live) > 1
}

// take reserves room for one more instance, if there is some.
func (p *planning) take() bool {
	if p.room.left <= 0 {
		return false
	}
	p.room.left--
	return true
}

// replace deals with an instance whose one live task, which runs, is of an earlier deployment. It is true when there is
// nothing to be stopped before what follows.
func (p *planning) replace(at *site, outdated []environment.Task) bool {
	switch {
	case p.doubles(at), p.backsOff(at) && !p.better(at.launch): // which take no more room
		return true
	case !p.take():
		p.wait(at.ARN, "its turn has not come: "+p.room.why)
		p.untilProven()
		return false
	case p.room.startFirst:
		return true
	}
	p.stopAll(at.ARN, outdated)
	return false
}

// judge has a deployment fail whose starts and tasks have failed too often. What goes back is not judged: there is
// nothing else to go back to.
func (p *planning) judge() {
	breaker := p.spec.DeploymentConfiguration.CircuitBreaker
	if !p.deployed || !p.Fresh || p.held != "" || p.current.Rollout() != environment.RolloutInProgress || p.current.RollbackOf != "" {
		return
	}
	p.plan.Progress.FailedTasks = p.failures
	if most := breaker.FailureThreshold(max(p.desired, 1)); breaker.Enable && p.failures >= most {
		p.plan.FailureReason = fmt.Sprintf("%d starts and tasks failed, of which %d are allowed", p.failures, most-1)
		if p.failure != "" {
			p.plan.FailureReason += "; " + p.failure
		}
		p.plan.Actions = slices.DeleteFunc(p.plan.Actions, func(a Action) bool { return a.Kind == Start || a.Kind == Stop })
	}
}

// countFailures counts the starts and tasks of the deployment that have failed, but for those on instances that had none before.
func (p *planning) countFailures() {
	for _, arn := range slices.Sorted(maps.Keys(p.Launches)) {
		l := p.Launches[arn]
		n := failed(l)
		if l.Deployment != p.current.ID || l.HadNoTask && !p.first || n == 0 {
			continue
		}
		p.failures += n
		if p.failure == "" && l.Reason != "" {
			p.failure = l.Reason + " on " + arn
			if l.Detail != "" {
				p.failure += ": " + l.Detail
			}
		}
	}
	p.failures = max(p.failures, p.current.FailedTasks)
}

// failed is how many tries of the launch's deployment have failed on its instance. One that ECS never answered, and knows
// nothing of, has not.
func failed(l environment.Launch) int {
	if l.State == environment.LaunchFailed && l.Reason != "" {
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
	since := p.current.BakeStartedAt
	if since.IsZero() {
		since = p.Now // it is noted now
	}
	if p.restarted.After(since) {
		since = p.restarted
	}
	if p.Now.Before(since.Add(due)) {
		p.until(since.Add(due))
		return false
	}
	return true
}

package planner

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/blox/blox/daemon-scheduler/environment"
)

// rolloutBudget is how many more instances may be changed now.
type rolloutBudget struct {
	startFirst bool // the new task is started beside the old one, which stops when the new one runs
	remaining  int  // instances that may lose their running task or, with startFirst, get a second one
	limit      string
}

// assignTargets says what each instance is to run: the current deployment; but while that is a canary, for all other instances what
// was completed before.
func (p *planBuilder) assignTargets(sites []*instanceState) {
	for _, at := range sites {
		at.target = p.current
	}
	canary := p.spec.DeploymentConfiguration.Canary
	if !p.deployed || p.current.Promoted || p.current.Status == environment.Completed || canary == nil || !p.Environment.HasCanary(p.current) {
		return
	}
	p.canaryPending = true
	picked := p.selectCanary(*canary, sites)
	for _, at := range sites {
		if !picked[at.ARN] {
			at.target = p.previous
		}
	}
}

// selectCanary chooses the canary's instances: those first where the deployment has begun, so that the choice stands while
// instances come and go.
func (p *planBuilder) selectCanary(canary environment.Canary, sites []*instanceState) map[string]bool {
	picked := map[string]bool{}
	if canary.Query != "" {
		group, err := canary.Selector()
		if err != nil {
			p.holdReason = "the canary's query cannot be read: " + err.Error()
			return picked
		}
		for _, at := range sites {
			picked[at.ARN] = group.Matches(at.Instance)
		}
		return picked
	}
	desired, more := 0, []*instanceState{}
	for _, at := range sites {
		if at.schedulable {
			desired++
		}
		if p.hasBegun(at) {
			picked[at.ARN] = true
		} else if at.schedulable {
			more = append(more, at)
		}
	}
	for _, at := range more[:min(len(more), max(0, canary.Size(desired)-len(picked)))] {
		picked[at.ARN] = true
	}
	return picked
}

// hasBegun tells whether the current deployment has begun on the instance.
func (p *planBuilder) hasBegun(at *instanceState) bool {
	return at.hasLaunch && at.launch.Deployment == p.current.ID ||
		slices.ContainsFunc(p.liveTasks[at.ARN], func(t environment.Task) bool { return t.StartedBy == p.current.ID })
}

// findRolloutStart finds out since when the rollout disturbs instances: what a deployment has begun that was stopped or has failed, the
// one that takes its place goes on with.
func (p *planBuilder) findRolloutStart() {
	p.rolloutDeployments = map[string]bool{p.current.ID: true}
	p.rolloutStart = p.current.StartTime
	var completed bool
	p.previous, completed = p.Environment.NewestCompleted()
	p.firstRollout = !completed || p.previous.ID == p.current.ID
	for _, d := range p.Environment.History() {
		if completed && d.ID == p.previous.ID {
			break
		}
		p.rolloutDeployments[d.ID] = true
		if d.StartTime.Before(p.rolloutStart) {
			p.rolloutStart = d.StartTime
		}
	}
}

// clockSkew is by how much the clocks of ECS and of those who create deployments may differ.
const clockSkew = 5 * time.Minute

// recordLostTask notes that a running task has ended, where that is to count: the rollout has stopped it and tried nothing in its place
// yet, or it was lost since the current deployment began.
func (p *planBuilder) recordLostTask(task environment.Task) {
	ours := strings.HasPrefix(task.StoppedReason, ReasonSuperseded) && task.StoppedAt.After(p.rolloutStart.Add(-clockSkew)) &&
		!announcedAt(p.Launches[task.Instance]).After(task.StoppedAt)
	if !task.StartedAt.IsZero() && (ours || task.StoppedAt.After(p.current.StartTime)) {
		p.lostRunningTask[task.Instance] = true
	}
}

// unavailable tells whether the instance counts among those that are without a running task because of the rollout: where it has
// taken an earlier task away, or one was lost since it began. An instance that had none before holds nothing up.
func (p *planBuilder) unavailable(at *instanceState) bool {
	if !at.matches || at.Status != "ACTIVE" || at.target.ID == "" || at.released {
		return false
	}
	last, seen := p.tasksByARN[at.launch.Task]
	had := at.hasLaunch && (!at.launch.HadNoTask || !last.StartedAt.IsZero())
	touched := had && (p.rolloutDeployments[at.launch.Deployment] || announcedAt(at.launch).After(p.rolloutStart)) // what a canary is not for goes back meanwhile
	switch {
	case !at.AgentConnected && touched:
		return true // nobody knows how its task does
	case at.hasRunning:
		return touched && !at.launch.HadNoTask && p.belowMinReady(at) && !slices.ContainsFunc(at.others, p.staysRunning)
	case touched, had && at.launch.State == environment.LaunchStarted && !seen, p.lostRunningTask[at.ARN]:
		return true
	}
	return slices.ContainsFunc(p.liveTasks[at.ARN], func(t environment.Task) bool {
		return t.LastStatus != "PENDING" && (t.Stopping() || p.stopRequested(t))
	})
}

// A new task has to run for so long before the next instance may lose its own, or its own instance the one beside it: without
// that, tasks that die soon after they began to run would take all others with them. It doubles with every failure.
const (
	minReadyInitial = time.Second
	minReadyMax     = time.Minute
)

// belowMinReady tells whether the instance's task, which the current rollout has started, has not run for long enough yet.
func (p *planBuilder) belowMinReady(at *instanceState) bool {
	since := at.kept.StartedAt
	if p.current.Status == environment.Completed || !at.hasKept || !p.staysRunning(at.kept) || since.IsZero() || at.launch.Task != at.kept.ARN || at.launch.Deployment != p.current.ID {
		return false
	}
	if since.After(p.Now) { // by ECS's clock
		since = announcedAt(at.launch)
	}
	due := since.Add(min(minReadyInitial<<min(p.failures, 10), minReadyMax))
	if !p.Now.Before(due) {
		return false
	}
	if p.minReadyAt.IsZero() || due.Before(p.minReadyAt) {
		p.minReadyAt = due
	}
	return true
}

// requeueAtMinReady has a look taken when the first task is proven that is not yet.
func (p *planBuilder) requeueAtMinReady() {
	if !p.minReadyAt.IsZero() {
		p.requeueAt(p.minReadyAt)
	}
}

// computeBudget says how many instances may be changed beside those that are being changed.
func (p *planBuilder) computeBudget(sites []*instanceState) rolloutBudget {
	desired, lacking, doubled := 0, 0, 0
	for _, at := range sites {
		if at.schedulable || at.unavailable {
			desired++
		}
		if at.unavailable {
			lacking++
		}
		if p.surging(at) {
			doubled++
		}
	}
	rules := p.spec.DeploymentConfiguration
	lack, double := rules.MaxUnavailable(desired), rules.MaxSurge(desired)
	may := rolloutBudget{startFirst: double > 0, remaining: lack - lacking, limit: fmt.Sprintf("at most %d of the instances may be without a running task", lack)}
	if may.startFirst && may.remaining > 0 { // else tasks that die after they ran would take the old ones with them
		may.remaining, may.limit = double-doubled, fmt.Sprintf("at most %d of the instances may have two tasks", double)
	}
	return may
}

// surging tells whether the instance has, or may be getting, a second live task.
func (p *planBuilder) surging(at *instanceState) bool {
	live := p.liveTasks[at.ARN]
	_, seen := p.tasksByARN[at.launch.Task]
	coming := at.hasLaunch && (at.launch.State == environment.LaunchOpen ||
		at.launch.State == environment.LaunchStarted && !seen && p.isKnown(at.launch.Deployment))
	if coming && !slices.ContainsFunc(live, func(t environment.Task) bool { return t.StartedBy == at.launch.Deployment }) {
		return len(live) > 0
	}
	return len(live) > 1
}

// reserve reserves room for one more instance, if there is some.
func (p *planBuilder) reserve() bool {
	if p.budget.remaining <= 0 {
		return false
	}
	p.budget.remaining--
	return true
}

// replaceSuperseded deals with an instance whose one live task, which runs, is of an earlier deployment. It is true when there is
// nothing to be stopped before what follows.
func (p *planBuilder) replaceSuperseded(at *instanceState, outdated []environment.Task) bool {
	switch {
	case p.surging(at), p.backingOff(at) && !p.instanceImproved(at.launch): // which take no more room
		return true
	case !p.reserve():
		p.addWait(at.ARN, "its turn has not come: "+p.budget.limit)
		p.requeueAtMinReady()
		return false
	case p.budget.startFirst:
		return true
	}
	p.stopTasks(at.ARN, outdated)
	return false
}

// checkCircuitBreaker has a deployment fail whose starts and tasks have failed too often. What goes back is not judged: there is
// nothing else to go back to.
func (p *planBuilder) checkCircuitBreaker() {
	breaker := p.spec.DeploymentConfiguration.CircuitBreaker
	if !p.deployed || !p.Fresh || p.holdReason != "" || p.current.Rollout() != environment.RolloutInProgress || p.current.RollbackOf != "" {
		return
	}
	p.plan.Progress.FailedTasks = p.failures
	if most := breaker.FailureThreshold(max(p.desired, 1)); breaker.Enable && p.failures >= most {
		p.plan.FailureReason = fmt.Sprintf("%d starts and tasks failed, of which %d are allowed", p.failures, most-1)
		if p.failureExample != "" {
			p.plan.FailureReason += "; " + p.failureExample
		}
		p.plan.Actions = slices.DeleteFunc(p.plan.Actions, func(a Action) bool { return a.Kind == Start || a.Kind == Stop })
	}
}

// countFailures counts the starts and tasks of the deployment that have failed, but for those on instances that had none before.
func (p *planBuilder) countFailures() {
	for _, arn := range slices.Sorted(maps.Keys(p.Launches)) {
		l := p.Launches[arn]
		n := failedAttempts(l)
		if l.Deployment != p.current.ID || l.HadNoTask && !p.firstRollout || n == 0 {
			continue
		}
		p.failures += n
		if p.failureExample == "" && l.Reason != "" {
			p.failureExample = l.Reason + " on " + arn
			if l.Detail != "" {
				p.failureExample += ": " + l.Detail
			}
		}
	}
	p.failures = max(p.failures, p.current.FailedTasks)
}

// failedAttempts is how many tries of the launch's deployment have failed on its instance. One that ECS never answered, and knows
// nothing of, has not.
func failedAttempts(l environment.Launch) int {
	if l.State == environment.LaunchFailed && l.Reason != "" {
		return l.Attempts
	}
	return max(l.Attempts-1, 0)
}

// bakeTimeElapsed tells whether a deployment whose tasks all run has run for as long as it has to.
func (p *planBuilder) bakeTimeElapsed() bool {
	due := p.spec.DeploymentConfiguration.BakeTime()
	if due == 0 || p.current.RollbackOf != "" || p.current.Status == environment.Completed {
		return true
	}
	p.plan.Progress.Baking = true
	since := p.current.BakeStartedAt
	if since.IsZero() {
		since = p.Now // it is noted now
	}
	if p.lastRestart.After(since) {
		since = p.lastRestart
	}
	if p.Now.Before(since.Add(due)) {
		p.requeueAt(since.Add(due))
		return false
	}
	return true
}

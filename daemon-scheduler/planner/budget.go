package planner

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/blox/blox/daemon-scheduler/environment"
	"github.com/blox/blox/internal/backoff"
)

// clockSkew is the largest difference between the clocks of ECS and of the replicas that create deployments.
const clockSkew = 5 * time.Minute

// A new task has to run for the min ready time before the next instance may lose its old one, or its own instance the
// one beside it. Otherwise tasks that stop soon after they began to run would replace all the old ones. The time
// doubles with every failure.
const (
	minReadyInitial = time.Second
	minReadyMax     = time.Minute
)

// rolloutBudget is how many more instances the rollout may change now.
type rolloutBudget struct {
	startFirst bool   // new tasks start beside the old ones, which stop once the new ones run
	remaining  int    // instances that may lose their running task or, with startFirst, get a second one
	limit      string // what limits it
}

// computeBudget returns the budget that the instances already unavailable or surging leave.
func (b *planBuilder) computeBudget(instances []*instanceState) rolloutBudget {
	desired, unavailable, surging := 0, 0, 0
	for _, i := range instances {
		if i.schedulable || i.unavailable {
			desired++
		}
		if i.unavailable {
			unavailable++
		}
		if b.surging(i) {
			surging++
		}
	}
	rules := b.spec.DeploymentConfiguration
	maxUnavailable, maxSurge := rules.MaxUnavailable(desired), rules.MaxSurge(desired)
	budget := rolloutBudget{
		startFirst: maxSurge > 0,
		remaining:  maxUnavailable - unavailable,
		limit:      fmt.Sprintf(limitUnavailable, quantity(maxUnavailable, "instance")),
	}
	// The unavailable limit holds with startFirst, too: tasks that stop after they ran would otherwise replace the old
	// ones.
	if budget.startFirst && budget.remaining > 0 {
		budget.remaining = maxSurge - surging
		budget.limit = fmt.Sprintf(limitSurge, quantity(maxSurge, "instance"))
	}
	return budget
}

// reserve takes one instance from the budget, if any remains.
func (b *planBuilder) reserve() bool {
	if b.budget.remaining <= 0 {
		return false
	}
	b.budget.remaining--
	return true
}

// findRolloutStart determines the rollout that the current deployment belongs to. A deployment that was stopped or
// failed has disturbed instances already; the one that follows it continues its rollout.
func (b *planBuilder) findRolloutStart() {
	b.rolloutDeployments = map[string]bool{b.current.ID: true}
	b.rolloutStart = b.current.StartTime
	var completed bool
	b.previous, completed = b.Environment.NewestCompleted()
	b.firstRollout = !completed || b.previous.ID == b.current.ID
	for _, d := range b.Environment.History() {
		if completed && d.ID == b.previous.ID {
			break
		}
		b.rolloutDeployments[d.ID] = true
		if d.StartTime.Before(b.rolloutStart) {
			b.rolloutStart = d.StartTime
		}
	}
}

// recordLostTask notes the instance of a task that had run, if its loss counts against the budget: the rollout
// stopped it and has not started another one yet, or it stopped after the current deployment began.
func (b *planBuilder) recordLostTask(task environment.Task) {
	if task.StartedAt.IsZero() {
		return
	}
	notReplaced := !announcedAt(b.Launches[task.Instance]).After(task.StoppedAt)
	stoppedByRollout := strings.HasPrefix(task.StoppedReason, StopMessages[ReasonSuperseded]) &&
		task.StoppedAt.After(b.rolloutStart.Add(-clockSkew)) && notReplaced
	if stoppedByRollout || task.StoppedAt.After(b.current.StartTime) {
		b.lostRunningTask[task.Instance] = true
	}
}

// unavailable reports whether the rollout may be why the instance has no running task: it stopped a superseded task
// there, or one was lost since it began. An instance without a task before the rollout does not count.
func (b *planBuilder) unavailable(i *instanceState) bool {
	if !i.matches || i.Status != statusActive || i.target.ID == "" || i.released {
		return false
	}
	hadTask := i.hasLaunch && (!i.launch.HadNoTask || !b.tasksByARN[i.launch.Task].StartedAt.IsZero())
	// Outside a canary, instances return to the previous deployment during the rollout: their launches count by time.
	inRollout := b.rolloutDeployments[i.launch.Deployment] || announcedAt(i.launch).After(b.rolloutStart)
	touched := hadTask && inRollout
	switch {
	case !i.AgentConnected && touched:
		return true // the state of its task is unknown
	case i.hasRunning:
		onlyNewTask := !slices.ContainsFunc(i.others, b.staysRunning)
		return touched && !i.launch.HadNoTask && b.belowMinReady(i) && onlyNewTask
	case touched, hadTask && b.isInvisible(i.launch), b.lostRunningTask[i.ARN]:
		return true
	}
	return slices.ContainsFunc(b.liveTasks[i.ARN], func(t environment.Task) bool {
		return t.LastStatus != "PENDING" && (t.Stopping() || b.stopRequested(t))
	})
}

// belowMinReady reports whether the instance's task is one that the current rollout started, and has not run for the
// min ready time yet.
func (b *planBuilder) belowMinReady(i *instanceState) bool {
	since := i.kept.StartedAt
	if b.current.Status == environment.Completed || !i.hasKept || !b.staysRunning(i.kept) || since.IsZero() {
		return false
	}
	if i.launch.Task != i.kept.ARN || i.launch.Deployment != b.current.ID {
		return false
	}
	if since.After(b.Now) { // ECS's clock is ahead
		since = announcedAt(i.launch)
	}
	due := since.Add(backoff.Delay(minReadyInitial, minReadyMax, b.failures+1))
	if !b.Now.Before(due) {
		return false
	}
	if b.minReadyAt.IsZero() || due.Before(b.minReadyAt) {
		b.minReadyAt = due
	}
	return true
}

// requeueAtMinReady plans the environment again when the next new task becomes ready.
func (b *planBuilder) requeueAtMinReady() {
	if !b.minReadyAt.IsZero() {
		b.requeueAt(b.minReadyAt)
	}
}

// surging reports whether the instance has a second live task, or may be getting one.
func (b *planBuilder) surging(i *instanceState) bool {
	live := b.liveTasks[i.ARN]
	mayStart := i.isOpen() || b.isInvisible(i.launch) && b.isKnown(i.launch.Deployment)
	startedByLaunch := func(t environment.Task) bool { return t.StartedBy == i.launch.Deployment }
	if mayStart && !slices.ContainsFunc(live, startedByLaunch) {
		return len(live) > 0
	}
	return len(live) > 1
}

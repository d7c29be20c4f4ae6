package planner

import (
	"fmt"
	"slices"
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

// rollout is the rollout that the current deployment belongs to. A deployment that was stopped or failed has disturbed
// instances already; the one that follows it continues its rollout.
type rollout struct {
	start       time.Time       // when it began, with the unfinished deployments that it continues
	deployments map[string]bool // the ids of these deployments
	first       bool            // no other deployment was completed before
}

func newRollout(e environment.Environment) rollout {
	current, _ := e.Current()
	previous, completed := e.NewestCompleted()
	r := rollout{
		start:       current.StartTime,
		deployments: map[string]bool{current.ID: true},
		first:       !completed || previous.ID == current.ID,
	}
	for _, d := range e.History() {
		if completed && d.ID == previous.ID {
			break
		}
		r.deployments[d.ID] = true
		if d.StartTime.Before(r.start) {
			r.start = d.StartTime
		}
	}
	return r
}

// rolloutBudget is how many more instances the rollout may change now.
type rolloutBudget struct {
	startFirst  bool      // new tasks start beside the old ones, which stop once the new ones run
	remaining   int       // instances that may lose their running task or, with startFirst, get a second one
	limit       string    // what limits it
	nextReadyAt time.Time // when the next new task becomes ready, which may free some of it; zero if all are
}

// newRolloutBudget returns the budget that the instances already unavailable or surging leave.
func newRolloutBudget(rules environment.DeploymentConfiguration, instances []*instanceState) rolloutBudget {
	desired, unavailable, surging := 0, 0, 0
	var nextReadyAt time.Time
	for _, i := range instances {
		if i.schedulable || i.unavailable {
			desired++
		}
		if i.unavailable {
			unavailable++
		}
		if i.surging {
			surging++
		}
		nextReadyAt = Earliest(nextReadyAt, i.minReadyAt)
	}
	maxUnavailable, maxSurge := rules.MaxUnavailable(desired), rules.MaxSurge(desired)
	budget := rolloutBudget{
		startFirst:  maxSurge > 0,
		remaining:   maxUnavailable - unavailable,
		limit:       fmt.Sprintf(limitUnavailable, quantity(maxUnavailable, "instance")),
		nextReadyAt: nextReadyAt,
	}
	// The unavailable limit holds with startFirst, too: tasks that stop after they ran would otherwise replace the old
	// ones.
	if budget.startFirst && budget.remaining > 0 {
		budget.remaining = maxSurge - surging
		budget.limit = fmt.Sprintf(limitSurge, quantity(maxSurge, "instance"))
	}
	return budget
}

// after returns the budget that the plan for one instance leaves for the others.
func (b rolloutBudget) after(d instancePlan) rolloutBudget {
	if d.reserve {
		b.remaining--
	}
	return b
}

// lostDuringRollout reports whether the loss of a stopped task counts against the budget. The task had run, and either
// the rollout stopped it and has not started another one yet, or it stopped after the current deployment began.
func (f *facts) lostDuringRollout(task environment.Task) bool {
	if task.StartedAt.IsZero() {
		return false
	}
	notReplaced := !announcedAt(f.Launches[task.Instance]).After(task.StoppedAt)
	stoppedByRollout := stoppedAsSuperseded(task) &&
		task.StoppedAt.After(f.rollout.start.Add(-clockSkew)) && notReplaced
	return stoppedByRollout || task.StoppedAt.After(f.current().StartTime)
}

// isUnavailable reports whether the rollout may be why the instance has no running task: it stopped a superseded task
// there, or one was lost since it began. An instance without a task before the rollout does not count.
func (f *facts) isUnavailable(i *instanceState) bool {
	if !i.matches || i.Status != statusActive || i.target == nil || i.released() {
		return false
	}
	hadTask := i.hasLaunch && (!i.launch.HadNoTask || !f.task(i.launch.Task).StartedAt.IsZero())
	// Outside a canary, instances return to the previous deployment during the rollout: their launches count by time.
	inRollout := f.rollout.deployments[i.launch.Deployment] || announcedAt(i.launch).After(f.rollout.start)
	touched := hadTask && inRollout
	switch {
	case !i.AgentConnected && touched:
		return true // the state of its task is unknown
	case i.hasRunning:
		// Its only running task is the new one, which may still fail.
		onlyNewTask := !slices.ContainsFunc(i.duplicates, f.staysRunning) &&
			!slices.ContainsFunc(i.superseded, f.staysRunning)
		return touched && !i.launch.HadNoTask && !i.minReadyAt.IsZero() && onlyNewTask
	case touched, hadTask && f.isInvisible(i.launch), f.lostRunningTask[i.ARN]:
		return true
	}
	return slices.ContainsFunc(i.live, func(t environment.Task) bool {
		return t.LastStatus != "PENDING" && (t.Stopping() || f.stopRequested(t))
	})
}

// minReadyAt returns when the instance's task becomes ready, if it is one that the current rollout started and that
// has not run for the min ready time yet; zero otherwise.
func (f *facts) minReadyAt(i *instanceState) time.Time {
	since := i.kept.StartedAt
	if f.current().Status == environment.Completed || !i.hasKept || !f.staysRunning(i.kept) || since.IsZero() {
		return time.Time{}
	}
	if i.launch.Task != i.kept.ARN || i.launch.Deployment != f.current().ID {
		return time.Time{}
	}
	if since.After(f.Now) { // ECS's clock is ahead
		since = announcedAt(i.launch)
	}
	due := since.Add(backoff.Delay(minReadyInitial, minReadyMax, f.failures.count+1))
	if !f.Now.Before(due) {
		return time.Time{}
	}
	return due
}

// isSurging reports whether the instance has a second live task, or may be getting one.
func (f *facts) isSurging(i *instanceState) bool {
	mayStart := i.isOpen() || f.isInvisible(i.launch) && f.isKnown(i.launch.Deployment)
	startedByLaunch := func(t environment.Task) bool { return t.StartedBy == i.launch.Deployment }
	if mayStart && !slices.ContainsFunc(i.live, startedByLaunch) {
		return len(i.live) > 0
	}
	return len(i.live) > 1
}

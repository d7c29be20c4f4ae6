package planner

import (
	"fmt"
	"slices"
	"time"

	"github.com/blox/blox/daemon-scheduler/environment"
	"github.com/blox/blox/internal/backoff"
)

// A new task has to run for the min ready time before the next instance may lose its old one, or its own instance the
// one beside it. Otherwise tasks that stop soon after they began to run would replace all the old ones. The time
// doubles with every task that stops by itself. Refused starts show nothing about the tasks that run.
const (
	minReadyInitial = time.Second
	minReadyMax     = time.Minute
)

// rollout is the rollout that the current deployment belongs to. A deployment that was stopped or failed has disturbed
// instances already; the one that follows it continues its rollout.
type rollout struct {
	deployments map[string]bool // the ids of these deployments
	previous    string          // the id of the deployment that was completed before; empty if none
	first       bool            // no other deployment was completed before
}

func newRollout(e environment.Environment) rollout {
	current, _ := e.Current()
	previous, completed := e.NewestCompleted()
	r := rollout{
		deployments: map[string]bool{current.ID: true},
		previous:    previous.ID,
		first:       !completed || previous.ID == current.ID,
	}
	for _, d := range e.History() {
		if completed && d.ID == previous.ID {
			break
		}
		r.deployments[d.ID] = true
	}
	return r
}

// beganAt returns when the rollout first changed an instance, by the clock of ECS: the clocks of replicas differ, and
// the times of tasks are compared with it. It is the creation of the rollout's first task, or the first stop of a
// superseded task of the previous deployment; zero if the cluster state shows neither.
func (r rollout) beganAt(tasks []environment.Task) (at time.Time) {
	for n := range tasks {
		task := &tasks[n]
		switch {
		case r.deployments[task.StartedBy]:
			at = Earliest(at, task.CreatedAt)
		case task.StartedBy == r.previous && stoppedAsSuperseded(*task):
			at = Earliest(at, task.StoppedAt)
		}
	}
	return at
}

// rolloutBudget is how many more instances the rollout may change now.
type rolloutBudget struct {
	startFirst  bool      // new tasks start beside the old ones, which stop once the new ones run
	remaining   int       // instances that may lose their running task or, with startFirst, get a second one
	restarts    int       // as remaining, of instances whose tasks are UNHEALTHY: they are unavailable already
	limit       string    // what limits it
	nextReadyAt time.Time // when the next new task becomes ready, which may free some of it; zero if all are
	slowStart   slowStart
	waves       waves
}

// newRolloutBudget returns the budget that the instances already unavailable or surging leave.
func newRolloutBudget(rules environment.DeploymentConfiguration, instances []*instanceState) rolloutBudget {
	desired, unavailable, unhealthy, surging := 0, 0, 0, 0
	var nextReadyAt time.Time
	for _, i := range instances {
		if i.schedulable || i.unavailable {
			desired++
		}
		if i.unavailable {
			unavailable++
			unhealthy += oneIf(i.unhealthy)
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
		restarts:    maxUnavailable - (unavailable - unhealthy),
		limit:       fmt.Sprintf(limitUnavailable, quantity(maxUnavailable, "instance")),
		nextReadyAt: nextReadyAt,
	}
	// The unavailable limit holds with startFirst, too: tasks that stop after they ran would otherwise replace the old
	// ones.
	if budget.startFirst && budget.remaining > 0 {
		budget.remaining = maxSurge - surging
		budget.limit = fmt.Sprintf(limitSurge, quantity(maxSurge, "instance"))
	}
	if budget.startFirst {
		budget.restarts = min(budget.restarts, maxSurge-surging)
	}
	return budget
}

// after returns the budget that the plan for one instance leaves for the others.
func (b rolloutBudget) after(i *instanceState, d instancePlan) rolloutBudget {
	b.remaining -= oneIf(d.reserve)
	b.restarts -= oneIf(d.reserve || d.restart)
	b.slowStart = b.slowStart.after(i, d)
	return b
}

// lostDuringRollout reports whether the loss of a stopped task counts against the budget: the task had run, and it
// stopped after the rollout began. An instance that the rollout changes has a launch record that shows so.
func (f *facts) lostDuringRollout(task environment.Task) bool {
	return !task.StartedAt.IsZero() && !f.rolloutBeganAt.IsZero() && !task.StoppedAt.Before(f.rolloutBeganAt)
}

// isUnavailable reports whether the rollout may be why the instance has no running task: it stopped a superseded task
// there, or one was lost since it began. An instance without a task before the rollout does not count.
func (f *facts) isUnavailable(i *instanceState) bool {
	if !i.isBudgeted() {
		return false
	}
	touched := f.hasTouched(i)
	switch {
	case !i.AgentConnected && touched, i.replacing:
		return true // the state of its task is unknown
	case i.holdsUp:
		// Its only available task is the new one, which may still fail.
		onlyNewTask := !slices.ContainsFunc(i.duplicates, f.holdsUp) && !slices.ContainsFunc(i.superseded, f.holdsUp)
		return touched && !i.launch.HadNoTask && !i.minReadyAt.IsZero() && onlyNewTask
	case i.hasRunning:
		// Otherwise, its first task has yet to become HEALTHY.
		return !i.launch.HadNoTask || i.unhealthy || slices.ContainsFunc(i.live, f.isUnconfirmed)
	}
	return f.hasChanged(i)
}

// isBudgeted reports whether the rollout budget covers the instance.
func (i *instanceState) isBudgeted() bool {
	return i.matches && i.Status == statusActive && i.target != nil && !i.released()
}

// hasTouched reports whether the rollout has replaced the instance's task, or is about to.
func (f *facts) hasTouched(i *instanceState) bool {
	inRollout := f.rollout.deployments[i.launch.Deployment] || f.rollout.deployments[i.launch.Rollout]
	return inRollout && f.hadTask(i)
}

// hadTask reports whether the instance had a running task before its last launch, or because of it.
func (f *facts) hadTask(i *instanceState) bool {
	return i.hasLaunch && (!i.launch.HadNoTask || !f.task(i.launch.Task).StartedAt.IsZero())
}

// hasChanged reports whether the rollout may be why the instance has no running task, should it have none.
func (f *facts) hasChanged(i *instanceState) bool {
	if f.hasTouched(i) || f.hadTask(i) && f.isInvisible(i.launch) || f.lostRunningTask[i.ARN] {
		return true
	}
	return slices.ContainsFunc(i.live, func(t environment.Task) bool {
		return t.HasRun() && (t.Stopping() || f.stopRequested(t))
	})
}

// minReadyAt returns when the instance's task becomes ready, if it is one that the current rollout started and that
// this replica has not seen available for the min ready time yet; zero otherwise. Its own clock decides: with one ahead
// of ECS's, the rollout would count tasks that have just started. A new leader measures anew.
func (f *facts) minReadyAt(i *instanceState) time.Time {
	if f.current().Status == environment.Completed || !i.hasKept || !f.staysAvailable(i.kept) {
		return time.Time{}
	}
	if i.launch.Task != i.kept.ARN || i.launch.Deployment != f.current().ID {
		return time.Time{}
	}
	if i.settled { // a leader has seen it ready
		return time.Time{}
	}
	minimum := max(minimumHealthyTime(i), backoff.Delay(minReadyInitial, minReadyMax, f.failures.ofTasks+1))
	due := f.availableSince(i.kept).Add(minimum)
	if !f.Now.Before(due) {
		return time.Time{}
	}
	return due
}

// isSurging reports whether the instance has a second live task, or may be getting one.
func (f *facts) isSurging(i *instanceState) bool {
	if len(i.live) != 1 || i.live[0].StartedBy == i.launch.Deployment {
		return len(i.live) > 1
	}
	return i.isOpen() || f.isInvisible(i.launch) && f.isKnown(i.launch.Deployment)
}

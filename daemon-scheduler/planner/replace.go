package planner

import (
	"slices"

	"github.com/blox/blox/daemon-scheduler/environment"
)

// replace stops duplicates, and superseded tasks as far as the rollout budget allows. Blocked reports that the
// instance has to wait for that before it is given a task.
func replace(f *facts, i *instanceState, budget rolloutBudget) (d instancePlan, blocked bool) {
	d = f.stop(i.duplicates, ReasonDuplicate)
	stopping := len(d.actions) > 0
	running := slices.IndexFunc(i.superseded, f.staysRunning)
	switch {
	case len(i.superseded) == 0:
		return d, stopping
	case !f.Fresh: // the superseded tasks may have stopped, and the kept one too
		return d, true
	case running >= 0 && budget.startFirst && !i.minReadyAt.IsZero(): // the new task may still fail
		return d.and(instancePlan{wait: waitMinReady, requeueAt: budget.nextReadyAt}), stopping
	case i.hasKept && f.staysAvailable(i.kept), running < 0: // no superseded task is needed any more
		stops := f.stop(i.superseded, ReasonSuperseded)
		stopped := len(stops.actions) > 0
		if !i.hasKept && !stopped {
			stops.wait = waitOldTask
		}
		return d.and(stops), !i.hasKept || stopping || stopped
	case len(i.superseded) > 1: // one that runs is enough until the budget covers the instance
		stops := f.stop(without(i.superseded, running), ReasonSuperseded)
		if len(stops.actions) == 0 {
			stops.wait = waitOldTasks
		}
		return d.and(stops), true
	case i.hasKept || i.isOpen(): // the new task beside the superseded one is starting, or about to stop
		return d, stopping
	}
	next, wait := replaceLast(f, i, budget)
	return d.and(next), wait || stopping
}

// replaceLast decides for an instance whose only live task runs and is superseded. Unless it is blocked, a new task
// may be started now: beside the old one, or after a failed attempt to do so.
func replaceLast(f *facts, i *instanceState, budget rolloutBudget) (d instancePlan, blocked bool) {
	needsNoBudget := i.surging
	if until := backoffUntil(f, i); !until.IsZero() {
		early, _ := mayRetryEarly(f, i.launch)
		needsNoBudget = needsNoBudget || !early
	}
	remaining := budget.remaining
	if i.unhealthy {
		remaining = budget.restarts
	}
	switch {
	case i.replacing: // the budget counts it already
		return stopToReplace(f, i), true
	case needsNoBudget:
		return instancePlan{}, false
	case budget.waves.holds(i):
		return budget.waves.wait(), true
	case remaining <= 0:
		return instancePlan{wait: waitRollout + budget.limit, requeueAt: budget.nextReadyAt}, true
	case budget.startFirst:
		return instancePlan{reserve: !i.unhealthy, restart: i.unhealthy}, false
	}
	d = stopToReplace(f, i)
	d.reserve, d.restart = !i.unhealthy, i.unhealthy
	return d, true
}

// without returns the tasks but for the n-th.
func without(tasks []environment.Task, n int) []environment.Task {
	return slices.Delete(slices.Clone(tasks), n, n+1)
}

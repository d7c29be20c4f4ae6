package planner

import (
	"time"

	"github.com/blox/blox/daemon-scheduler/environment"
)

// taskUnhealthy is the Reason of a launch whose task was UNHEALTHY.
const taskUnhealthy = "UNHEALTHY"

// staysAvailable reports whether the task is available and no stop of it is known.
func (f *facts) staysAvailable(task environment.Task) bool {
	return task.Available() && !f.stopRequested(task)
}

// holdsUp reports whether the instance of the task would become unavailable if the task stopped. A task of the rollout
// has to be available. An older one counts unless it is UNHEALTHY: its health may be unknown, but the rollout is not
// why.
func (f *facts) holdsUp(task environment.Task) bool {
	if f.isUnconfirmed(task) {
		return false
	}
	if f.rollout.deployments[task.StartedBy] {
		return f.staysAvailable(task)
	}
	return f.staysRunning(task) && !task.Unhealthy()
}

// isUnconfirmed reports whether ECS did not describe the task as live when a stop relied on it.
func (f *facts) isUnconfirmed(task environment.Task) bool { return f.Unconfirmed[task.ARN] }

// availableSince returns since when this replica has seen an available task so. It has just begun if that is unknown.
func (f *facts) availableSince(task environment.Task) time.Time {
	if a, known := f.Availability[task.ARN]; known && a.Available {
		return a.Since
	}
	return f.Now
}

// unavailableFor returns for how long this replica has seen a RUNNING task that is not available.
func (f *facts) unavailableFor(task environment.Task) time.Duration {
	if a, known := f.Availability[task.ARN]; known && !a.Available {
		return f.Now.Sub(a.Since)
	}
	return 0
}

// minimumHealthyTime is for how long the instance's new task must have been available before the rollout goes on.
func minimumHealthyTime(i *instanceState) time.Duration {
	if i.target == nil {
		return 0
	}
	return i.target.spec.DeploymentConfiguration.MinimumHealthyTime()
}

// isAvailable reports whether the instance has a task that is available and, if the rollout started it, ready.
func (f *facts) isAvailable(i *instanceState) bool {
	for _, task := range i.live {
		if f.staysAvailable(task) && (task.ARN != i.kept.ARN || i.minReadyAt.IsZero()) {
			return true
		}
	}
	return false
}

// isUnhealthy reports whether the instance has RUNNING tasks and all of them are UNHEALTHY.
func (f *facts) isUnhealthy(i *instanceState) bool {
	unhealthy := false
	for _, task := range i.live {
		if f.staysRunning(task) && !task.Unhealthy() {
			return false
		}
		unhealthy = unhealthy || f.staysRunning(task)
	}
	return unhealthy
}

// replaceUnhealthy replaces the UNHEALTHY task of an instance: for the first time as soon as the rollout budget covers
// the instance, and after a growing delay if its replacements become UNHEALTHY, too. The task may recover until then.
func replaceUnhealthy(f *facts, i *instanceState, budget rolloutBudget) instancePlan {
	next, due := unhealthyReplacement(f, i)
	switch {
	case f.Now.Before(due):
		return instancePlan{wait: waitBackingOff + i.kept.HealthReason, requeueAt: due}
	case !i.holdsUp && budget.restarts <= 0 && !f.stopRequested(i.kept):
		return instancePlan{wait: i.kept.HealthReason + waitReplacement + budget.limit, requeueAt: budget.nextReadyAt}
	}
	d := f.stop([]environment.Task{i.kept}, ReasonUnhealthy)
	for n := range d.actions {
		d.actions[n].Launch = next
		d.actions[n].Unhealthy = true
		d.restart = !i.holdsUp
	}
	return d
}

// unhealthyReplacement returns the launch that replaces the UNHEALTHY task of an instance, and when it is due. A task
// of the target that became UNHEALTHY has failed. One that was available for long begins a new row.
func unhealthyReplacement(f *facts, i *instanceState) (next environment.Launch, due time.Time) {
	last := i.launch
	if last.State == environment.LaunchReplacing && last.Task == i.kept.ARN && i.isTarget(last.Deployment) {
		return last, time.Time{} // the stop is repeated
	}
	next = nextLaunch(f, i)
	next.State = environment.LaunchReplacing
	next.Task = i.kept.ARN
	next.Reason = taskUnhealthy
	next.Detail = i.kept.HealthReason
	t := tries{attempts: 1}
	seen := f.Availability[i.kept.ARN]
	if i.isTarget(last.Deployment) && last.Task == i.kept.ARN && seen.AvailableFor < stableAfter {
		due = seen.Since.Add(retryDelay(last.Failures))
		t = triesOf(last).another()
	}
	if i.isTarget(i.kept.StartedBy) {
		t.failures++
		t.taskFailures++
	}
	return withTries(next, t), due
}

// isBeingReplaced reports whether the kept task of the instance is stopping to make room for its replacement.
func (f *facts) isBeingReplaced(i *instanceState) bool {
	return i.launch.State == environment.LaunchReplacing && i.launch.Task == i.kept.ARN && !f.staysRunning(i.kept)
}

// failsHealth reports whether the instance's task was started by the current deployment, is UNHEALTHY, and does not
// count as failed in its launch record yet.
func (f *facts) failsHealth(i *instanceState) bool {
	recorded := i.launch.State == environment.LaunchReplacing && i.launch.Task == i.kept.ARN
	return i.hasKept && i.kept.Unhealthy() && i.kept.StartedBy == f.current().ID && !recorded
}

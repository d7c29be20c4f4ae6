package planner

import "slices"

// The cluster state may show phantoms, tasks that ECS does not know: an old event was replayed, or etcd was restored. A
// stop may rely on other tasks in two ways, and both name the tasks, so that ECS confirms them first.

// withKept returns the plan for an instance with the tasks because of which it stops superseded and duplicate tasks:
// the live ones that are neither stopped nor stopping. A duplicate is not stopped if there are none.
func withKept(f *facts, i *instanceState, d instancePlan) instancePlan {
	relies := func(a Action) bool {
		return a.Kind == Stop && (a.StopReason == ReasonDuplicate || a.StopReason == ReasonSuperseded)
	}
	if !slices.ContainsFunc(d.actions, relies) {
		return d
	}
	var kept []string
	for _, task := range i.live {
		stops := func(a Action) bool { return a.Kind == Stop && a.Task == task.ARN }
		if !task.Stopping() && !f.stopRequested(task) && !slices.ContainsFunc(d.actions, stops) {
			kept = append(kept, task.ARN)
		}
	}
	d.actions = slices.DeleteFunc(d.actions, func(a Action) bool {
		return relies(a) && a.StopReason == ReasonDuplicate && len(kept) == 0
	})
	for n := range d.actions {
		if relies(d.actions[n]) {
			d.actions[n].Kept = kept
		}
	}
	return d
}

// countedTasks returns the tasks that a plan's stops rely on if they make room, see Plan.Counted.
func countedTasks(f *facts, actions []Action, instances []*instanceState) (counted []string) {
	if !slices.ContainsFunc(actions, Action.MakesRoom) {
		return nil
	}
	for _, i := range instances {
		if !i.hasRunning || i.unavailable || !i.isBudgeted() || !f.hasChanged(i) {
			continue
		}
		for _, task := range i.live {
			if f.staysRunning(task) && !f.isUnconfirmed(task) {
				counted = append(counted, task.ARN)
			}
		}
	}
	return counted
}

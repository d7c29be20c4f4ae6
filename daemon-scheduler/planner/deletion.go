package planner

import (
	"maps"
	"slices"

	"github.com/blox/blox/daemon-scheduler/environment"
)

// planDeletion stops every task of the environment, also of a paused one, has every launch confirmed, and reports when
// both are done.
func planDeletion(f *facts) Plan {
	plan := newPlan(f)
	plan.Progress = environment.Progress{
		Status: f.current().Status, Health: f.current().Health, LegacyFailures: f.current().FailedInstances,
	}
	remaining := false
	for _, arn := range slices.Sorted(maps.Keys(f.liveTasks)) {
		remaining = true
		i := &instanceState{target: f.targets.current, live: f.liveTasks[arn]}
		divideTasks(i)
		plan.Counts = plus(plan.Counts, countTasks(i.kept, i.hasKept, len(i.duplicates)+len(i.superseded) > 0))
		plan = plan.with(arn, f.stop(i.live, ReasonDeleted))
	}
	for _, arn := range slices.Sorted(maps.Keys(f.Launches)) {
		launch := f.Launches[arn]
		switch {
		case launch.State == environment.LaunchOpen:
			remaining = true
			plan = plan.with(arn, awaitConfirmation(f, launch, environment.Task{}))
		case f.isInvisible(launch) && f.isKnown(launch.Deployment):
			remaining = true
			plan = plan.with(arn, awaitVisible(f, launch))
		}
	}
	if !f.Fresh {
		plan.RequeueAt = Earliest(plan.RequeueAt, f.Now.Add(staleRecheck))
	}
	plan.DeletionComplete = f.Fresh && !remaining
	return plan
}

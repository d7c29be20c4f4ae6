package planner

import (
	"maps"
	"slices"

	"github.com/blox/blox/daemon-scheduler/environment"
)

// planDeletion stops every task of the environment, has every launch confirmed, and reports when both are done.
func (b *planBuilder) planDeletion() {
	b.plan.Progress = environment.Progress{
		Status: b.current.Status, Health: b.current.Health, LegacyFailures: b.current.FailedInstances,
	}
	b.holdReason = "" // also of a paused environment
	remaining := false
	for _, arn := range slices.Sorted(maps.Keys(b.liveTasks)) {
		remaining = true
		b.countTasks(b.selectKept(arn, b.current))
		b.stopTasks(arn, b.liveTasks[arn], ReasonDeleted)
	}
	for _, arn := range slices.Sorted(maps.Keys(b.Launches)) {
		launch := b.Launches[arn]
		switch {
		case launch.State == environment.LaunchOpen:
			remaining = true
			b.awaitConfirmation(&instanceState{Instance: environment.Instance{ARN: arn}, launch: launch})
		case b.isInvisible(launch) && b.isKnown(launch.Deployment):
			remaining = true
			b.awaitVisible(launch)
		}
	}
	if !b.Fresh {
		b.requeueAt(b.Now.Add(staleRecheck))
	}
	b.plan.DeletionComplete = b.Fresh && !remaining
}

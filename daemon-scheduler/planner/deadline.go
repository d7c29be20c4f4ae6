package planner

import (
	"fmt"
	"time"

	"github.com/blox/blox/daemon-scheduler/environment"
)

// overdueReason returns why the instance's new task counts as failed: it has not become RUNNING within the progress
// deadline of its target, or then not HEALTHY within the same time; empty if it does not. It also returns when it will,
// zero if it does already, or never. Drains and lost agents are no failures: the time stands still while the instance
// cannot run tasks.
func overdueReason(f *facts, i *instanceState) (reason string, at time.Time) {
	if !i.hasKept || i.kept.Stopping() || i.kept.Available() || !i.CanRunTasks() {
		return "", time.Time{}
	}
	deadline := i.target.spec.DeploymentConfiguration.ProgressDeadline()
	if deadline == 0 {
		return "", time.Time{}
	}
	elapsed, state := f.PendingFor[i.kept.ARN], i.kept.LastStatus
	if i.kept.Running() {
		elapsed, state = f.unavailableFor(i.kept), stateNotHealthy
	}
	if remaining := deadline - elapsed; remaining > 0 {
		return "", f.Now.Add(remaining)
	}
	return fmt.Sprintf(failureOverdue, state, quantity(int(deadline.Minutes()), "minute")), time.Time{}
}

// checkProgressDeadline returns why a deployment fails whose tasks have not become available within the progress
// deadline; empty if it does not. As long as others do, it goes on. Both times are measured by this replica's clock.
func checkProgressDeadline(f *facts, instances []*instanceState, c rolloutCount) (failureReason string) {
	deadline := f.targets.current.spec.DeploymentConfiguration.ProgressDeadline()
	if c.overdue == 0 || deadline == 0 || !canFail(f) || f.Now.Before(lastAvailableAt(f, instances).Add(deadline)) {
		return ""
	}
	return fmt.Sprintf(deadlineExceeded, quantity(c.overdue, "task"), quantity(int(deadline.Minutes()), "minute")) +
		firstReason(c.failed)
}

// lastAvailableAt returns when this replica last saw a task of the current deployment become available; zero if none
// is.
func lastAvailableAt(f *facts, instances []*instanceState) (at time.Time) {
	for _, i := range instances {
		if i.matches && i.isTarget(f.current().ID) && i.hasKept && i.kept.Available() {
			at = latest(at, f.availableSince(i.kept))
		}
	}
	return at
}

// firstReason returns the failure of the first failed instance.
func firstReason(failed []environment.FailedInstance) string {
	if len(failed) == 0 {
		return ""
	}
	return breakerFirstReason + failed[0].Arn + ": " + failed[0].Reason
}

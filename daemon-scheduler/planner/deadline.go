package planner

import (
	"fmt"
	"time"

	"github.com/blox/blox/daemon-scheduler/environment"
)

// overdueReason returns why the instance's new task counts as failed: it has not become RUNNING within the progress
// deadline of its target; empty if it does not. It also returns when it will, zero if it does already, or never.
func overdueReason(f *facts, i *instanceState) (reason string, at time.Time) {
	if !i.hasKept || i.kept.Running() || i.kept.Stopping() {
		return "", time.Time{}
	}
	deadline := i.target.spec.DeploymentConfiguration.ProgressDeadline()
	since := i.kept.CreatedAt
	if i.launch.Task == i.kept.ARN { // by the clock of a leader
		since = announcedAt(i.launch)
	}
	if deadline == 0 || since.IsZero() {
		return "", time.Time{}
	}
	if due := since.Add(deadline); f.Now.Before(due) {
		return "", due
	}
	return fmt.Sprintf(failureOverdue, i.kept.LastStatus, quantity(int(deadline.Minutes()), "minute")), time.Time{}
}

// checkProgressDeadline returns why a deployment fails whose tasks have not become RUNNING within the progress
// deadline; empty if it does not. As long as others do, it goes on.
func checkProgressDeadline(f *facts, c rolloutCount) (failureReason string) {
	deadline := f.targets.current.spec.DeploymentConfiguration.ProgressDeadline()
	if c.overdue == 0 || deadline == 0 || !canFail(f) || f.Now.Before(c.lastStart.Add(deadline)) {
		return ""
	}
	return fmt.Sprintf(deadlineExceeded, quantity(c.overdue, "task"), quantity(int(deadline.Minutes()), "minute")) +
		firstReason(c.failed)
}

// firstReason returns the failure of the first failed instance.
func firstReason(failed []environment.FailedInstance) string {
	if len(failed) == 0 {
		return ""
	}
	return breakerFirstReason + failed[0].Arn + ": " + failed[0].Reason
}

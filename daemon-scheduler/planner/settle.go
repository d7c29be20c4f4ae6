package planner

import (
	"slices"
	"time"

	"github.com/blox/blox/daemon-scheduler/environment"
)

const (
	backoffInitial = 10 * time.Second // doubled with every failure in a row
	backoffMax     = 5 * time.Minute
	stableAfter    = 5 * time.Minute // a task that ran for so long has not failed when it ends

	// ECS is eventually consistent: MISSING, soon after StartTask answered with the task, proves nothing.
	missingGracePeriod = 5 * time.Minute
	visibilityRecheck  = 30 * time.Second
)

// FailedLaunch is launch, not started at now for an instance's own reason: it is retried later and later.
func FailedLaunch(launch environment.Launch, reason, detail string, now time.Time) environment.Launch {
	launch.State, launch.Task, launch.Reason, launch.Detail = environment.LaunchFailed, "", reason, detail
	launch.NextAttemptAt = now.Add(backoff(launch.Attempts))
	return launch
}

// StartedLaunch is launch, whose task ECS has named. An instance that failed before stays so until the task runs.
func StartedLaunch(launch environment.Launch, task string) environment.Launch {
	launch.State, launch.Task = environment.LaunchStarted, task
	launch.NextAttemptAt = time.Time{}
	return launch
}

// ConfirmLaunch is launch, after ECS was asked at now what became of it. Found are the tasks of its deployment that ECS has
// on its instance; of a started launch, its own task only.
func ConfirmLaunch(launch environment.Launch, found []environment.Task, now time.Time) environment.Launch {
	slices.SortFunc(found, keepOrder)
	for _, task := range found {
		if task.Live() { // the copy of the cluster lags; ask again in a while if it goes on
			launch = StartedLaunch(launch, task.ARN)
			launch.NextAttemptAt = now.Add(min(max(now.Sub(launch.NotAfter), visibilityRecheck), backoffMax))
			return launch
		}
	}
	switch {
	case launch.State == environment.LaunchOpen: // no task of it lives: it never was, or is dead already
		launch.State, launch.NextAttemptAt = environment.LaunchFailed, now
	case len(found) > 0:
		launch = stoppedLaunch(launch, found[0])
	case now.Before(launch.NotAfter.Add(missingGracePeriod)):
		launch.NextAttemptAt = now.Add(visibilityRecheck)
	default:
		launch.State, launch.NextAttemptAt = environment.LaunchFailed, now
	}
	return launch
}

// stoppedLaunch is launch, whose task died.
func stoppedLaunch(launch environment.Launch, task environment.Task) environment.Launch {
	failures, _ := consecutiveFailures(launch, task)
	launch.State, launch.NextAttemptAt = environment.LaunchFailed, launch.NotAfter.Add(backoff(failures))
	launch.Reason, launch.Detail = "STOPPED", task.StoppedReason
	return launch
}

// consecutiveFailures tells how many failures in a row the death of the launch's task makes, and which attempt the next launch is.
// The first task that dies after it ran is none: somebody may just have stopped it.
func consecutiveFailures(launch environment.Launch, task environment.Task) (failures, nextAttempt int) {
	switch ran := !task.StartedAt.IsZero(); {
	case ran && task.StoppedAt.Sub(task.StartedAt) >= stableAfter:
		return 0, 1
	case ran:
		return launch.Attempts - 1, launch.Attempts + 1
	default:
		return launch.Attempts, launch.Attempts + 1
	}
}

// backoff is how long to wait after so many failures in a row.
func backoff(failures int) time.Duration {
	if failures <= 0 {
		return 0
	}
	return min(backoffInitial<<min(failures-1, 10), backoffMax)
}

package planner

import (
	"slices"
	"time"

	"github.com/blox/blox/daemon-scheduler/environment"
)

const (
	retryDelayInitial = 10 * time.Second // doubles with every failure in a row
	retryDelayMax     = 5 * time.Minute
	stableAfter       = 5 * time.Minute // a task that ran for that long has not failed when it stops

	// ECS is eventually consistent: MISSING proves nothing until missingGracePeriod after StartTask returned the task.
	missingGracePeriod = 5 * time.Minute
	visibilityRecheck  = 30 * time.Second

	taskStopped = "STOPPED" // the Reason of a launch whose task stopped
)

// FailedLaunch returns launch after a failure at now that concerns its instance alone.
func FailedLaunch(launch environment.Launch, reason, detail string, now time.Time) environment.Launch {
	launch.State = environment.LaunchFailed
	launch.Task = ""
	launch.Reason = reason
	launch.Detail = detail
	launch.NextAttemptAt = now.Add(retryDelay(launch.Attempts))
	return launch
}

// StartedLaunch returns launch with the task that ECS has named. An instance that failed before stays failed until
// the task runs.
func StartedLaunch(launch environment.Launch, task string) environment.Launch {
	launch.State = environment.LaunchStarted
	launch.Task = task
	launch.NextAttemptAt = time.Time{}
	return launch
}

// ConfirmLaunch returns launch with the outcome that ECS reported at now. Found are the tasks of its deployment that
// ECS has on its instance; of a started launch, only its own task.
func ConfirmLaunch(launch environment.Launch, found []environment.Task, now time.Time) environment.Launch {
	slices.SortFunc(found, keepOrder)
	if n := slices.IndexFunc(found, environment.Task.Live); n >= 0 { // the cluster state lags; check again if that lasts
		launch = StartedLaunch(launch, found[n].ARN)
		delay := min(max(now.Sub(launch.NotAfter), visibilityRecheck), retryDelayMax)
		launch.NextAttemptAt = now.Add(delay)
		return launch
	}
	switch {
	case launch.State == environment.LaunchOpen: // no task of it lives: it was not started, or has stopped already
		launch.State = environment.LaunchFailed
		launch.NextAttemptAt = now
	case len(found) > 0:
		launch = stoppedLaunch(launch, found[0])
	case now.Before(launch.NotAfter.Add(missingGracePeriod)): // ECS may not show it yet
		launch.NextAttemptAt = now.Add(visibilityRecheck)
	default:
		launch.State = environment.LaunchFailed
		launch.NextAttemptAt = now
	}
	return launch
}

// stoppedLaunch returns launch after its task stopped.
func stoppedLaunch(launch environment.Launch, task environment.Task) environment.Launch {
	failures, _ := consecutiveFailures(launch, task)
	launch.State = environment.LaunchFailed
	launch.NextAttemptAt = launch.NotAfter.Add(retryDelay(failures))
	launch.Reason = taskStopped
	launch.Detail = task.StoppedReason
	return launch
}

// consecutiveFailures returns how many failures in a row there are once the launch's task has stopped, and the number
// of the next attempt. The first task that stops after it ran is no failure: a user may have stopped it.
func consecutiveFailures(launch environment.Launch, task environment.Task) (failures, nextAttempt int) {
	ran := !task.StartedAt.IsZero()
	switch {
	case ran && task.StoppedAt.Sub(task.StartedAt) >= stableAfter:
		return 0, 1
	case ran:
		return launch.Attempts - 1, launch.Attempts + 1
	default:
		return launch.Attempts, launch.Attempts + 1
	}
}

// failedAttempts returns how many attempts of the launch's deployment have failed on its instance. An unanswered
// attempt that left no task is no failure.
func failedAttempts(l environment.Launch) int {
	if l.State == environment.LaunchFailed && l.Reason != "" {
		return l.Attempts
	}
	return max(l.Attempts-1, 0)
}

// announcedAt is when the launch record was written, before StartTask was called.
func announcedAt(launch environment.Launch) time.Time {
	return launch.NotAfter.Add(-environment.LaunchWindow)
}

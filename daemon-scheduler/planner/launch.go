package planner

import (
	"slices"
	"strings"
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
	launch.Failures++
	launch.Reason = reason
	launch.Detail = detail
	launch.NextAttemptAt = now.Add(retryDelay(launch.Failures))
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
		launch = stoppedLaunch(launch, found[0], now)
	case now.Before(launch.NotAfter.Add(missingGracePeriod)): // ECS may not show it yet
		launch.NextAttemptAt = now.Add(visibilityRecheck)
	default:
		launch.State = environment.LaunchFailed
		launch.NextAttemptAt = now
	}
	return launch
}

// stoppedLaunch returns launch after its task stopped. If the task did not fail, the next attempt is due.
func stoppedLaunch(launch environment.Launch, task environment.Task, now time.Time) environment.Launch {
	launch.State = environment.LaunchFailed
	stop := stopOf(launch, task)
	if !stop.failed {
		launch.NextAttemptAt = now
		return launch
	}
	launch.Failures = stop.next.failures
	launch.TaskFailures = stop.next.taskFailures
	launch.NextAttemptAt = launch.NotAfter.Add(retryDelay(stop.delayFailures))
	launch.Reason = taskStopped
	launch.Detail = StopDetail(task)
	return launch
}

// tries are the attempts of one deployment on an instance in a row.
type tries struct {
	attempts     int // with the next one
	failures     int
	taskFailures int // of these, tasks that stopped
}

// triesOf returns the tries of a launch that is repeated.
func triesOf(launch environment.Launch) tries {
	return tries{launch.Attempts, launch.Failures, launch.TaskFailures}
}

// another returns the tries with one more attempt.
func (t tries) another() tries {
	t.attempts++
	return t
}

// withTries returns launch with the tries.
func withTries(launch environment.Launch, t tries) environment.Launch {
	launch.Attempts = t.attempts
	launch.Failures = t.failures
	launch.TaskFailures = t.taskFailures
	return launch
}

// stop is the meaning of the stop of a launch's task for the next attempt.
type stop struct {
	failed        bool // the task stopped by itself
	next          tries
	delayFailures int // the failures that delay the next attempt
}

// stopOf returns the meaning of the stop of the launch's task. The first failure of a task that had run delays nothing,
// because a daemon that crashes once is to be back at once. A task that ran for long begins a new row.
func stopOf(launch environment.Launch, task environment.Task) stop {
	s := stop{failed: TaskFailed(task), next: triesOf(launch).another()}
	ran := !task.StartedAt.IsZero()
	if ran && task.StoppedAt.Sub(task.StartedAt) >= stableAfter {
		s.next = tries{attempts: 1}
	}
	if !s.failed {
		return s
	}
	s.next.failures++
	s.next.taskFailures++
	s.delayFailures = s.next.failures
	if ran {
		s.delayFailures--
	}
	return s
}

// The codes of stops that are no failures of the task, as ECS spells them.
var stopCodesOfOthers = map[string]bool{
	"UserInitiated":             true, // StopTask, which Blox calls too
	"ServiceSchedulerInitiated": true,
	"SpotInterruption":          true,
	"TerminationNotice":         true,
	"InfrastructureHealth":      true,
}

// hostReason begins the reasons of tasks whose instance was stopped or terminated; ECS gives no code for them.
const hostReason = "Host EC2 "

// TaskFailed reports whether the task stopped by itself: neither a user, nor Blox, nor the infrastructure stopped it.
func TaskFailed(task environment.Task) bool {
	return !stopCodesOfOthers[task.StopCode] && !stoppedByBlox(task) && !strings.HasPrefix(task.StoppedReason, hostReason)
}

// announcedAt is when the launch record was written, before StartTask was called.
func announcedAt(launch environment.Launch) time.Time {
	return launch.NotAfter.Add(-environment.LaunchWindow)
}

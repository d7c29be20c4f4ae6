package planner

import (
	"fmt"
	"strings"

	"github.com/blox/blox/daemon-scheduler/environment"
)

// StopReason is why a task is stopped. The set is bounded, because the reason labels a metric.
type StopReason string

// Reasons of stops.
const (
	ReasonSuperseded  StopReason = "superseded"
	ReasonDuplicate   StopReason = "duplicate"
	ReasonNotMatching StopReason = "not_matching"
	ReasonDraining    StopReason = "draining"
	ReasonScaleIn     StopReason = "scale_in"
	ReasonUnhealthy   StopReason = "unhealthy"
	ReasonDeleted     StopReason = "deleted"
	ReasonHandBack    StopReason = "hand_back"
)

// StopMessages holds, for every StopReason, what ECS shows as the task's stoppedReason. The environment's name follows.
var StopMessages = map[StopReason]string{
	ReasonSuperseded:  stopPrefix + "superseded task of environment ",
	ReasonDuplicate:   stopPrefix + "duplicate task of environment ",
	ReasonNotMatching: stopPrefix + "the instance does not match environment ",
	ReasonDraining:    stopPrefix + "the instance is draining, environment ",
	ReasonScaleIn:     stopPrefix + "the instance is released for scale-in, environment ",
	ReasonUnhealthy:   stopPrefix + "unhealthy task of environment ",
	ReasonDeleted:     stopPrefix + "deleted environment ",
	ReasonHandBack:    stopPrefix + "the takeover was cancelled, environment ",
}

// stopPrefix begins the stoppedReason of every task that Blox has stopped.
const stopPrefix = "blox: "

// stoppedByBlox reports whether Blox has stopped the task.
func stoppedByBlox(task environment.Task) bool {
	return strings.HasPrefix(task.StoppedReason, stopPrefix)
}

// stoppedAsSuperseded reports whether Blox has stopped the task to replace it in a rollout.
func stoppedAsSuperseded(task environment.Task) bool {
	return strings.HasPrefix(task.StoppedReason, StopMessages[ReasonSuperseded])
}

// Message returns the stoppedReason for a task of an environment.
func (r StopReason) Message(environment string) string { return StopMessages[r] + environment }

// Reasons of starts.
const (
	startMissing  = "The instance has no task of the deployment."
	startImproved = "Retrying, as the instance has changed since the last failure."
	startRetry    = "Retrying after a failed attempt."
	startStopped  = "Replacing a task that stopped."

	startUnhealthy = "Replacing an UNHEALTHY task."
)

// Reasons of changes to launch records.
const (
	recordTaskFound     = "The task was found."
	recordKeepsStopping = "The task keeps stopping."
	recordSettled       = "The instance has finished the deployment."
	recordScaleIn       = "The scale-in state of the instance changed."
	confirmUnanswered   = "ECS did not respond to StartTask; checking with ECS."
	confirmInvisible    = "The task has not appeared in the cluster state; checking with ECS."
	forgetInstanceLeft  = "The instance left the cluster."
	forgetNotMatching   = statusNotMatching
)

// Reasons of waits.
const (
	waitPaused         = "The environment is paused."
	waitRolloutPaused  = "The rollout is paused; the task stays as it is."
	waitAlarms         = "The states of the deployment's alarms are not known."
	waitNotFresh       = "The cluster state is stale."
	waitPromotion      = "The deployment is waiting for promotion."
	waitReleased       = "Only daemons run on the instance; it is released for scale-in."
	waitDisconnected   = "The ECS agent on this instance is disconnected."
	disconnectedSince  = "The ECS agent on this instance has been disconnected since %s."
	taskStarting       = "The task is %s"
	taskStartingSince  = "The task has been %s since %s"
	lastTaskStopped    = "The last task stopped: "
	taskStopping       = "The task is stopping"
	pullsSince         = "it has pulled images since %s"
	pulledIn           = "it pulled its images in %s"
	waitMinReady       = "The new task has not run long enough to stop the old one."
	waitOldTask        = "The old task has not stopped yet."
	waitOldTasks       = "One of the old tasks has not stopped yet."
	waitConfirmation   = "ECS has not responded to StartTask yet."
	waitInvisible      = "The task has not appeared in the cluster state yet."
	waitWorkload       = "The instance is draining; other tasks still run on it."
	waitDrainOrder     = "The instance is draining; daemons with a lower drain order still run on it."
	waitGroupUnknown   = "The instance group cannot be parsed: "
	waitCanaryUnknown  = "The canary's query cannot be parsed: "
	waitBackingOff     = "Backing off after a failure: "
	waitRollout        = "Waiting for the rollout: "
	waitReplacement    = " Waiting to replace the task: "
	waitSlowStart      = "Slow start: waiting until the tasks on %s are ready."
	waitWave           = "Waiting for the rollout: %s of the wave with %s = %s must finish first."
	waitService        = "The task of the ECS service on this instance has not stopped yet."
	waitHandBack       = "The takeover was cancelled; the task of the ECS service does not run yet."
	waitHealthy        = "The task is RUNNING, but not HEALTHY yet."
	statusNothing      = "Nothing is deployed."
	statusDeleting     = "The environment is being deleted."
	statusNotMatching  = "The instance does not match the instance group."
	limitUnavailable   = "at most %s may be without a running task."
	limitSurge         = "at most %s may have two tasks."
	stateNotHealthy    = "RUNNING, but not HEALTHY,"
	failureOverdue     = "The task has been %s for more than %s."
	deadlineExceeded   = "Progress deadline exceeded: %s not available within %s."
	alarmTriggered     = "%s in the ALARM state."
	breakerTripped     = "Circuit breaker tripped: %s (threshold %d)."
	breakerFirstReason = " First: "
)

// waitStatus is the reason to wait on an instance that is not ACTIVE.
func waitStatus(status string) string { return "The instance is " + status + "." }

// quantity returns n with its noun, in the plural unless n is 1.
func quantity(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

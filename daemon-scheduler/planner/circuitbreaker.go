package planner

import (
	"fmt"
	"slices"

	"github.com/blox/blox/daemon-scheduler/environment"
)

// failureCount is how many starts and tasks of a deployment have failed.
type failureCount struct {
	launches int    // as the launch records count them
	count    int    // of these, or as recorded with the deployment if that is more
	ofTasks  int    // tasks among those that the launch records count
	example  string // one of them; may be empty
}

// countFailures counts the failed starts and tasks of the current deployment. Unless it is the environment's first,
// instances that had no task before do not count.
func countFailures(
	launches map[string]environment.Launch, current environment.Deployment, first bool,
) (failures failureCount) {
	firstFailed := "" // the instance of the example: the first by ARN
	for arn, l := range launches {
		if l.Deployment != current.ID || l.HadNoTask && !first || l.Failures == 0 {
			continue
		}
		failures.launches += l.Failures
		failures.ofTasks += l.TaskFailures
		if l.Reason == "" || firstFailed != "" && firstFailed < arn {
			continue
		}
		firstFailed = arn
		failures.example = l.Reason + " on " + arn
		if l.Detail != "" {
			failures.example += ": " + l.Detail
		}
	}
	failures.count = max(failures.launches, current.FailedTasks)
	return failures
}

// canFail reports whether the current deployment can fail. A rollback cannot, because there is nothing else to roll
// back to.
func canFail(f *facts) bool {
	inProgress := f.current().Rollout() == environment.RolloutInProgress && f.current().RollbackOf == ""
	return f.deployed() && f.Fresh && f.holdReason(f.targets.current) == "" && inProgress
}

// failedTasks returns how many starts and tasks of the current deployment have failed. A task that exceeds the progress
// deadline or is UNHEALTHY counts until it is available, or is replaced.
func failedTasks(f *facts, c rolloutCount) int {
	return max(f.failures.launches+c.overdue+c.unhealthy, f.failures.count)
}

// resetsFailures reports whether a task has become healthy since the last failure was recorded, on an instance beyond
// those with a healthy task before, and the circuit breaker no longer counts the recorded failures then.
func resetsFailures(f *facts, c rolloutCount) bool {
	breaker := f.targets.current.spec.DeploymentConfiguration.CircuitBreaker
	return breaker.ResetOnHealthyTask && f.current().CountedFailures() > 0 && c.healthy > f.current().HealthyTasks
}

// countedFailures returns how many of the failed starts and tasks the circuit breaker counts.
func countedFailures(f *facts, c rolloutCount) int {
	if resetsFailures(f, c) {
		return failedTasks(f, c) - f.current().FailedTasks
	}
	return failedTasks(f, c) - f.current().FailedTasksReset
}

// checkCircuitBreaker returns why a deployment with too many failed starts and tasks fails; empty if it does not.
func checkCircuitBreaker(f *facts, c rolloutCount) (failureReason string) {
	breaker := f.targets.current.spec.DeploymentConfiguration.CircuitBreaker
	threshold := breaker.FailureThreshold(max(c.Desired, 1))
	failures := countedFailures(f, c)
	if !breaker.Enable || !canFail(f) || failures < threshold {
		return ""
	}
	failureReason = fmt.Sprintf(breakerTripped, quantity(failures, "failure"), threshold)
	if f.failures.example != "" {
		return failureReason + breakerFirstReason + f.failures.example
	}
	return failureReason + firstReason(c.failed)
}

// withoutCalls returns the actions but for starts and stops: a deployment that has failed changes no instance.
func withoutCalls(actions []Action) []Action {
	return slices.DeleteFunc(actions, func(a Action) bool { return a.Kind == Start || a.Kind == Stop })
}

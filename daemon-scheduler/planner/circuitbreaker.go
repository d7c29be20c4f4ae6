package planner

import (
	"fmt"
	"slices"

	"github.com/blox/blox/daemon-scheduler/environment"
)

// failureCount is how many starts and tasks of a deployment have failed.
type failureCount struct {
	count   int
	example string // one of them; may be empty
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
		failures.count += l.Failures
		if l.Reason == "" || firstFailed != "" && firstFailed < arn {
			continue
		}
		firstFailed = arn
		failures.example = l.Reason + " on " + arn
		if l.Detail != "" {
			failures.example += ": " + l.Detail
		}
	}
	failures.count = max(failures.count, current.FailedTasks)
	return failures
}

// breakerApplies reports whether the current deployment can fail. A rollback cannot, because there is nothing else to
// roll back to.
func breakerApplies(f *facts) bool {
	inProgress := f.current().Rollout() == environment.RolloutInProgress && f.current().RollbackOf == ""
	return f.deployed() && f.Fresh && f.holdReason(f.targets.current) == "" && inProgress
}

// checkCircuitBreaker returns why a deployment with too many failed starts and tasks fails; empty if it does not.
func checkCircuitBreaker(f *facts, desired int) (failureReason string) {
	breaker := f.targets.current.spec.DeploymentConfiguration.CircuitBreaker
	threshold := breaker.FailureThreshold(max(desired, 1))
	if !breaker.Enable || !breakerApplies(f) || f.failures.count < threshold {
		return ""
	}
	failureReason = fmt.Sprintf(breakerTripped, quantity(f.failures.count, "failure"), threshold)
	if f.failures.example != "" {
		failureReason += breakerFirstReason + f.failures.example
	}
	return failureReason
}

// withoutCalls returns the actions but for starts and stops: a deployment that has failed changes no instance.
func withoutCalls(actions []Action) []Action {
	return slices.DeleteFunc(actions, func(a Action) bool { return a.Kind == Start || a.Kind == Stop })
}

package planner

import (
	"fmt"
	"maps"
	"slices"

	"github.com/blox/blox/daemon-scheduler/environment"
)

// checkCircuitBreaker fails a deployment with too many failed starts and tasks. A rollback is exempt, because there
// is nothing else to roll back to.
func (b *planBuilder) checkCircuitBreaker() {
	inProgress := b.current.Rollout() == environment.RolloutInProgress && b.current.RollbackOf == ""
	if !b.deployed || !b.Fresh || b.holdReason != "" || !inProgress {
		return
	}
	b.plan.Progress.FailedTasks = b.failures
	breaker := b.spec.DeploymentConfiguration.CircuitBreaker
	threshold := breaker.FailureThreshold(max(b.desired, 1))
	if !breaker.Enable || b.failures < threshold {
		return
	}
	b.plan.FailureReason = fmt.Sprintf(breakerTripped, quantity(b.failures, "failure"), threshold)
	if b.failureExample != "" {
		b.plan.FailureReason += breakerFirstReason + b.failureExample
	}
	b.plan.Actions = slices.DeleteFunc(b.plan.Actions, func(a Action) bool { return a.Kind == Start || a.Kind == Stop })
}

// countFailures counts the failed starts and tasks of the current deployment. Unless it is the environment's first,
// instances that had no task before do not count.
func (b *planBuilder) countFailures() {
	for _, arn := range slices.Sorted(maps.Keys(b.Launches)) {
		l := b.Launches[arn]
		n := failedAttempts(l)
		if l.Deployment != b.current.ID || l.HadNoTask && !b.firstRollout || n == 0 {
			continue
		}
		b.failures += n
		if b.failureExample == "" && l.Reason != "" {
			b.failureExample = l.Reason + " on " + arn
			if l.Detail != "" {
				b.failureExample += ": " + l.Detail
			}
		}
	}
	b.failures = max(b.failures, b.current.FailedTasks)
}

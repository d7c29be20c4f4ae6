package rules

import (
	"fmt"
	"strings"
	"time"

	"github.com/blox/blox/internal/ecssim"
)

// judgeCompleted checks that nothing undoes a completed deployment: no task of an older deployment starts after its
// completion was observed, whatever follows it, since a rollback is a deployment of its own. A completed deployment
// stays completed, and its tasks have its task definition.
func (j *Judge) judgeCompleted(e *environment, now time.Time, deployments []Deployment) {
	order, completedAt := map[string]int{}, time.Time{} // of the newest deployment that was observed as completed
	newest := -1
	for n, d := range deployments {
		order[d.ID] = n
		at, known := e.completed[d.ID]
		if known && newest < 0 {
			newest, completedAt = n, at
		}
		switch {
		case d.RolloutState == "COMPLETED" && !known:
			e.completed[d.ID] = now
		case d.RolloutState != "COMPLETED" && known:
			e.once(j, PromiseUndone, "%s: deployment %s was COMPLETED, and is %s now", e.Name, d.ID, d.RolloutState)
		}
	}
	for _, t := range e.created {
		n, known := order[t.StartedBy]
		switch {
		case !known:
		case newest >= 0 && n > newest && t.CreatedAt.After(completedAt):
			e.once(j, PromiseUndone, "%s: %s of deployment %s was started at %s, after deployment %s had completed",
				e.Name, t.ARN, t.StartedBy, t.CreatedAt.Format("15:04:05.000"), deployments[newest].ID)
		case t.TaskDefinitionARN != deployments[n].TaskDefinition:
			e.once(j, PromiseUndone, "%s: %s runs %s; its deployment %s has %s",
				e.Name, t.ARN, t.TaskDefinitionARN, t.StartedBy, deployments[n].TaskDefinition)
		}
	}
	e.created = nil
}

// once reports a violation that repeated observations find again.
func (e *environment) once(j *Judge, promise, format string, args ...any) {
	if detail := fmt.Sprintf(format, args...); !e.reported[detail] {
		e.reported[detail] = true
		j.report(promise, "%s", detail)
	}
}

// refusalsOfOthers are the codes of calls of StartTask that count as no failure of the deployment: they concern the
// caller, the rate or ECS itself.
var refusalsOfOthers = []string{
	"ExpiredToken", "InvalidSignature", "RequestTimeTooSkewed", "RequestExpired", "UnrecognizedClient",
	"IncompleteSignature", "InvalidClientTokenId", "MissingAuthenticationToken", "OptInRequired", "Throttling", "Server",
	"ServiceUnavailable", "InternalFailure",
}

// countRefusal counts a start that ECS refused as a failure of its deployment, unless the reason is another's.
func (j *Judge) countRefusal(r ecssim.StartRefusal) {
	for _, prefix := range refusalsOfOthers {
		if strings.HasPrefix(r.Reason, prefix) {
			return
		}
	}
	failures := j.failuresOf(r.StartedBy)
	failures[fmt.Sprintf("refusal %d", len(failures))] = true
}

// countFailure counts a task that stopped by itself, or became UNHEALTHY.
func (j *Judge) countFailure(t ecssim.Task) {
	if t.HealthStatus == "UNHEALTHY" || t.StopCode == "EssentialContainerExited" || t.StopCode == "TaskFailedToStart" {
		j.failuresOf(t.StartedBy)[t.ARN] = true
	}
}

func (j *Judge) failuresOf(deployment string) map[string]bool {
	if j.failures[deployment] == nil {
		j.failures[deployment] = map[string]bool{}
	}
	return j.failures[deployment]
}

// judgeFailed checks that a deployment that failed had as many failures as the circuit breaker needs. Stops by users
// and by Blox, drains, interruptions and errors about the caller are no failures. A deployment is judged once the last
// observation has shown its failure, too: the changes until then have been applied since.
func (j *Judge) judgeFailed(e *environment, deployments []Deployment) {
	for _, d := range deployments {
		if d.RolloutState != "FAILED" || !e.failed[d.ID] {
			e.failed[d.ID] = d.RolloutState == "FAILED"
			continue
		}
		failures := len(j.failures[d.ID])
		if e.Threshold == 0 || failures < e.Threshold {
			e.once(j, PromiseBreaker, "%s: deployment %s failed after %d failures (threshold %d; 0: disabled): %s",
				e.Name, d.ID, failures, e.Threshold, d.RolloutStateReason)
		}
	}
}

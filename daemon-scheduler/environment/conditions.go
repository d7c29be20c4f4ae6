package environment

import (
	"fmt"
	"strings"
	"time"
)

// ConditionType names a condition of an environment.
type ConditionType string

// The conditions.
const (
	ConditionRolledBack            ConditionType = "RolledBack"            // the newest revision was rolled back
	ConditionPaused                ConditionType = "Paused"                // see Environment.Paused
	ConditionWaitingForPromotion   ConditionType = "WaitingForPromotion"   // a deployment does not go beyond its canary
	ConditionCircuitBreakerTripped ConditionType = "CircuitBreakerTripped" // the newest deployment failed
)

// The conditions that the leader observes when calls of ECS fail.
const (
	ConditionCredentialsExpired     ConditionType = "CredentialsExpired"     // AWS refuses the credentials or the clock
	ConditionThrottled              ConditionType = "Throttled"              // ECS throttles the account
	ConditionECSUnavailable         ConditionType = "ECSUnavailable"         // ECS fails or cannot be reached
	ConditionAccessDenied           ConditionType = "AccessDenied"           // ECS denies StartTask or iam:PassRole
	ConditionTaskDefinitionRejected ConditionType = "TaskDefinitionRejected" // ECS rejects every start of the deployment
	ConditionTaskStopFailed         ConditionType = "TaskStopFailed"         // ECS rejects StopTask
)

// ConditionStatus is the status of a condition, in Kubernetes' words.
type ConditionStatus string

// ConditionTrue is the status of a condition that holds.
const ConditionTrue ConditionStatus = "True"

// Condition is an observation about an environment, as in Kubernetes.
type Condition struct {
	Type               ConditionType
	Status             ConditionStatus
	Reason             string // one word; of a failed call, ECS's error code, which may be empty
	Message            string
	LastTransitionTime time.Time // when Status last changed; zero if unknown
}

// Conditions returns the conditions that the record shows, in a fixed order.
func (e Environment) Conditions() (conditions []Condition) {
	for _, derive := range []func(Environment) (Condition, bool){
		rolledBack, paused, waitingForPromotion, circuitBreakerTripped,
	} {
		if c, holds := derive(e); holds {
			c.Status = ConditionTrue
			conditions = append(conditions, c)
		}
	}
	return conditions
}

// Effective returns the deployment whose revision is in effect: the rollback in progress, else the newest completed
// deployment, else the environment's first deployment, in progress.
func (e Environment) Effective() (Deployment, bool) {
	inProgress, found := e.InProgress()
	if found && inProgress.RollbackOf != "" {
		return inProgress, true
	}
	if d, ok := e.NewestCompleted(); ok {
		return d, true
	}
	return inProgress, found
}

// rolledBack holds until another revision is in effect, or a newer revision exists.
func rolledBack(e Environment) (Condition, bool) {
	d, ok := e.Effective()
	latest := e.LatestRevision()
	if !ok || d.RollbackOf == "" || d.RevisionNumber() == latest.Number {
		return Condition{}, false
	}
	undone, found := e.undoneBy(d)
	if found && undone.RevisionNumber() != latest.Number {
		return Condition{}, false
	}
	reason := "RollbackRequested"
	if undone.Rollout() == RolloutFailed {
		reason = "DeploymentFailed"
	}
	message := fmt.Sprintf("Revision %d with %s is in effect; revision %d with %s was rolled back.", d.RevisionNumber(),
		resourceName(d.TaskDefinition), latest.Number, resourceName(latest.Spec.TaskDefinition))
	return Condition{
		Type: ConditionRolledBack, Reason: reason, Message: message, LastTransitionTime: d.StartTime,
	}, true
}

// undoneBy returns the deployment that the rollback d and the rollbacks before it undid. It reports false if that is no
// longer kept.
func (e Environment) undoneBy(d Deployment) (Deployment, bool) {
	for range e.Deployments { // at most as many as there are: records may be malformed
		undone, kept := e.Deployments[d.RollbackOf]
		if !kept || undone.RollbackOf == "" {
			return undone, kept
		}
		d = undone
	}
	return Deployment{}, false
}

func paused(e Environment) (Condition, bool) {
	c := Condition{
		Type: ConditionPaused, Reason: "UserRequested", LastTransitionTime: e.PausedAt,
		Message: "Blox starts and replaces no task until the environment is resumed.",
	}
	if e.PausedBy != "" {
		c.Reason = "DeploymentAborted"
		if e.Deployments[e.PausedBy].Rollout() == RolloutFailed {
			c.Reason = "DeploymentFailed"
		}
		c.Message = "Blox replaces no task until the environment is resumed or deployed."
	}
	return c, e.Paused
}

func waitingForPromotion(e Environment) (Condition, bool) {
	d, _ := e.InProgress()
	return Condition{
		Type: ConditionWaitingForPromotion, Reason: "CanaryNotPromoted", LastTransitionTime: d.StartTime,
		Message: "The deployment continues beyond its canary when it is promoted.",
	}, e.AwaitsPromotion()
}

// circuitBreakerTripped holds until a user creates another deployment. Rollbacks do not end it.
func circuitBreakerTripped(e Environment) (Condition, bool) {
	for _, d := range e.History() {
		if d.RollbackOf != "" {
			continue
		}
		return Condition{
			Type: ConditionCircuitBreakerTripped, Reason: "TooManyFailures", Message: d.RolloutStateReason,
			LastTransitionTime: d.EndTime,
		}, d.Rollout() == RolloutFailed
	}
	return Condition{}, false
}

// resourceName returns the part of an ARN after the last slash.
func resourceName(arn string) string { return arn[strings.LastIndexByte(arn, '/')+1:] }

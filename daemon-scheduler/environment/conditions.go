package environment

import (
	"cmp"
	"fmt"
	"slices"
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
	ConditionAlarmTriggered        ConditionType = "AlarmTriggered"        // an alarm failed the newest deployment
	// ConditionProgressDeadlineExceeded means that tasks of the newest deployment did not become available in time.
	ConditionProgressDeadlineExceeded ConditionType = "ProgressDeadlineExceeded"
	ConditionAlarmsIgnored            ConditionType = "AlarmsIgnored" // see Environment.WithAlarmsChecked
	ConditionTakeover                 ConditionType = "Takeover"      // see Takeover
)

// The conditions that the status computes from the cluster and its tasks.
const (
	ConditionClusterNotReconciled ConditionType = "ClusterNotReconciled" // its state may lack instances and tasks
	ConditionOverlapsEnvironment  ConditionType = "OverlapsEnvironment"  // another one runs the same family there
)

// The conditions that the leader observes: of tasks, and of calls of ECS that fail.
const (
	ConditionTasksUnhealthy         ConditionType = "TasksUnhealthy"         // the health checks of some tasks fail
	ConditionCredentialsExpired     ConditionType = "CredentialsExpired"     // AWS rejects the credentials or the clock
	ConditionRoleNotAssumed         ConditionType = "RoleNotAssumed"         // STS rejects AssumeRole of Environment.Role
	ConditionThrottled              ConditionType = "Throttled"              // ECS throttles the account
	ConditionECSUnavailable         ConditionType = "ECSUnavailable"         // ECS fails or cannot be reached
	ConditionAccessDenied           ConditionType = "AccessDenied"           // ECS denies StartTask or iam:PassRole
	ConditionTaskDefinitionRejected ConditionType = "TaskDefinitionRejected" // ECS rejects every start of the deployment
	ConditionTaskStopFailed         ConditionType = "TaskStopFailed"         // ECS rejects StopTask
	// ConditionServicesUnknown means that DescribeServices fails, so that the tasks of services count as workload.
	ConditionServicesUnknown ConditionType = "ServicesUnknown"
	// ConditionAlarmsUnknown means that the states of some alarms are unknown, so that the rollout waits.
	ConditionAlarmsUnknown ConditionType = "AlarmsUnknown"
	// ConditionTakeoverBlocked means that the service of a takeover cannot be updated.
	ConditionTakeoverBlocked ConditionType = "TakeoverBlocked"
)

// ConditionTypes are all types of conditions, in the order in which they are shown.
var ConditionTypes = []ConditionType{
	ConditionRolledBack, ConditionPaused, ConditionWaitingForPromotion, ConditionCircuitBreakerTripped,
	ConditionProgressDeadlineExceeded, ConditionAlarmTriggered, ConditionAlarmsIgnored,
	ConditionTakeover, ConditionClusterNotReconciled, ConditionOverlapsEnvironment, ConditionTasksUnhealthy,
	ConditionCredentialsExpired, ConditionRoleNotAssumed, ConditionThrottled, ConditionECSUnavailable,
	ConditionAccessDenied,
	ConditionTaskDefinitionRejected, ConditionTaskStopFailed, ConditionServicesUnknown, ConditionAlarmsUnknown,
	ConditionTakeoverBlocked,
}

// ConditionStatus is the status of a condition, in Kubernetes' words.
type ConditionStatus string

// ConditionTrue is the status of a condition that holds.
const ConditionTrue ConditionStatus = "True"

// Condition is an observation about an environment, as in Kubernetes.
type Condition struct {
	Type               ConditionType
	Status             ConditionStatus
	Reason             string // one word; of a failed call, ECS's error code
	Message            string
	LastTransitionTime time.Time // when Status last changed; zero if unknown
}

// SortConditions sorts conditions in the order of ConditionTypes. Types of a later version come last, by name.
func SortConditions(conditions []Condition) {
	position := func(c Condition) int {
		if n := slices.Index(ConditionTypes, c.Type); n >= 0 {
			return n
		}
		return len(ConditionTypes)
	}
	slices.SortFunc(conditions, func(a, b Condition) int {
		return cmp.Or(cmp.Compare(position(a), position(b)), cmp.Compare(a.Type, b.Type))
	})
}

// Conditions returns the conditions that the record shows, in a fixed order.
func (e Environment) Conditions() (conditions []Condition) {
	for _, derive := range []func(Environment) (Condition, bool){
		rolledBack, paused, waitingForPromotion, deploymentFailed, alarmsIgnored, takeover,
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
		Message: promotionMessage(e, d),
	}, e.AwaitsPromotion()
}

func alarmsIgnored(e Environment) (Condition, bool) {
	d, inProgress := e.InProgress()
	message := ListAlarms(d.IgnoredAlarms) + " " + wasOrWere(d.IgnoredAlarms) +
		" in the ALARM state when the deployment started, so the deployment ignores its alarms."
	return Condition{
		Type: ConditionAlarmsIgnored, Reason: "InAlarmAtStart", Message: message, LastTransitionTime: d.StartTime,
	}, inProgress && len(d.IgnoredAlarms) > 0
}

// promotionMessage returns when the deployment goes beyond the present step of its canary.
func promotionMessage(e Environment, d Deployment) string {
	step, _, _, _ := e.CanaryStep(d)
	name := e.CanaryStepText(d)
	switch pause, automatic := step.Pause(); {
	case name == "":
		return "The deployment continues beyond its canary when it is promoted."
	case !automatic:
		return name + ": the deployment continues when the step is promoted."
	case !d.CanaryProgress.PromotesAt.IsZero():
		return fmt.Sprintf("%s: Blox promotes the step at %s if its tasks stay ready.",
			name, d.CanaryProgress.PromotesAt.Format(time.RFC3339))
	default:
		return fmt.Sprintf("%s: Blox promotes the step when its tasks have been ready for %d minutes.",
			name, int(pause.Minutes()))
	}
}

// Family returns the family of a task definition, given by its ARN or by family:revision.
func Family(taskDefinition string) string {
	family, _, _ := strings.Cut(resourceName(taskDefinition), ":")
	return family
}

// resourceName returns the part of an ARN after the last slash.
func resourceName(arn string) string { return arn[strings.LastIndexByte(arn, '/')+1:] }

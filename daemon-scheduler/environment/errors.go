package environment

import (
	"cmp"
	"errors"
	"fmt"
)

// Errors of requests and of the services that Blox depends on. The functions below return some of them with v0.3's
// texts.
var (
	ErrExists             = errors.New("environment exists")    // see Exists
	ErrNotFound           = errors.New("environment not found") // see NotFound
	ErrDeploymentNotFound = errors.New("deployment not found")  // see DeploymentNotFound
	ErrRevisionNotFound   = errors.New("revision not found")    // see RevisionNotFound

	ErrTokenMissing   = errors.New("the deploymentToken is missing")
	ErrTokenMalformed = errors.New("the deploymentToken is not a lower-case UUID")
	ErrTokenOutdated  = errors.New("deployment token outdated") // of a deployment
	ErrTokenUsed      = errors.New("deployment token used")
	ErrInProgress     = errors.New("deployment in progress")

	ErrUpdateTokenOutdated = errors.New("deployment token of an update outdated")
	ErrDeleting            = errors.New("environment is being deleted")
	ErrNoRollbackTarget    = errors.New("no deployment to roll back to")
	ErrNoCanary            = errors.New("no canary is waiting for promotion")

	ErrClusterNotFound        = errors.New("cluster not found") // see ClusterNotFound
	ErrClusterInactive        = errors.New("cluster inactive")
	ErrTaskDefinitionNotFound = errors.New("task definition not found") // see TaskDefinitionNotFound
	ErrRoleNotAssumed         = errors.New("role not assumed")
	ErrRoleRequired           = errors.New("role required")      // see RoleRequired
	ErrPartitionMismatch      = errors.New("partition mismatch") // see PartitionMismatch
	// ErrTaskDefinitionElsewhere means that a task definition is not of the cluster's account and region.
	ErrTaskDefinitionElsewhere = errors.New("task definition elsewhere")
	ErrTaskDefinitionInactive  = errors.New("task definition inactive")
	// ErrTargetUnusable means that the task definition of a deployment to create does not exist or is inactive. See
	// TargetUnusable.
	ErrTargetUnusable = errors.New("task definition of the deployment unusable")

	ErrECSUnavailable        = errors.New("ECS unavailable") // failing or unreachable; a retry may succeed
	ErrSTSUnavailable        = errors.New("STS unavailable") // alike; see STSUnavailable
	ErrECSThrottled          = errors.New("ECS throttles")
	ErrECSCredentialsExpired = errors.New("AWS rejects the credentials") // see ECSCredentialsExpired
	ErrECSAccessDenied       = errors.New("ECS denies access")           // see ECSAccessDenied

	ErrStoreUnavailable  = errors.New("the store is unavailable")
	ErrStoreOutOfSpace   = errors.New("the store is out of space") // reads still work
	ErrClusterStateStale = errors.New("the cluster state is stale")

	// ErrConflict means that a record was changed since it was read. Read it again.
	ErrConflict = errors.New("the record was changed since it was read")
	// ErrNotLeader means that another replica leads.
	ErrNotLeader = errors.New("no longer the leader")
)

// domainError is an error of a kind with a text for users, in v0.3's words.
type domainError struct {
	kind error
	text string
}

func (e *domainError) Error() string        { return e.text }
func (e *domainError) Is(target error) bool { return target == e.kind }

// Exists returns the ErrExists of the named environment.
func Exists(name string) error {
	text := "Error saving environment " + name + " to store: An environment with name " + name + " already exists"
	return &domainError{ErrExists, text}
}

// NotFound returns the ErrNotFound of the named environment.
func NotFound(name string) error {
	return &domainError{ErrNotFound, "Environment " + name + " does not exist"}
}

// DeploymentNotFound returns the ErrDeploymentNotFound of a deployment.
func DeploymentNotFound(id, name string) error {
	return &domainError{ErrDeploymentNotFound, "Deployment " + id + " does not exist for environment " + name}
}

// RevisionNotFound returns the ErrRevisionNotFound of a revision, as given.
func RevisionNotFound(number, name string) error {
	return &domainError{ErrRevisionNotFound, "Revision " + number + " does not exist for environment " + name}
}

// ClusterNotFound returns the ErrClusterNotFound of a cluster, as given.
func ClusterNotFound(given string) error {
	return &domainError{ErrClusterNotFound, fmt.Sprintf("Cluster %.300q does not exist", given)}
}

// RoleNotAssumed returns the ErrRoleNotAssumed of a role.
func RoleNotAssumed(role, reason string) error {
	return &domainError{ErrRoleNotAssumed, "Role " + role + " cannot be assumed: " + reason}
}

// RoleRequired returns the ErrRoleRequired of a cluster, as given, whose account is not that of the scheduler's own
// credentials.
func RoleRequired(cluster, account, own string) error {
	return &domainError{ErrRoleRequired, fmt.Sprintf(
		"Cluster %.300q is of account %s, and the credentials of daemon-scheduler are of account %s: set role to the ARN of "+
			"an IAM role of account %s", cluster, account, own, account)}
}

// PartitionMismatch returns an ErrPartitionMismatch.
func PartitionMismatch(text string) error { return &domainError{ErrPartitionMismatch, text} }

// ECSUnavailable returns the ErrECSUnavailable of a region; empty for the scheduler's own.
func ECSUnavailable(region string) error {
	return &domainError{ErrECSUnavailable, "ECS does not respond" + inRegion(region)}
}

// STSUnavailable returns the ErrSTSUnavailable of a role that could not be assumed for now. Code is of STS; empty if it
// has not responded.
func STSUnavailable(role, code string) error {
	return &domainError{ErrSTSUnavailable, "Role " + role + " cannot be assumed now: STS responds with " +
		cmp.Or(code, "nothing")}
}

func inRegion(region string) string {
	if region == "" {
		return ""
	}
	return " in region " + region
}

// ECSCredentialsExpired returns the ErrECSCredentialsExpired of a call that AWS rejected with the error code in a
// region; empty for the scheduler's own.
func ECSCredentialsExpired(code, region string) error {
	return &domainError{
		ErrECSCredentialsExpired,
		"AWS rejects the credentials or the clock of daemon-scheduler" + inRegion(region) + ": " + code,
	}
}

// ECSAccessDenied returns the ErrECSAccessDenied of a call. Explanation is ECS's, which names the action.
func ECSAccessDenied(code, explanation string) error {
	return &domainError{ErrECSAccessDenied, fmt.Sprintf("ECS denies access: %s: %.500s", code, explanation)}
}

// TaskDefinitionNotFound returns the ErrTaskDefinitionNotFound of a task definition, as given.
func TaskDefinitionNotFound(given string) error {
	return &domainError{ErrTaskDefinitionNotFound, fmt.Sprintf("TaskDefinition %.300q does not exist", given)}
}

func tokenOutdated(token string) error {
	return &domainError{ErrTokenOutdated, "Token '" + token + "' is outdated"}
}

func tokenUsed(token string) error {
	return &domainError{ErrTokenUsed, "Deployment with token '" + token + "' already exists"}
}

func inProgress(id string) error {
	return &domainError{ErrInProgress, "There is already a deployment in progress: " + id}
}

func updateTokenOutdated(token string) error {
	return &domainError{ErrUpdateTokenOutdated, "Token '" + token + "' is outdated"}
}

func deleting(name string) error {
	return &domainError{ErrDeleting, "Environment " + name + " is being deleted"}
}

func noRollbackTarget(name string) error {
	text := "Environment " + name + " has no earlier completed deployment to roll back to"
	return &domainError{ErrNoRollbackTarget, text}
}

// TargetUnusable returns the ErrTargetUnusable of the deployment d of the named environment. Cause is
// ErrTaskDefinitionNotFound or ErrTaskDefinitionInactive.
func TargetUnusable(name string, d Deployment, cause error) error {
	problem := "TaskDefinition is inactive"
	if errors.Is(cause, ErrTaskDefinitionNotFound) {
		problem = "TaskDefinition does not exist"
	}
	text := fmt.Sprintf("%s: revision %d of environment %s has %s", problem, d.RevisionNumber(), name, d.TaskDefinition)
	return &domainError{ErrTargetUnusable, text}
}

func noCanaryStep(id string, number, count int) error {
	problem := fmt.Sprintf("The canary of deployment %s has no step %d: it has %d", id, number, count)
	return &domainError{ErrNoCanary, problem}
}

func stepNotReached(id string, number, present int) error {
	return &domainError{ErrNoCanary, fmt.Sprintf(
		"Deployment %s has not reached step %d of its canary: promote step %d first", id, number, present)}
}

func noCanary(id string) error {
	return &domainError{ErrNoCanary, "Deployment " + id + " has no canary waiting for promotion"}
}

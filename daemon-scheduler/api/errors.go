package api

import (
	"errors"
	"net/http"

	"github.com/blox/blox/daemon-scheduler/environment"
	"github.com/blox/blox/daemon-scheduler/events"
	"github.com/blox/blox/daemon-scheduler/store"
	"github.com/blox/blox/internal/httpserver"
)

// Errors of requests that are invalid whatever the state is.
var (
	errInvalid     = errors.New("invalid request") // matches every *invalid
	errUnsupported = errors.New("unsupported filter")
	errRepeated    = errors.New("repeated filter")
	errCluster     = errors.New("invalid cluster")
)

// invalid is an error of a request. The client receives its text.
type invalid struct {
	text    string
	details httpserver.Details
}

func (i *invalid) Error() string        { return i.text }
func (i *invalid) Is(target error) bool { return target == errInvalid }

// unexpected is the text of every error that errorResponses does not match.
const unexpected = "Server Error"

const (
	badRequest  = http.StatusBadRequest
	notFound    = http.StatusNotFound
	conflict    = http.StatusConflict
	unavailable = http.StatusServiceUnavailable
)

// errorResponses maps errors to responses; clients learn nothing else about errors. The texts are v0.3's. A response
// without a text has the error's own, which names the offending value.
var errorResponses = []httpserver.ErrorResponse{
	{
		Err: errInvalidKey, Status: badRequest, Code: "InvalidIdempotencyKey",
		Text: "The Idempotency-Key is invalid: one value of 1 to 255 printable ASCII characters is accepted",
	},
	{
		Err: errKeyReused, Status: http.StatusUnprocessableEntity, Code: "IdempotencyKeyReused",
		Text: "The Idempotency-Key belongs to a request with another path, query, body or client",
		Hint: "Send each request with a key of its own, such as a UUID. Repeat a key only to retry its request unchanged.",
	},
	{
		Err: errResponseDropped, Status: conflict, Code: "ResponseNotStored",
		Text: "The request with this Idempotency-Key was executed; its response was too large to store",
		Hint: "GET the environment for its current state.",
	},
	{
		Err: store.ErrTooManyResponses, Status: http.StatusTooManyRequests, Code: "TooManyIdempotencyKeys", RetryAfter: 60,
		Text: "Too many Idempotency-Keys are in use",
		Hint: "Retry later, or without an Idempotency-Key.",
	},
	{Err: errInvalid, Status: badRequest, Code: "InvalidRequest"},
	{
		Err: errUnsupported, Status: badRequest, Code: "UnsupportedFilter",
		Text: "At least one of the filters provided is not supported",
	},
	{
		Err: errRepeated, Status: badRequest, Code: "RepeatedFilter",
		Text: "At least one of the filters provided is specified multiple times",
	},
	{Err: errCluster, Status: badRequest, Code: "InvalidCluster", Text: "Invalid cluster ARN or name"},
	{
		Err: events.ErrPosition, Status: badRequest, Code: "EntityVersionOutOfRange",
		Text: "Entity version is out of range",
		Hint: "List the events again, and stream from the version of the list.",
	},
	{
		Err: environment.ErrTokenMissing, Status: badRequest, Code: "DeploymentTokenMissing",
		Hint: "GET the environment returns its current deploymentToken.",
	},
	{
		Err: environment.ErrTokenMalformed, Status: badRequest, Code: "DeploymentTokenMalformed",
		Hint: "GET the environment returns its current deploymentToken.",
	},
	{
		Err: environment.ErrTokenOutdated, Status: badRequest, Code: "DeploymentTokenOutdated",
		Hint: "GET the environment again for its current deploymentToken.",
	},
	{
		Err: environment.ErrTokenUsed, Status: badRequest, Code: "DeploymentTokenUsed",
		Hint: "Update the environment, or set forceNewDeployment=true.",
	},
	{
		Err: environment.ErrInProgress, Status: badRequest, Code: "DeploymentInProgress",
		Hint: "Wait until it has ended, or stop it.",
	},
	{Err: environment.ErrExists, Status: badRequest, Code: "EnvironmentExists", Hint: "PATCH updates it."},
	{
		Err: environment.ErrUpdateTokenOutdated, Status: conflict, Code: "UpdateTokenOutdated",
		Hint: "GET the environment again for its current deploymentToken.",
	},
	{
		Err: environment.ErrDeleting, Status: conflict, Code: "EnvironmentDeleting",
		Hint: "Wait until the environment is deleted.",
	},
	{Err: environment.ErrNoRollbackTarget, Status: conflict, Code: "NoRollbackTarget"},
	{Err: environment.ErrNoCanary, Status: conflict, Code: "NoCanary"},
	{Err: environment.ErrNoTakeover, Status: conflict, Code: "NoTakeover"},
	{
		Err: environment.ErrRoleNotAssumed, Status: badRequest, Code: "RoleNotAssumed",
		Hint: "Allow sts:AssumeRole in the policy of daemon-scheduler and in the role's trust policy, or change the role.",
	},
	{
		Err: environment.ErrRoleRequired, Status: badRequest, Code: "RoleRequired",
		Hint: "A role of that account must trust daemon-scheduler; see Roles in its documentation.",
	},
	{Err: environment.ErrPartitionMismatch, Status: badRequest, Code: "PartitionMismatch"},
	{
		Err: environment.ErrTaskDefinitionElsewhere, Status: badRequest, Code: "TaskDefinitionElsewhere",
		Hint: "Register the task definition in the cluster's account and region, or give its family alone.",
	},
	{Err: environment.ErrServiceUnsuitable, Status: badRequest, Code: "ServiceUnsuitable"},
	{Err: environment.ErrNotFound, Status: notFound, Code: "EnvironmentNotFound"},
	{Err: environment.ErrDeploymentNotFound, Status: notFound, Code: "DeploymentNotFound"},
	{Err: environment.ErrRevisionNotFound, Status: notFound, Code: "RevisionNotFound"},
	{Err: environment.ErrServiceNotFound, Status: notFound, Code: "ServiceNotFound"},
	{Err: environment.ErrTargetUnusable, Status: notFound, Code: "TargetUnusable"},
	{Err: environment.ErrClusterNotFound, Status: notFound, Code: "ClusterNotFound"},
	{Err: environment.ErrClusterInactive, Status: notFound, Code: "ClusterInactive", Text: "Cluster is inactive"},
	{Err: environment.ErrTaskDefinitionNotFound, Status: notFound, Code: "TaskDefinitionNotFound"},
	{
		Err: environment.ErrTaskDefinitionInactive, Status: notFound, Code: "TaskDefinitionInactive",
		Text: "TaskDefinition is inactive",
	},
	{
		Err: environment.ErrECSCredentialsExpired, Status: unavailable, Code: "ECSCredentialsExpired", RetryAfter: 30,
		Hint: "Renew the AWS credentials of daemon-scheduler. If the code names the time, correct the clock of its " +
			"machine. If the error names a region, enable it in the account.",
	},
	{
		Err: environment.ErrECSAccessDenied, Status: unavailable, Code: "ECSAccessDenied", RetryAfter: 30,
		Hint: "Allow the action in the IAM policy of daemon-scheduler, or of the environment's role.",
	},
	{
		Err: environment.ErrECSThrottled, Status: unavailable, Code: "ECSThrottled", RetryAfter: 5,
		Text: "ECS throttles the calls of daemon-scheduler",
		Hint: "Retry later; if it persists, find what else calls ECS in the account, or raise the quotas.",
	},
	{
		Err: environment.ErrSTSUnavailable, Status: unavailable, Code: "STSUnavailable", RetryAfter: 5,
		Hint: "Retry later.",
	},
	{
		Err: environment.ErrECSUnavailable, Status: unavailable, Code: "ECSUnavailable",
		Hint: "Retry later. If the error names a region, check its name and that daemon-scheduler reaches ECS there.",
	},
	{
		Err: environment.ErrClusterStateStale, Status: unavailable, Code: "ClusterStateStale",
		Text: "The cluster state is stale",
		Hint: "Retry later; GET /v1/ready has the reasons.",
	},
	{
		Err: environment.ErrStoreUnavailable, Status: unavailable, Code: "StoreUnavailable",
		Text: "etcd does not respond",
		Hint: "Retry later; GET /v1/ready has the reasons.",
	},
	{
		Err: environment.ErrStoreOutOfSpace, Status: unavailable, Code: "StoreOutOfSpace",
		Text: "etcd is out of space",
		Hint: "Compact and defragment etcd, or raise its quota.",
	},
}

// errorDetails returns which part of a request is invalid.
func errorDetails(err error) httpserver.Details {
	var of *invalid
	if errors.As(err, &of) {
		return of.details
	}
	return httpserver.Details{}
}

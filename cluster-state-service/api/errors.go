package api

import (
	"errors"
	"net/http"

	"github.com/sirupsen/logrus"

	"github.com/blox/blox/cluster-state-service/state"
	"github.com/blox/blox/internal/httpserver"
)

// Unexpected is the text of every error that responses does not list. The log has the details.
const Unexpected = "Unexpected internal server error"

const (
	badRequest  = http.StatusBadRequest
	notFound    = http.StatusNotFound
	unavailable = http.StatusServiceUnavailable
)

// errorResponses maps errors to HTTP. Clients see no other texts; v0.3 defines most of them.
var errorResponses = []httpserver.ErrorResponse{
	{
		Err: state.ErrUnsupportedFilter, Status: badRequest, Code: "UnsupportedFilter",
		Text: "At least one of the filters provided is unsupported",
	},
	{
		Err: state.ErrRepeatedFilter, Status: badRequest, Code: "RepeatedFilter",
		Text: "At least one of the filters provided is specified multiple times",
	},
	{Err: state.ErrInvalidStatus, Status: badRequest, Code: "InvalidStatus", Text: "Invalid status"},
	{Err: state.ErrInvalidCluster, Status: badRequest, Code: "InvalidCluster", Text: "Invalid cluster ARN or name"},
	{Err: state.ErrInvalidParameter, Status: badRequest, Code: "InvalidParameter"},
	{
		Err: state.ErrInvalidNextToken, Status: badRequest, Code: "InvalidNextToken",
		Text: "Invalid next token",
		Hint: "List again from the first page.",
	},
	{Err: state.ErrInstanceNotFound, Status: notFound, Code: "InstanceNotFound", Text: "Instance not found"},
	{Err: state.ErrTaskNotFound, Status: notFound, Code: "TaskNotFound", Text: "Task not found"},
	{
		Err: state.ErrInvalidVersion, Status: badRequest, Code: "InvalidEntityVersion",
		Text: "Invalid entity version",
	},
	{
		Err: state.ErrVersionOutOfRange, Status: badRequest, Code: "EntityVersionOutOfRange",
		Text: "Entity version is out of range",
		Hint: "List again, and stream from the version of the list.",
	},
	{
		Err: state.ErrNotReconciled, Status: unavailable, Code: "NotReconciled",
		Text: "Not yet reconciled with ECS",
		Hint: "Retry later; GET /v1/ready has the reasons.",
	},
	{ // the text names the cluster and the reason
		Err: state.ErrClusterNotReconciled, Status: unavailable, Code: "ClusterNotReconciled",
		Hint: "Retry later.",
	},
	{
		Err: state.ErrTooManyWaiters, Status: unavailable, Code: "TooManyWaiters",
		Text: "Too many requests wait for changes",
		Hint: "Retry later, or follow a stream.",
	},
	{
		Err: state.ErrStoreUnavailable, Status: unavailable, Code: "StoreUnavailable",
		Text: "etcd does not respond",
		Hint: "Retry later; GET /v1/ready has the reasons.",
	},
	{Err: state.ErrInvalidRefresh, Status: badRequest, Code: "InvalidRefresh"},
	{
		Err: state.ErrForeignCluster, Status: badRequest, Code: "ForeignCluster",
		Text: "The cluster is of another account or region",
	},
	{
		Err: state.ErrECSCredentialsExpired, Status: unavailable, Code: "ECSCredentialsExpired", RetryAfter: 30,
		Hint: "Renew the AWS credentials of cluster-state-service. If the code names the time, correct the clock of its " +
			"machine. Otherwise, check that the region is enabled in the account.",
	},
	{
		Err: state.ErrECSAccessDenied, Status: unavailable, Code: "ECSAccessDenied", RetryAfter: 30,
		Hint: "Allow the action in the IAM policy of cluster-state-service, or of the source's role.",
	},
	{
		Err: state.ErrRoleNotAssumed, Status: unavailable, Code: "SourceRoleNotAssumed", RetryAfter: 30,
		Hint: "Allow sts:AssumeRole in the policy of cluster-state-service and in the role's trust policy.",
	},
	{
		Err: state.ErrECSThrottled, Status: unavailable, Code: "ECSThrottled", RetryAfter: 5,
		Hint: "Retry later; if it persists, find what else calls ECS in the account, or raise the quotas.",
	},
	{
		Err: state.ErrSTSUnavailable, Status: unavailable, Code: "STSUnavailable", RetryAfter: 5,
		Hint: "Retry later.",
	},
	{
		Err: state.ErrECSUnavailable, Status: unavailable, Code: "ECSUnavailable",
		Hint: "Retry later. Check the name of the region, and that cluster-state-service reaches ECS there.",
	},
}

// responses returns the table of all errors.
func responses(log logrus.FieldLogger) httpserver.ErrorTable {
	return httpserver.ErrorTable{
		Responses: errorResponses, Unexpected: Unexpected, Details: errorDetails, Log: log,
	}
}

// errorDetails returns which parameter of a request is invalid.
func errorDetails(err error) httpserver.Details {
	var of *state.ParameterError
	if errors.As(err, &of) {
		return httpserver.Details{Parameter: of.Parameter, Accepted: of.Accepted}
	}
	return httpserver.Details{}
}

package api

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/blox/blox/cluster-state-service/state"
	"github.com/blox/blox/internal/httpserver"
	"github.com/blox/blox/internal/httpserver/httpservertest"
	"github.com/blox/blox/internal/testenv"
	v1 "github.com/blox/blox/swagger/cluster-state-service/v1"
)

func emptyAPI(t *testing.T) httpservertest.API {
	return httpservertest.API{
		Handler: New(Config{Log: testenv.Logger(t)}), Policy: Policy, Unexpected: Unexpected,
		Change: "/v1/instances/refresh", ChangeRole: "operator",
	}
}

// refreshError returns the error of a request to refresh with that body.
func refreshError(body string) error {
	_, err := readRefresh(httptest.NewRequest(http.MethodPost, "/v1/instances/refresh", strings.NewReader(body)))
	return err
}

// errorCases returns an error of each code.
func errorCases() map[string]httpservertest.Case {
	return map[string]httpservertest.Case{
		"UnsupportedFilter": {
			Err: state.ErrUnsupportedFilter, Status: 400, Text: "At least one of the filters provided is unsupported",
		},
		"RepeatedFilter": {
			Err: state.ErrRepeatedFilter, Status: 400,
			Text: "At least one of the filters provided is specified multiple times",
		},
		"InvalidStatus":  {Err: state.ErrInvalidStatus, Status: 400, Text: "Invalid status"},
		"InvalidCluster": {Err: state.ErrInvalidCluster, Status: 400, Text: "Invalid cluster ARN or name"},
		"InvalidParameter": {
			Err:    &state.ParameterError{Parameter: "limit", Given: "x", Accepted: "1 to 10"},
			Status: 400, Text: `Invalid limit "x": must be 1 to 10`,
			Details: httpserver.Details{Parameter: "limit", Accepted: "1 to 10"},
		},
		"InvalidNextToken":     {Err: state.ErrInvalidNextToken, Status: 400, Text: "Invalid next token"},
		"InstanceNotFound":     {Err: state.ErrInstanceNotFound, Status: 404, Text: "Instance not found"},
		"TaskNotFound":         {Err: state.ErrTaskNotFound, Status: 404, Text: "Task not found"},
		"InvalidEntityVersion": {Err: state.ErrInvalidVersion, Status: 400, Text: "Invalid entity version"},
		"EntityVersionOutOfRange": {
			Err: state.ErrVersionOutOfRange, Status: 400, Text: "Entity version is out of range",
		},
		"NotReconciled": {
			Err: state.ErrNotReconciled, Status: 503, RetryAfter: "1", Text: "Not yet reconciled with ECS",
		},
		"ClusterNotReconciled": {
			Err: &state.ClusterNotReconciledError{
				Reconciliation: state.Reconciliation{Cluster: "arn:c", Error: "ListTasks: AccessDeniedException"},
			},
			Status: 503, RetryAfter: "1",
			Text: "Not yet reconciled with ECS: arn:c: ListTasks: AccessDeniedException",
		},
		"TooManyWaiters": {
			Err: state.ErrTooManyWaiters, Status: 503, RetryAfter: "1", Text: "Too many requests wait for changes",
		},
		"StoreUnavailable": {
			Err: state.ErrStoreUnavailable, Status: 503, RetryAfter: "1", Text: "etcd does not respond",
		},
		"InvalidRefresh": {
			Err: refreshError(`{"clusterARN":"arn","containerInstanceARNs":[]}`), Status: 400,
			Text: "invalid refresh: validation failure list:\n" +
				"containerInstanceARNs in body should have at least 1 items",
		},
		"ForeignCluster": {
			Err: state.ErrForeignCluster, Status: 400, Text: "The cluster is of another account or region",
		},
		"ECSCredentialsExpired": {
			Err:    &state.ECSError{Kind: state.ErrECSCredentialsExpired, Region: "eu-west-1", Code: "ExpiredTokenException"},
			Status: 503, RetryAfter: "30",
			Text: "AWS rejects the credentials or the clock of cluster-state-service in region eu-west-1: ExpiredTokenException",
		},
		"ECSAccessDenied": {
			Err:    &state.ECSError{Kind: state.ErrECSAccessDenied, Code: "AccessDeniedException", Message: "me may not"},
			Status: 503, RetryAfter: "30", Text: "ECS denies access: AccessDeniedException: me may not",
		},
		"SourceRoleNotAssumed": {
			Err:    &state.ECSError{Kind: state.ErrRoleNotAssumed, Role: "arn:r", Code: "AccessDenied", Message: "no"},
			Status: 503, RetryAfter: "30", Text: "Role arn:r cannot be assumed: AccessDenied: no",
		},
		"ECSThrottled": {
			Err:    &state.ECSError{Kind: state.ErrECSThrottled, Region: "eu-west-1"},
			Status: 503, RetryAfter: "5", Text: "ECS throttles the calls of cluster-state-service in region eu-west-1",
		},
		"STSUnavailable": {
			Err:    &state.ECSError{Kind: state.ErrSTSUnavailable, Role: "arn:r"},
			Status: 503, RetryAfter: "5", Text: "Role arn:r cannot be assumed now: STS responds with nothing",
		},
		"ECSUnavailable": {
			Err:    &state.ECSError{Kind: state.ErrECSUnavailable, Region: "eu-west-1"},
			Status: 503, RetryAfter: "1", Text: "ECS does not respond in region eu-west-1",
		},
	}
}

// Programs depend on the codes, and clients of v0.3 on the texts.
func TestErrors_AreSentInBothForms(t *testing.T) {
	httpservertest.CheckTable(t, responses(testenv.Logger(t)), errorCases())
}

func TestErrors_OfTheServerAreSentInBothForms(t *testing.T) {
	httpservertest.CheckServer(t, emptyAPI(t))
}

func TestReference_Errors(t *testing.T) {
	httpservertest.CheckDocumented(t, httpservertest.Reference{
		Cases: httpservertest.Join(errorCases(), emptyAPI(t).ServerCases()), Responses: errorResponses,
		Meanings: meanings, Page: "../docs/reference/errors.md",
	}, ".", "../../internal/httpserver", "../../internal/access")
}

func TestErrors_StandInTheSpecification(t *testing.T) {
	t.Parallel()
	spec, err := testenv.NewSpec(v1.JSON)
	require.NoError(t, err)
	httpservertest.CheckStatuses(t, emptyAPI(t), spec)
}

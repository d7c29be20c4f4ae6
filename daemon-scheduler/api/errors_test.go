package api

import (
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/blox/blox/daemon-scheduler/environment"
	"github.com/blox/blox/daemon-scheduler/events"
	"github.com/blox/blox/daemon-scheduler/store"
	"github.com/blox/blox/internal/httpserver"
	"github.com/blox/blox/internal/httpserver/httpservertest"
	"github.com/blox/blox/internal/testenv"
	v1 "github.com/blox/blox/swagger/daemon-scheduler/v1"
)

func emptyAPI(t *testing.T) httpservertest.API {
	return httpservertest.API{
		Handler: New(Config{Metrics: http.NotFoundHandler(), UI: http.NotFoundHandler(), Log: testenv.Logger(t)}),
		Policy:  Policy, Unexpected: unexpected, Change: "/v1/environments", ChangeRole: "admin",
	}
}

// failed returns the error of a transition.
func failed(_ environment.Environment, err error) error { return err }

// errorCases returns an error of each code.
func errorCases() map[string]httpservertest.Case {
	const token, other = "11111111-1111-4111-8111-111111111111", "22222222-2222-4222-8222-222222222222"
	now := time.Now()
	e := environment.New("logs", "arn:c", "arn:td:1", token)
	deployed, _ := e.Deploy("d1", token, now)
	deleting := e.Delete(now)
	return map[string]httpservertest.Case{
		"InvalidIdempotencyKey": {
			Err: errInvalidKey, Status: 400,
			Text: "The Idempotency-Key is invalid: one value of 1 to 255 printable ASCII characters is accepted",
		},
		"IdempotencyKeyReused": {
			Err: errKeyReused, Status: 422,
			Text: "The Idempotency-Key belongs to a request with another path, query, body or client",
		},
		"ResponseNotStored": {
			Err: errResponseDropped, Status: 409,
			Text: "The request with this Idempotency-Key was executed; its response was too large to store",
		},
		"TooManyIdempotencyKeys": {
			Err: store.ErrTooManyResponses, Status: 429, RetryAfter: "60", Text: "Too many Idempotency-Keys are in use",
		},
		"InvalidRequest": {
			Err: invalidParameter("limit", "x", "1 to 10"), Status: 400, Text: `Invalid limit "x": must be 1 to 10`,
			Details: httpserver.Details{Parameter: "limit", Accepted: "1 to 10"},
		},
		"UnsupportedFilter": {
			Err: errUnsupported, Status: 400, Text: "At least one of the filters provided is not supported",
		},
		"RepeatedFilter": {
			Err: errRepeated, Status: 400, Text: "At least one of the filters provided is specified multiple times",
		},
		"InvalidCluster":         {Err: errCluster, Status: 400, Text: "Invalid cluster ARN or name"},
		"DeploymentTokenMissing": {Err: environment.CheckToken(""), Status: 400, Text: "the deploymentToken is missing"},
		"DeploymentTokenMalformed": {
			Err: environment.CheckToken("x"), Status: 400, Text: "the deploymentToken is not a lower-case UUID",
		},
		"DeploymentTokenOutdated": {Err: failed(e.Deploy("d1", other, now)), Status: 400, Text: "Token '" + other + "' is outdated"},
		"DeploymentTokenUsed": {
			Err: failed(deployed.Deploy("d2", token, now)), Status: 400,
			Text: "Deployment with token '" + token + "' already exists",
		},
		"DeploymentInProgress": {
			Err:    failed(deployed.Redeploy("d2", token, environment.Redeployment{Revision: 1}, other, now)),
			Status: 400, Text: "There is already a deployment in progress: d1",
		},
		"EnvironmentExists": {
			Err: environment.Exists("logs"), Status: 400,
			Text: "Error saving environment logs to store: An environment with name logs already exists",
		},
		"UpdateTokenOutdated": {Err: e.CheckUpdate(other), Status: 409, Text: "Token '" + other + "' is outdated"},
		"EnvironmentDeleting": {Err: failed(deleting.Pause(now)), Status: 409, Text: "Environment logs is being deleted"},
		"NoRollbackTarget": {
			Err: failed(e.Rollback("d2", now)), Status: 409,
			Text: "Environment logs has no earlier completed deployment to roll back to",
		},
		"NoCanary": {
			Err: failed(deployed.Promote("d1")), Status: 409, Text: "Deployment d1 has no canary waiting for promotion",
		},
		"NoTakeover":     {Err: failed(e.CancelTakeover(now)), Status: 409, Text: "Environment logs takes no service over"},
		"RoleNotAssumed": {Err: environment.RoleNotAssumed("arn:r", "no"), Status: 400, Text: "Role arn:r cannot be assumed: no"},
		"RoleRequired": {
			Err: environment.RoleRequired("arn:c", "210987654321", "123456789012"), Status: 400,
			Text: `Cluster "arn:c" is of account 210987654321, and the credentials of daemon-scheduler are of account ` +
				"123456789012: set role to the ARN of an IAM role of account 210987654321",
		},
		"PartitionMismatch": {Err: environment.PartitionMismatch("of aws-cn"), Status: 400, Text: "of aws-cn"},
		"TaskDefinitionElsewhere": {
			Err: environment.CheckPlace("arn:aws:ecs:eu-west-1:123456789012:task-definition/agent:1",
				"arn:aws:ecs:us-east-1:123456789012:cluster/prod"),
			Status: 400,
			Text: `TaskDefinition "arn:aws:ecs:eu-west-1:123456789012:task-definition/agent:1" is of 123456789012 in ` +
				"eu-west-1, and the cluster of 123456789012 in us-east-1: ECS starts only task definitions of the cluster's " +
				"account and region",
		},
		"ServiceUnsuitable": {Err: environment.Service{Name: "web", Status: "DRAINING"}.CheckTakeover(), Status: 400,
			Text: "Service web is DRAINING; it must be ACTIVE",
		},

		"EnvironmentNotFound": {Err: environment.NotFound("logs"), Status: 404, Text: "Environment logs does not exist"},
		"DeploymentNotFound": {
			Err: environment.DeploymentNotFound("d1", "logs"), Status: 404,
			Text: "Deployment d1 does not exist for environment logs",
		},
		"RevisionNotFound": {
			Err: environment.RevisionNotFound("7", "logs"), Status: 404,
			Text: "Revision 7 does not exist for environment logs",
		},
		"ServiceNotFound": {Err: environment.ServiceNotFound("web"), Status: 404, Text: `Service "web" does not exist`},
		"TargetUnusable": {
			Err: environment.TargetUnusable(
				"logs", environment.Deployment{TaskDefinition: "arn:td:1"}, environment.ErrTaskDefinitionInactive),
			Status: 404, Text: "TaskDefinition is inactive: revision 1 of environment logs has arn:td:1",
		},
		"ClusterNotFound": {Err: environment.ClusterNotFound("prdo"), Status: 404, Text: `Cluster "prdo" does not exist`},
		"ClusterInactive": {Err: environment.ErrClusterInactive, Status: 404, Text: "Cluster is inactive"},
		"TaskDefinitionNotFound": {
			Err: environment.TaskDefinitionNotFound("agnet"), Status: 404, Text: `TaskDefinition "agnet" does not exist`,
		},
		"TaskDefinitionInactive": {
			Err: environment.ErrTaskDefinitionInactive, Status: 404, Text: "TaskDefinition is inactive",
		},
		"EntityVersionOutOfRange": {
			Err: events.ErrPosition, Status: 400, Text: "Entity version is out of range",
		},
		"ECSCredentialsExpired": {
			Err: environment.ECSCredentialsExpired("ExpiredTokenException", ""), Status: 503, RetryAfter: "30",
			Text: "AWS rejects the credentials or the clock of daemon-scheduler: ExpiredTokenException",
		},
		"ECSAccessDenied": {
			Err: environment.ECSAccessDenied("AccessDeniedException", "me may not"), Status: 503, RetryAfter: "30",
			Text: "ECS denies access: AccessDeniedException: me may not",
		},
		"ECSThrottled": {
			Err: environment.ErrECSThrottled, Status: 503, RetryAfter: "5",
			Text: "ECS throttles the calls of daemon-scheduler",
		},
		"ECSUnavailable": {
			Err: environment.ECSUnavailable("eu-west-1"), Status: 503, RetryAfter: "1",
			Text: "ECS does not respond in region eu-west-1",
		},
		"STSUnavailable": {
			Err: environment.STSUnavailable("arn:r", "Throttling"), Status: 503, RetryAfter: "5",
			Text: "Role arn:r cannot be assumed now: STS responds with Throttling",
		},
		"ClusterStateStale": {
			Err: environment.ErrClusterStateStale, Status: 503, RetryAfter: "1", Text: "The cluster state is stale",
		},
		"StoreUnavailable": {
			Err: environment.ErrStoreUnavailable, Status: 503, RetryAfter: "1", Text: "etcd does not respond",
		},
		"StoreOutOfSpace": {
			Err: environment.ErrStoreOutOfSpace, Status: 503, RetryAfter: "1", Text: "etcd is out of space",
		},
	}
}

// Programs depend on the codes, and clients of v0.3 on the texts.
func TestErrors_AreSentInBothForms(t *testing.T) {
	httpservertest.CheckTable(t, httpserver.ErrorTable{
		Responses: errorResponses, Unexpected: unexpected, Details: errorDetails, Log: testenv.Logger(t),
	}, errorCases())
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

func TestErrors_ListTheFailuresOfABody(t *testing.T) {
	assert.Equal(t, []string{"name in body is required"},
		errorDetails(validate(nil, "name in body is required")).Failures)
}

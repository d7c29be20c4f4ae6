package engine

import (
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/blox/blox/daemon-scheduler/environment"
	"github.com/blox/blox/daemon-scheduler/planner"
)

// failing returns a reconciliation of an environment whose second deployment is in progress and is to roll back when
// it fails.
func failing(t *testing.T) (r *reconciliation, fake *world) {
	r, records, fake := newReconciliation(t, leads)
	rolls := environment.CircuitBreaker{Enable: true, Rollback: true}
	updated, err := records.Update(t.Context(), "logs", func(e environment.Environment) (environment.Environment, error) {
		e.Revisions = []environment.Revision{{Number: 1, Spec: environment.Spec{
			TaskDefinition: "agent:2", DeploymentConfiguration: environment.DeploymentConfiguration{CircuitBreaker: rolls},
		}}}
		e.Deployments = map[string]environment.Deployment{
			"first":  {ID: "first", TaskDefinition: "agent:1", Status: environment.Completed, StartTime: time.Now().Add(-time.Hour)},
			"second": {ID: "second", TaskDefinition: "agent:2", Status: environment.Running, StartTime: time.Now()},
		}
		return e, nil
	})
	require.NoError(t, err)
	r.env, r.revision = updated, updated.StoredVersion
	return r, fake
}

// A definition that Blox may not read cannot be verified, however often Blox tries. A paused rollout is safe.
func TestRollback_PausesIfTheTargetCannotBeVerified(t *testing.T) {
	r, fake := failing(t)
	fake.respondWith(http.StatusBadRequest, "AccessDeniedException")
	plan := planner.Plan{Deployment: "second", FailureReason: "3 failures (threshold 3)."}
	require.NoError(t, r.recordProgress(t.Context(), plan, time.Now()))
	stored, err := r.Store.Get(t.Context(), "logs")
	require.NoError(t, err)
	assert.Equal(t, environment.RolloutFailed, stored.Deployments["second"].Rollout())
	assert.Equal(t, "3 failures (threshold 3). Blox cannot roll back: ECS rejected DescribeTaskDefinition for agent:1: "+
		"AccessDeniedException: the reason", stored.Deployments["second"].RolloutStateReason)
	assert.True(t, stored.Paused)
	assert.Len(t, stored.Deployments, 2, "no rollback")
}

// Other errors pass.
func TestRollback_IsRetriedWhileECSFails(t *testing.T) {
	for code, status := range map[string]int{
		"ThrottlingException": http.StatusBadRequest, "ServerException": http.StatusInternalServerError,
		"ExpiredTokenException": http.StatusForbidden,
	} {
		t.Run(code, func(t *testing.T) {
			r, fake := failing(t)
			fake.respondWith(status, code)
			plan := planner.Plan{Deployment: "second", FailureReason: "3 failures (threshold 3)."}
			require.Error(t, r.recordProgress(t.Context(), plan, time.Now()))
			stored, err := r.Store.Get(t.Context(), "logs")
			require.NoError(t, err)
			assert.Equal(t, r.env.StoredVersion, stored.StoredVersion)
		})
	}
}

// A rollback to an INACTIVE task definition would stop tasks and start none.
func TestRollback_PausesIfTheTargetIsInactive(t *testing.T) {
	for status, deployments := range map[string]int{"INACTIVE": 2, "ACTIVE": 3} {
		t.Run(status, func(t *testing.T) {
			r, fake := failing(t)
			r.DeploymentHistory = 10
			fake.answer = func(string, string) (int, string) {
				return http.StatusOK, `{"taskDefinition":{"taskDefinitionArn":"agent:1","status":"` + status + `"}}`
			}
			plan := planner.Plan{Deployment: "second", FailureReason: "3 failures (threshold 3)."}
			require.NoError(t, r.recordProgress(t.Context(), plan, time.Now()))
			stored, err := r.Store.Get(t.Context(), "logs")
			require.NoError(t, err)
			assert.Len(t, stored.Deployments, deployments)
			assert.Equal(t, status == "INACTIVE", stored.Paused)
			assert.Equal(t, environment.RolloutFailed, stored.Deployments["second"].Rollout())
		})
	}
}

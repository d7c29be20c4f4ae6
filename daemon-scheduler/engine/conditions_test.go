package engine

import (
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/blox/blox/daemon-scheduler/environment"
	"github.com/blox/blox/daemon-scheduler/planner"
	"github.com/blox/blox/internal/ecserrors"
)

// respondWith has ECS answer all calls but reads with an error.
func (s *ecsStub) respondWith(status int, code string) {
	s.answer = func(string, string) (int, string) { return status, `{"__type":"` + code + `","message":"the reason"}` }
}

func TestConditions_ShowARejectedStop(t *testing.T) {
	r, _, fake := newReconciliation(t, leads)
	var events []environment.Event
	r.RecordEvent = func(event environment.Event) { events = append(events, event) }
	stop := []planner.Action{{Kind: planner.Stop, Instance: "i1", Task: "t1", Reason: "superseded"}}
	fake.respondWith(http.StatusBadRequest, "AccessDeniedException")
	require.NoError(t, r.stop(t.Context(), stop))
	shown := r.Conditions("logs")
	require.Len(t, shown, 1)
	assert.Equal(t, environment.ConditionTaskStopFailed, shown[0].Type)
	assert.Equal(t, "AccessDeniedException", shown[0].Reason)
	assert.Equal(t, "the reason", shown[0].Message)
	assert.False(t, shown[0].LastTransitionTime.IsZero())
	require.Len(t, events, 1)
	assert.Equal(t, environment.EventTaskStopFailed, events[0].Action)
	assert.Equal(t, "AccessDeniedException", events[0].Reason)
	assert.Equal(t, []environment.EventInstance{{Instance: "i1", Task: "t1"}}, events[0].Instances)

	require.NoError(t, r.stop(t.Context(), stop))
	again := r.Conditions("logs")
	require.Len(t, again, 1)
	assert.Equal(t, shown[0].LastTransitionTime, again[0].LastTransitionTime, "it is the same condition")
	fake.answer = func(string, string) (int, string) { return http.StatusOK, "{}" }
	require.NoError(t, r.stop(t.Context(), stop))
	assert.Empty(t, r.Conditions("logs"))
}

func TestConditions_ShowWhyStartsFail(t *testing.T) {
	for code, tc := range map[string]struct {
		status int
		want   environment.ConditionType
	}{
		"ExpiredTokenException":    {http.StatusForbidden, environment.ConditionCredentialsExpired},
		"RequestTimeTooSkewed":     {http.StatusForbidden, environment.ConditionCredentialsExpired},
		"ThrottlingException":      {http.StatusBadRequest, environment.ConditionThrottled},
		"ServerException":          {http.StatusInternalServerError, environment.ConditionECSUnavailable},
		"AccessDeniedException":    {http.StatusBadRequest, environment.ConditionAccessDenied},
		"ClusterNotFoundException": {http.StatusBadRequest, environment.ConditionTaskDefinitionRejected},
	} {
		t.Run(code, func(t *testing.T) {
			r, _, fake := newReconciliation(t, leads)
			fake.respondWith(tc.status, code)
			if err := r.startBatch(t.Context(), startsOn("i1")); err != nil {
				r.recordFailure("logs", err)
			}
			shown := r.Conditions("logs")
			require.Len(t, shown, 1)
			assert.Equal(t, tc.want, shown[0].Type)
			assert.Equal(t, code, shown[0].Reason)
		})
	}
}

func TestConditions_HaveAReasonWithoutAResponse(t *testing.T) {
	r, _, _ := newReconciliation(t, leads)
	r.conditions.set("logs", environment.ConditionECSUnavailable, ecserrors.Outcome{Message: "connection refused"})
	require.Len(t, r.Conditions("logs"), 1)
	assert.Equal(t, "NoResponse", r.Conditions("logs")[0].Reason)
	assert.Equal(t, "connection refused", r.Conditions("logs")[0].Message)
}

func TestConditions_EndWithTheTermAndTheEnvironment(t *testing.T) {
	r, _, fake := newReconciliation(t, leads)
	fake.respondWith(http.StatusBadRequest, "AccessDeniedException")
	refuse := func() {
		require.NoError(t, r.startBatch(t.Context(), startsOn("i1")))
		require.NotEmpty(t, r.Conditions("logs"))
	}
	refuse()
	_, err := r.forget(t.Context(), r.leader, "logs", nil)
	require.NoError(t, err)
	assert.Empty(t, r.Conditions("logs"))
	r, _, fake = newReconciliation(t, leads)
	fake.respondWith(http.StatusBadRequest, "AccessDeniedException")
	refuse()
	r.setLeader(nil)
	assert.Empty(t, r.Conditions("logs"), "another replica observes the environment")
}

func TestConditions_AreStoredForOtherReplicasAndInheritedByTheNextLeader(t *testing.T) {
	r, records, fake := newReconciliation(t, leads)
	stored := func() environment.ObservedConditions {
		t.Helper()
		require.NoError(t, r.storeConditions(t.Context(), r.leader, "logs"))
		return r.Cache.ObservedConditions("logs")
	}
	var events []string
	r.RecordEvent = func(event environment.Event) {
		if event.Reason == string(environment.ConditionTaskStopFailed) {
			events = append(events, event.Environment+" "+string(event.Action)+" "+event.Detail)
		}
	}
	assert.Zero(t, stored().StoredVersion, "nothing is written without conditions")
	fake.respondWith(http.StatusBadRequest, "AccessDeniedException")
	stop := []planner.Action{{Kind: planner.Stop, Instance: "i1", Task: "t1", Reason: "superseded"}}
	require.NoError(t, r.stop(t.Context(), stop))
	first := stored()
	require.Len(t, first.Conditions, 1)
	assert.Equal(t, environment.ConditionTaskStopFailed, first.Conditions[0].Type)
	assert.Equal(t, r.env.Incarnation, first.Incarnation)
	fake.answer = func(string, string) (int, string) {
		return http.StatusBadRequest, `{"__type":"AccessDeniedException","message":"denied again, request 2"}`
	}
	require.NoError(t, r.stop(t.Context(), stop))
	assert.Equal(t, first.StoredVersion, stored().StoredVersion, "the same error is not written again")

	next := newLeaderState(leads)
	t.Cleanup(next.close)
	r.setLeader(next)
	require.Empty(t, r.Conditions("logs"))
	r.inheritConditions("logs")
	assert.True(t, first.Equal(stored()), "the next leader keeps the condition and its time")
	assert.Equal(t, first.StoredVersion, stored().StoredVersion)

	fake.answer = func(string, string) (int, string) { return http.StatusOK, "{}" }
	require.NoError(t, r.stop(t.Context(), stop))
	assert.Zero(t, stored().StoredVersion, "the record is removed with the last condition")
	assert.Equal(t, []string{
		"logs conditionAppeared AccessDeniedException: the reason",
		"logs conditionCleared AccessDeniedException: the reason",
	}, events, "neither the same error nor another leader makes an event")

	fake.respondWith(http.StatusBadRequest, "AccessDeniedException")
	require.NoError(t, r.stop(t.Context(), stop))
	require.NotZero(t, stored().StoredVersion)
	require.NoError(t, records.Delete(t.Context(), "logs"))
	awaitCached(t, r.Cache, func(_ environment.Environment, err error) bool { return err != nil })
	assert.Contains(t, r.Cache.Names(), "logs", "its conditions are left")
	assert.Zero(t, stored().StoredVersion, "they go with the environment")
	assert.NotContains(t, r.Cache.Names(), "logs")
}

func TestPermit_KeepsAnInheritedConditionUntilECSResponds(t *testing.T) {
	r, _, _ := newReconciliation(t, leads)
	r.env.Deployments = map[string]environment.Deployment{"d": {ID: "d"}}
	denied := environment.Condition{Type: environment.ConditionAccessDenied, Status: environment.ConditionTrue}
	r.conditions.inherit(environment.ObservedConditions{
		Environment: "logs", Conditions: []environment.Condition{denied},
	})
	now := time.Now()
	_, _ = r.permit(rolloutPlan([]string{"i1"}, nil), now)
	assert.NotEmpty(t, r.Conditions("logs"))
	refused := environment.Launch{Instance: "i1", Deployment: "d", State: environment.LaunchFailed, Refused: true}
	r.launches = map[string]environment.Launch{"i1": refused}
	_, _ = r.permit(planner.Plan{Deployment: "d"}, now)
	assert.NotEmpty(t, r.Conditions("logs"), "the next start waits for its delay")
	r.launches = nil
	_, _ = r.permit(planner.Plan{Deployment: "d"}, now)
	assert.Empty(t, r.Conditions("logs"), "no start is to be tried")
}

// STS's codes are also ECS's, but they say nothing about ECS.
func TestConditions_TellRolesFromCredentials(t *testing.T) {
	for _, code := range []string{"AccessDenied", "ExpiredToken", "Throttling"} {
		outcome := ecserrors.Outcome{
			Class: ecserrors.NotSent, Scope: ecserrors.ScopeCaller, Code: code, Role: "arn:aws:iam::123456789012:role/deployer",
		}
		assert.Equal(t, environment.ConditionRoleNotAssumed, conditionOf(outcome), code)
	}
}

package engine

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/blox/blox/daemon-scheduler/environment"
	"github.com/blox/blox/daemon-scheduler/planner"
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

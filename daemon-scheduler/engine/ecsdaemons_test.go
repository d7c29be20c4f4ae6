package engine

import (
	"net/http"
	"testing"
	"time"

	logrustest "github.com/sirupsen/logrus/hooks/test"
	"github.com/stretchr/testify/assert"

	"github.com/blox/blox/daemon-scheduler/environment"
	"github.com/blox/blox/daemon-scheduler/planner"
	"github.com/blox/blox/internal/logging"
)

func TestLearnDaemonGroups_BacksOffAfterAFailure(t *testing.T) {
	r, _, fake := newReconciliation(t, leads)
	state := planner.State{Environment: r.env, Now: time.Now(), Tasks: []environment.Task{
		{Group: "service:exporter", StartedBy: "ecs-svc/1", LastStatus: "RUNNING"},
		{Group: "service:web", StartedBy: "ecs-svc/2", LastStatus: "RUNNING"},
	}}
	learn := func() time.Time { return r.learnDaemonGroups(t.Context(), r.leader, "logs", &state) }
	log, lines := logrustest.NewNullLogger()
	r.servicesLog = logging.NewFailureLogs(log, "cluster", "failed", "resumed")
	fake.respondWith(http.StatusBadRequest, "AccessDeniedException")
	for range 3 {
		assert.Equal(t, state.Now.Add(describeServicesRetry), learn())
	}
	assert.EqualValues(t, 1, fake.otherCalls.Load())
	state.Now = state.Now.Add(describeServicesRetry)
	learn()
	assert.EqualValues(t, 2, fake.otherCalls.Load())
	assert.Len(t, lines.AllEntries(), 1, "the same failure is logged at growing intervals")
	assert.True(t, r.conditions.has("logs", environment.ConditionServicesUnknown))
	assert.Empty(t, state.DaemonGroups)

	fake.answer = func(string, string) (int, string) {
		return http.StatusOK, `{"services":[{"serviceName":"exporter","schedulingStrategy":"DAEMON"}],` +
			`"failures":[{"reason":"MISSING"}]}`
	}
	state.Now = state.Now.Add(describeServicesRetry)
	for range 3 {
		assert.Zero(t, learn())
		assert.Equal(t, map[string]bool{"service:exporter": true}, state.DaemonGroups)
	}
	assert.EqualValues(t, 3, fake.otherCalls.Load())
	assert.Equal(t, "resumed", lines.LastEntry().Message)
	assert.False(t, r.conditions.has("logs", environment.ConditionServicesUnknown))
}

package engine

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"
	"github.com/stretchr/testify/assert"

	"github.com/blox/blox/daemon-scheduler/ecsapi"
	"github.com/blox/blox/daemon-scheduler/environment"
	"github.com/blox/blox/internal/ecserrors"
)

var own ecsapi.Caller

func TestAlarmWatch_KnowsRecentStates(t *testing.T) {
	w := newAlarmWatch()
	at := time.Now()
	names := []string{"errors", "latency"}
	w.monitor("logs", "d1", own, names)
	assert.Equal(t, alarmView{unknown: true}, w.view(own, names, at, time.Minute))
	assert.False(t, w.view(own, names, at, time.Minute).held(), "they are about to be read")

	denied := ecserrors.Outcome{Class: ecserrors.Rejected, Code: "AccessDenied", Err: assert.AnError}
	assert.Equal(t, []string{"logs"}, w.recordFailure(own, denied))
	assert.Equal(t, alarmView{unknown: true, outcome: denied}, w.view(own, names, at, time.Minute))

	states := ecsapi.AlarmStates{"errors": types.StateValueAlarm, "latency": types.StateValueInsufficientData}
	assert.Equal(t, []string{"logs"}, w.recordStates(own, names, states, at))
	assert.Equal(t, alarmView{inAlarm: []string{"errors"}}, w.view(own, names, at.Add(time.Minute), time.Minute))
	assert.Empty(t, w.recordStates(own, names, states, at), "nothing has changed")

	assert.Equal(t, []string{"logs"}, w.recordFailure(own, denied))
	assert.Equal(t, alarmView{inAlarm: []string{"errors"}}, w.view(own, names, at, time.Minute), "one failure hides nothing")
	old := w.view(own, names, at.Add(time.Minute+1), time.Minute)
	assert.True(t, old.held())
	assert.Equal(t, denied, old.outcome)

	assert.Equal(t, []string{"logs"}, w.recordStates(own, names, states, at), "the failure has ended")
	assert.Equal(t, []string{"logs"}, w.recordStates(own, names, ecsapi.AlarmStates{"errors": types.StateValueOk}, at))
	missing := w.view(own, names, at, time.Minute)
	assert.True(t, missing.held())
	assert.Equal(t, "AlarmNotFound", missing.outcome.Code)
	assert.Equal(t, "CloudWatch does not know latency.", missing.outcome.Message)
}

// An alarm may return to OK before ECS has confirmed where to roll back to.
func TestAlarmWatch_RemembersTriggeredAlarmsOfADeployment(t *testing.T) {
	w := newAlarmWatch()
	assert.Empty(t, w.trigger("logs", []string{"errors"}), "it monitors none")
	w.monitor("logs", "d1", own, []string{"errors", "latency"})
	assert.Equal(t, []string{"latency"}, w.trigger("logs", []string{"latency"}))
	w.monitor("logs", "d1", own, []string{"errors", "latency"})
	assert.Equal(t, []string{"errors", "latency"}, w.trigger("logs", []string{"errors", "latency"}))
	assert.Equal(t, []string{"errors", "latency"}, w.trigger("logs", nil))
	w.monitor("logs", "d2", own, []string{"errors", "latency"})
	assert.Empty(t, w.trigger("logs", nil), "another deployment begins anew")
}

func TestAlarmWatch_WakesForUnreadAlarmsOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newAlarmWatch()
		ctx, cancel := context.WithTimeout(t.Context(), 24*time.Hour)
		defer cancel()
		began := time.Now()
		w.monitor("logs", "d1", own, []string{"errors"})
		assert.True(t, w.await(ctx, 0))
		assert.Zero(t, time.Since(began))
		w.recordStates(own, w.names()[own], ecsapi.AlarmStates{}, time.Now())
		w.monitor("metrics", "d2", own, []string{"errors"})
		assert.True(t, w.await(ctx, time.Hour))
		assert.Equal(t, time.Hour, time.Since(began), "another environment shares the reading")
		assert.Equal(t, map[ecsapi.Caller][]string{own: {"errors"}}, w.names())

		w.monitor("logs", "d1", own, nil)
		w.monitor("metrics", "d2", own, nil)
		assert.Empty(t, w.names())
		assert.False(t, w.await(ctx, 0), "at rest, nothing is read")
	})
}

func TestAlarmWatch_KeepsTheAlarmsOfCallersApart(t *testing.T) {
	w := newAlarmWatch()
	other := ecsapi.Caller{Role: environment.Role{ARN: "arn:aws:iam::210987654321:role/deployer"}}
	w.monitor("logs", "d1", own, []string{"errors"})
	w.monitor("metrics", "d2", other, []string{"errors"})
	at := time.Now()
	states := ecsapi.AlarmStates{"errors": types.StateValueAlarm}
	assert.Equal(t, []string{"metrics"}, w.recordStates(other, []string{"errors"}, states, at))
	assert.Equal(t, []string{"logs"}, w.recordFailure(own, ecserrors.Outcome{Code: "AccessDenied", Err: assert.AnError}))
	assert.Equal(t, []string{"errors"}, w.view(other, []string{"errors"}, at, time.Minute).inAlarm)
	assert.True(t, w.view(own, []string{"errors"}, at, time.Minute).held())
	w.monitor("logs", "d1", own, nil)
	assert.Equal(t, map[ecsapi.Caller][]string{other: {"errors"}}, w.names())
}

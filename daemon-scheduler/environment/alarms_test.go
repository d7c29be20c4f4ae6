package environment

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func alarms(rollback bool) Spec {
	return Spec{DeploymentConfiguration: DeploymentConfiguration{
		Alarms: &Alarms{Names: []string{"errors", "latency"}, Enable: true, Rollback: rollback},
	}}
}

func TestMonitoredAlarms_AreThoseOfADeploymentInProgress(t *testing.T) {
	deploying := updated(t, alarms(true))
	ignoring := deploying.WithAlarmsChecked([]string{"errors"})
	disabled := alarms(true)
	disabled.DeploymentConfiguration.Alarms.Enable = false
	rollback := must(t)(deploying.Rollback(third, now))
	rollback = must(t)(rollback.Update(alarms(true), token2, token3, now))
	for name, tc := range map[string]struct {
		e    Environment
		want []string
	}{
		"a deployment in progress":         {deploying, []string{"errors", "latency"}},
		"checked":                          {deploying.WithAlarmsChecked(nil), []string{"errors", "latency"}},
		"in ALARM when it started":         {ignoring, nil},
		"completed":                        {completed(deploying, second, now), nil},
		"disabled":                         {updated(t, disabled), nil},
		"without alarms":                   {updated(t, Spec{}), nil},
		"paused by a user":                 {must(t)(deploying.Pause(now)), nil},
		"a rollback":                       {rollback, nil},
		"the environment is being deleted": {deploying.Delete(now), nil},
	} {
		assert.Equal(t, tc.want, tc.e.MonitoredAlarms(), name)
	}
}

func TestFail_RollsBackAsTheCauseOfTheFailureConfigures(t *testing.T) {
	both := alarms(true)
	both.DeploymentConfiguration.CircuitBreaker = CircuitBreaker{Enable: true}
	e := updated(t, both)
	assert.Empty(t, e.RollbackDefinitions(second), "the circuit breaker pauses")
	byAlarm := e.WithFailureCause(second, FailureAlarm).Fail(second, "Alarm", third, allActive, now)
	assert.Equal(t, second, byAlarm.Deployments[third].RollbackOf)

	both = breaker(true)
	both.DeploymentConfiguration.Alarms = alarms(false).DeploymentConfiguration.Alarms
	e = updated(t, both)
	assert.NotEmpty(t, e.RollbackDefinitions(second), "the circuit breaker rolls back")
	byAlarm = e.WithFailureCause(second, FailureAlarm).Fail(second, "Alarm", third, allActive, now)
	assert.Equal(t, second, byAlarm.PausedBy)
	assert.NotContains(t, byAlarm.Deployments, third)
}

func TestConditions_ShowAlarms(t *testing.T) {
	e := updated(t, alarms(false))
	ignoring := e.WithAlarmsChecked([]string{"errors", "latency"})
	assert.Equal(t, []Condition{{
		ConditionAlarmsIgnored, ConditionTrue, "InAlarmAtStart", "Alarms errors, latency were in the ALARM state when the " +
			"deployment started, so the deployment ignores its alarms.", now.Add(2 * time.Minute),
	}}, ignoring.Conditions())
	assert.Empty(t, completed(ignoring, second, now).Conditions())

}

func TestConditions_ShowWhyTheDeploymentFailed(t *testing.T) {
	for cause, want := range map[FailureCause]Condition{
		FailureTasks:            {Type: ConditionCircuitBreakerTripped, Reason: "TooManyFailures"},
		FailureProgressDeadline: {Type: ConditionProgressDeadlineExceeded, Reason: "TasksNotAvailable"},
		FailureAlarm:            {Type: ConditionAlarmTriggered, Reason: "InAlarm"},
		"ofALaterVersion":       {Type: ConditionCircuitBreakerTripped, Reason: "TooManyFailures"},
	} {
		e := updated(t, alarms(false)).WithFailureCause(second, cause).Fail(second, "The reason.", third, allActive, now)
		conditions := e.Conditions()
		require.Len(t, conditions, 2, cause)
		assert.Equal(t, ConditionPaused, conditions[0].Type)
		want.Status, want.Message, want.LastTransitionTime = ConditionTrue, "The reason.", now
		assert.Equal(t, want, conditions[1], cause)
	}
}

func TestValidate_RejectsControlCharactersInAlarmNames(t *testing.T) {
	spec := alarms(true)
	spec.DeploymentConfiguration.Alarms.Names = []string{"good name", "bad\nname"}
	assert.Equal(t, []string{"deploymentConfiguration.alarms.alarmNames.1 in body has control characters"},
		spec.Validate(&TaskDefinition{}))
}

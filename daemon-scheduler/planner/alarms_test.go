package planner

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/blox/blox/daemon-scheduler/environment"
)

// withAlarms returns the state with a current deployment that monitors alarms.
func withAlarms(s State, alarms Alarms) State {
	spec := environment.Spec{TaskDefinition: agent2}
	spec.DeploymentConfiguration.Alarms = &environment.Alarms{Names: []string{"errors"}, Enable: true}
	s.Environment.Revisions = []environment.Revision{{Number: 1, Spec: spec}}
	s.Alarms = alarms
	return s
}

func TestAlarms_FailADeploymentInProgress(t *testing.T) {
	halfway := scenario{
		instances: on("ACTIVE", "i1", "i2"),
		tasks:     []environment.Task{task("t1", current, "RUNNING"), at("i2", task("t2", earlier, "RUNNING"))},
		status:    environment.Running,
	}.state()
	plan := Make(withAlarms(halfway, Alarms{InAlarm: []string{"errors"}}))
	assert.Equal(t, "Alarm errors is in the ALARM state.", plan.FailureReason)
	assert.Equal(t, environment.FailureAlarm, plan.FailureCause)
	assert.Empty(t, plan.Actions)
	plan = Make(withAlarms(halfway, Alarms{InAlarm: []string{"errors", "latency"}}))
	assert.Equal(t, "Alarms errors, latency are in the ALARM state.", plan.FailureReason)
	assert.Empty(t, Make(withAlarms(halfway, Alarms{})).FailureReason)

	rollback := withAlarms(halfway, Alarms{InAlarm: []string{"errors"}})
	d := rollback.Environment.Deployments[current]
	d.RollbackOf = "another"
	rollback.Environment.Deployments[current] = d
	assert.Empty(t, Make(rollback).FailureReason, "there is nothing else to roll back to")
}

func TestAlarms_HoldTheRolloutWhileTheirStatesAreUnknown(t *testing.T) {
	s := withAlarms(scenario{
		instances: on("ACTIVE", "i1", "i2", "i3"),
		tasks:     []environment.Task{task("t1", current, "RUNNING"), at("i2", task("t2", earlier, "RUNNING"))},
		status:    environment.Running,
	}.state(), Alarms{Unknown: true})
	plan := Make(s)
	assert.Equal(t, []string{"start i3: " + startMissing}, texts(plan.Actions),
		"an instance that lacks its task gets one; no task is replaced")
	assert.Equal(t, []Wait{{"i2", waitAlarms}}, plan.Waits)
	assert.Equal(t, waitAlarms, Summarize(s).Instances[1].Reason)
	s.Alarms = Alarms{}
	assert.Contains(t, texts(Make(s).Actions), "stop t2: "+ReasonSuperseded.Message("logs"))
}

func TestAlarms_ADeploymentCompletesOnceTheirStatesAreKnown(t *testing.T) {
	s := withAlarms(scenario{
		tasks: []environment.Task{with(task("t1", current, "RUNNING"), func(t *environment.Task) {
			t.StartedAt = now.Add(-time.Hour)
		})},
		status: environment.Running,
	}.state(), Alarms{Unknown: true})
	assert.Equal(t, environment.Running, Make(s).Progress.Status)
	s.Alarms = Alarms{}
	assert.Equal(t, environment.Completed, Make(s).Progress.Status)
}

func TestAlarms_AFirstDeploymentWaitsForTheirStates(t *testing.T) {
	s := withAlarms(scenario{}.state(), Alarms{Unknown: true})
	delete(s.Environment.Deployments, earlier)
	plan := Make(s)
	assert.Empty(t, plan.Actions)
	assert.Equal(t, []Wait{{"i1", waitAlarms}}, plan.Waits)

	s.Environment = s.Environment.WithAlarmsChecked(nil)
	assert.Equal(t, []string{"start i1: " + startMissing}, texts(Make(s).Actions),
		"it has begun: a later failure to read alarms leaves no instance without its task")
}

package e2e

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/blox/blox/internal/ecssim"
	"github.com/blox/blox/internal/testenv"
	"github.com/blox/blox/swagger/daemon-scheduler/v1/models"
)

// newAlarmedRollout returns a rollout whose deployments monitor the alarms "errors" and "service", which are OK.
func newAlarmedRollout(t *testing.T, n int, configuration string) *rollout {
	t.Helper()
	f := newRollout(t, n, `{}`)
	require.NoError(t, f.sim.PutAlarm("errors", "OK", "MetricAlarm"))
	require.NoError(t, f.sim.PutAlarm("service", "INSUFFICIENT_DATA", "CompositeAlarm"))
	f.patch("logs", `{"deploymentConfiguration":`+configuration+`}`)
	return f
}

const rollsBackOnAlarm = `{"alarms":{"alarmNames":["errors","service"],"rollback":true},"bakeTimeInMinutes":10,
	"minimumHealthyPercent":50}`

func (d *scheduler) conditionTypes(name string) (types []string) {
	for _, c := range d.getEnvironment(name).Conditions {
		types = append(types, *c.Type)
	}
	return types
}

// trigger puts an alarm into the ALARM state.
func (f *rollout) trigger(alarm string) {
	f.t.Helper()
	kind := "MetricAlarm"
	if alarm == "service" {
		kind = "CompositeAlarm"
	}
	require.NoError(f.t, f.sim.PutAlarm(alarm, "ALARM", kind))
}

func TestAlarm_RollsBackADeployment(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		alarm  string
		baking bool
	}{
		"during the rollout":   {"errors", false},
		"during the bake time": {"service", true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			const n = 12
			f := newAlarmedRollout(t, n, rollsBackOnAlarm)
			before := f.taskByInstance(f.first)
			id := f.deployPatch(`{"taskDefinition":"agent:2"}`)
			if tc.baking {
				testenv.Eventually(t, func() bool { return f.getDeployment("logs", id).BakeStartedAt != nil })
			} else {
				f.awaitMiddle(id)
			}
			f.trigger(tc.alarm)
			failed := f.awaitState(id, "FAILED")
			assert.Equal(t, "Alarm "+tc.alarm+" is in the ALARM state.", failed.RolloutStateReason)
			rollback := f.newestDeployment()
			assert.Equal(t, id, f.awaitState(rollback, "COMPLETED").RollbackOf, "the alarm does not fail the rollback")
			testenv.Eventually(t, func() bool { return f.runningTasks(f.first)+f.runningTasks(rollback) == n })
			for instance, task := range f.taskByInstance(f.first) {
				assert.Equal(t, before[instance], task, "the rollback restarts no unchanged task")
			}
			assert.Equal(t, []string{"RolledBack", "AlarmTriggered"}, f.conditionTypes("logs"))
			f.assertNoDuplicates()

			calls := f.sim.Calls("DescribeAlarms")
			f.restartInstances()
			assert.Equal(t, calls, f.sim.Calls("DescribeAlarms"), "at rest, no alarm is read")
		})
	}
}

// restartInstances makes the scheduler work for a while: it replaces every task.
func (f *rollout) restartInstances() {
	f.t.Helper()
	killed := map[string]bool{}
	for _, task := range f.sim.Tasks("prod") {
		if task.Live() {
			killed[task.ARN] = true
			require.NoError(f.t, f.sim.KillTask(task.ARN, 1))
		}
	}
	testenv.Eventually(f.t, func() bool {
		running := 0
		for _, task := range f.sim.Tasks("prod") {
			if task.LastStatus == "RUNNING" && !killed[task.ARN] {
				running++
			}
		}
		return running == len(f.instances)
	}, "the tasks are not replaced")
}

func TestAlarm_PausesTheRolloutWithoutRollback(t *testing.T) {
	t.Parallel()
	f := newAlarmedRollout(t, 4, `{"alarms":{"alarmNames":["errors"]},"bakeTimeInMinutes":10}`)
	id := f.deployPatch(`{"taskDefinition":"agent:2"}`)
	testenv.Eventually(t, func() bool { return f.runningTasks(id) > 0 })
	f.trigger("errors")
	f.awaitState(id, "FAILED")
	assert.Equal(t, "paused", f.getEnvironment("logs").Status)
	assert.Equal(t, id, f.newestDeployment(), "no rollback is created")
}

// As in ECS: the deployment may be what ends the alarm.
func TestAlarm_InAlarmAtTheStartIsIgnored(t *testing.T) {
	t.Parallel()
	f := newAlarmedRollout(t, 3, `{"alarms":{"alarmNames":["errors","service"],"rollback":true}}`)
	f.trigger("errors")
	f.sim.SetFaults(ecssim.Faults{Latency: map[string]ecssim.Duration{"StartTask": ecssim.Duration(300e6)}})
	id := f.deployPatch(`{"taskDefinition":"agent:2"}`)
	var ignored *models.Condition
	testenv.Eventually(t, func() bool { ignored = condition(f.scheduler, "AlarmsIgnored"); return ignored != nil })
	assert.Contains(t, ignored.Message, "Alarm errors was in the ALARM state when the deployment started")
	f.trigger("service")
	f.awaitState(id, "COMPLETED")
	assert.Empty(t, f.conditionTypes("logs"))
}

// A safety net that does not work must not be mistaken for one that does.
func TestAlarm_UnknownStateHoldsTheRollout(t *testing.T) {
	t.Parallel()
	f := newAlarmedRollout(t, 3, `{"alarms":{"alarmNames":["errors","later"],"rollback":true}}`)
	f.sim.SetFaults(ecssim.Faults{
		Refusals: map[string]ecssim.Refusal{"DescribeAlarms": {Code: "AccessDeniedException", Fraction: 1}},
	})
	id := f.deployPatch(`{"taskDefinition":"agent:2"}`)
	reason := func() string {
		if c := condition(f.scheduler, "AlarmsUnknown"); c != nil {
			return *c.Reason
		}
		return ""
	}
	testenv.Eventually(t, func() bool { return reason() == "AccessDeniedException" })
	f.sim.SetFaults(ecssim.Faults{})
	testenv.Eventually(t, func() bool { return reason() == "AlarmNotFound" })
	assert.Equal(t, "CloudWatch does not know later.", condition(f.scheduler, "AlarmsUnknown").Message)
	for _, status := range f.instanceStatuses("logs") {
		assert.Equal(t, "outdated: The states of the deployment's alarms are not known.", status)
	}
	assert.Equal(t, 3, f.runningTasks(f.first), "no task was replaced")
	assert.Empty(t, f.liveTasks(id))
	joined := f.sim.AddInstances("prod", 1)[0]
	testenv.Eventually(t, func() bool { return len(f.liveTasks(id)[joined]) == 1 }, "a new instance gets its task")

	require.NoError(t, f.sim.PutAlarm("later", "OK", ""))
	f.awaitState(id, "COMPLETED")
	assert.Empty(t, f.conditionTypes("logs"))
}

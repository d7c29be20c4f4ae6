package e2e

import (
	"encoding/json"
	"slices"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/blox/blox/internal/ecssim"
	"github.com/blox/blox/internal/testenv"
	"github.com/blox/blox/swagger/daemon-scheduler/v1/models"
)

// refuse makes ECS refuse all calls of the action with that error.
func (w *system) refuse(action, code string) {
	w.sim.SetFaults(ecssim.Faults{Refusals: map[string]ecssim.Refusal{action: {Code: code, Fraction: 1}}})
}

// refusedStarts returns how many StartTask calls got that error.
func (w *system) refusedStarts(code string) int { return w.sim.Counters().Calls["StartTask"][code] }

// Expired credentials, invalid signatures and skewed clocks concern the scheduler. They fail no instance and no
// deployment, and the rollout continues once they are repaired.
func TestRefusal_OfTheCallerFailsNoInstance(t *testing.T) {
	t.Parallel()
	for _, code := range []string{
		"ExpiredTokenException", "InvalidSignatureException", "UnrecognizedClientException", "RequestTimeTooSkewed",
	} {
		t.Run(code, func(t *testing.T) {
			t.Parallel()
			const n = 10
			f := newRollout(t, n, `{"minimumHealthyPercent":50,"deploymentCircuitBreaker":`+
				`{"enable":true,"rollback":true,"threshold":3}}`)
			f.refuse("StartTask", code)
			id := f.deployPatch(`{"taskDefinition":"agent:2"}`)
			testenv.Eventually(t, func() bool { return f.refusedStarts(code) >= 5 })
			shown := f.getDeployment("logs", id)
			assert.Equal(t, "IN_PROGRESS", shown.RolloutState)
			assert.Empty(t, shown.FailedInstances)
			assert.Zero(t, shown.FailedTasks)
			assert.Empty(t, f.launchReasons("logs"), "no launch record is marked as failed")
			assert.Equal(t, n-1, f.runningTasks(f.first), "one task was stopped to try a start")

			f.sim.SetFaults(ecssim.Faults{})
			f.awaitState(id, "COMPLETED")
			f.awaitOneTaskEach(id, f.instances...)
			f.assertLimits(n/2, 0)
			f.assertNoDuplicates()
		})
	}
}

// Denied access and an inactive task definition make every start of the deployment fail. One instance shows it, and
// the rest of the rollout waits.
func TestRefusal_OfTheDeploymentStopsNoMoreThanOneTask(t *testing.T) {
	t.Parallel()
	const n = 10
	f := newRollout(t, n, `{"minimumHealthyPercent":0}`)
	f.refuse("StartTask", "AccessDeniedException")
	id := f.deployPatch(`{"taskDefinition":"agent:2"}`)
	testenv.Eventually(t, func() bool { return f.refusedStarts("AccessDeniedException") >= 2 })
	assert.Equal(t, n-1, f.runningTasks(f.first), "nothing more is stopped")
	assert.Equal(t, []string{"AccessDeniedException"}, f.launchReasons("logs"))

	_, err := f.ecs().DeregisterTaskDefinition(t.Context(), &ecs.DeregisterTaskDefinitionInput{
		TaskDefinition: aws.String("agent:2"),
	})
	require.NoError(t, err)
	f.sim.SetFaults(ecssim.Faults{})
	testenv.Eventually(t, func() bool { return f.refusedStarts("ClientException") >= 2 })
	assert.Equal(t, n-1, f.runningTasks(f.first), "nothing more is stopped")

	f.sim.RegisterTaskDefinition("agent", ecssim.WithCPU(16), ecssim.WithMemory(64))
	f.mustSend("POST", "/v1/environments/logs/deployments/"+id+"/stop", "", nil)
	good := f.deployPatch(`{"taskDefinition":"agent:3"}`)
	f.awaitState(good, "COMPLETED")
	f.awaitOneTaskEach(good, f.instances...)
	f.assertNoDuplicates()
}

// A deployment that ECS accepted may lose its permissions later.
func TestRefusal_InTheMiddleOfARolloutStopsNothingMore(t *testing.T) {
	t.Parallel()
	const n, running = 8, 6
	f := newRollout(t, n, `{"minimumHealthyPercent":75}`)
	id := f.deployPatch(`{"taskDefinition":"agent:2"}`)
	f.awaitMiddle(id)
	f.refuse("StartTask", "AccessDeniedException")
	testenv.Eventually(t, func() bool { return f.refusedStarts("AccessDeniedException") >= 2 })
	f.assertLimits(running, 0)
	f.sim.SetFaults(ecssim.Faults{})
	f.awaitState(id, "COMPLETED")
	f.awaitOneTaskEach(id, f.instances...)
	f.assertLimits(running, 0)
}

// launchReasons returns why the environment's instances count as failed.
func (w *system) launchReasons(name string) (reasons []string) {
	w.t.Helper()
	got, err := w.client.Get(w.t.Context(), "ecs/launch/"+name+"/", clientv3.WithPrefix())
	require.NoError(w.t, err)
	for _, kv := range got.Kvs {
		var launch struct{ Reason string }
		require.NoError(w.t, json.Unmarshal(kv.Value, &launch))
		if launch.Reason != "" {
			reasons = append(reasons, launch.Reason)
		}
	}
	return reasons
}

func TestStop_RejectedByECSIsAnEvent(t *testing.T) {
	t.Parallel()
	f := newRollout(t, 2, `{"minimumHealthyPercent":0}`)
	f.refuse("StopTask", "AccessDeniedException")
	f.deployPatch(`{"taskDefinition":"agent:2"}`)
	testenv.Eventually(t, func() bool {
		var list models.Events
		f.mustSend("GET", "/v1/events?limit=1000", "", &list)
		return slices.ContainsFunc(list.Items, func(e *models.Event) bool {
			return *e.Action == "taskStopFailed" && e.Reason == "AccessDeniedException"
		})
	})
}

// condition returns the condition of "logs" with that type; nil if it does not hold.
func condition(d *scheduler, conditionType string) *models.Condition {
	for _, c := range d.getEnvironment("logs").Conditions {
		if *c.Type == conditionType {
			return c
		}
	}
	return nil
}

// Only the leader calls ECS, but every replica shows what it observes.
func TestConditions_OfRefusedCallsAreShownByEveryReplica(t *testing.T) {
	t.Parallel()
	f := newRollout(t, 2, `{"minimumHealthyPercent":0}`)
	other := f.startScheduler(unusedAddress)
	f.refuse("StopTask", "AccessDeniedException")
	f.deployPatch(`{"taskDefinition":"agent:2"}`)
	testenv.Eventually(t, func() bool { return condition(other, "TaskStopFailed") != nil })
	shown := condition(other, "TaskStopFailed")
	assert.Equal(t, "True", *shown.Status)
	assert.Equal(t, "AccessDeniedException", *shown.Reason)
	assert.NotNil(t, shown.LastTransitionTime)
	assert.Equal(t, condition(f.scheduler, "TaskStopFailed").LastTransitionTime, shown.LastTransitionTime)
	assert.Equal(t, 1.0, other.metric("blox_ds_environment_conditions", `type="TaskStopFailed"`))
	assert.Equal(t, 0.0, other.metric("blox_ds_environment_conditions", `type="AccessDenied"`))

	f.refuse("StartTask", "ExpiredTokenException")
	f.sim.AddInstances("prod", 1)
	testenv.Eventually(t, func() bool { return condition(other, "CredentialsExpired") != nil })
	f.mustSend("DELETE", "/v1/environments/logs", "", nil)
	testenv.Eventually(t, func() bool {
		got, err := f.client.Get(t.Context(), "ecs/condition/", clientv3.WithPrefix(), clientv3.WithCountOnly())
		require.NoError(t, err)
		return got.Count == 0
	}, "conditions are left")
}

package planner

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/blox/blox/daemon-scheduler/environment"
)

func TestProgress_KeepsLegacyFailuresUntilTheFirstAttempt(t *testing.T) {
	noted := []environment.FailedInstance{
		{Arn: "i1", Reason: "AGENT"},
		{Arn: "i2", Reason: "AGENT"},
		{Arn: "gone", Reason: "AGENT"},
	}
	tc := scenario{legacyFailures: noted, instances: []environment.Instance{active("i1"), {ARN: "i2", Status: "ACTIVE"}}}
	assert.Equal(t, noted[:2], Make(tc.state()).Progress.LegacyFailures)
	tc.launches = []environment.Launch{launch(environment.LaunchStarted, time.Second, named("t1"))}
	assert.Equal(t, noted[1:2], Make(tc.state()).Progress.LegacyFailures)
	tc.stale = true
	assert.Equal(t, noted, Make(tc.state()).Progress.LegacyFailures)
}

func TestBakeTime_DelaysCompletion(t *testing.T) {
	spec := environment.Spec{}
	spec.DeploymentConfiguration = percent(0, 100)
	spec.DeploymentConfiguration.BakeTimeInMinutes = 10
	spec.DeploymentConfiguration.CircuitBreaker = environment.CircuitBreaker{Enable: true, Rollback: true, Threshold: 3}
	f := newFleet(t, 7, 10, spec)
	for n := 0; f.state.Environment.Deployments[current].BakeStartedAt.IsZero(); n++ {
		require.Less(t, n, 1000, "it does not begin to bake")
		f.step()
	}
	_, _, of := f.running()
	assert.Equal(t, map[string]int{current: 10}, of)
	began := f.state
	f.copyTasks(1)
	f.state.Now = f.state.Now.Add(settleInterval)
	f.state = done(f.state, Make(f.state)) // the instances settle
	f.observe()
	plan := Make(f.state)
	assert.Equal(t, environment.Running, plan.Progress.Status)
	assert.Equal(t, began.Now.Add(time.Minute), plan.RequeueAt, "a tenth is recorded")
	f.state.Now = began.Now.Add(9*time.Minute + 59*time.Second)
	f.observe()
	assert.Equal(t, environment.Running, Make(f.state).Progress.Status)
	f.state.Now = began.Now.Add(10 * time.Minute)
	f.observe()
	assert.Equal(t, environment.Completed, Make(f.state).Progress.Status)

	f.state.Now = began.Now.Add(time.Minute) // tasks that die while it bakes count
	f.bad = func(deployment, _ string) bool { return deployment == current }
	for n := 0; f.state.Environment.Deployments[current].Rollout() == environment.RolloutInProgress; n++ {
		require.Less(t, n, 1000, "it does not fail")
		f.step()
	}
	assert.Equal(t, environment.RolloutFailed, f.state.Environment.Deployments[current].Rollout())
}

// An instance stays failed until its task runs, so that health does not flicker with each attempt.
func TestProgress_KeepsAnInstanceFailedUntilItsTaskRuns(t *testing.T) {
	failing := launch(environment.LaunchStarted, time.Second, attempt(3), named("t1"))
	failing.Reason, failing.Detail = "STOPPED", "it died"
	s := scenario{
		tasks:    []environment.Task{task("t1", current, "PENDING")},
		launches: []environment.Launch{failing},
	}.state()
	plan := Make(s)
	assert.Equal(t, environment.Unhealthy, plan.Progress.Health)
	assert.Equal(t, []environment.FailedInstance{{Arn: "i1", Reason: "STOPPED"}}, plan.Failed)
	assert.Empty(t, plan.Actions)

	s.Tasks = []environment.Task{task("t1", current, "RUNNING")}
	plan = Make(s)
	assert.Equal(t, environment.Healthy, plan.Progress.Health)
	assert.Empty(t, plan.Failed)
	if assert.Len(t, plan.Actions, 1) {
		assert.Equal(t, Record, plan.Actions[0].Kind)
		assert.Empty(t, plan.Actions[0].Launch.Reason)
	}
}

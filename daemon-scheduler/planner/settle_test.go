package planner

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/blox/blox/daemon-scheduler/environment"
)

func TestRollout_CompletesAlthoughSomeAgentIsAlwaysAway(t *testing.T) {
	f := newFleet(t, 11, 40, environment.Spec{DeploymentConfiguration: percent(50, 100)})
	for n := 0; f.state.Environment.Deployments[current].Status != environment.Completed; n++ {
		require.Less(t, n, 400, "the deployment never completes")
		for i := range f.state.Instances {
			f.state.Instances[i].AgentConnected = i != n%len(f.state.Instances)
		}
		f.step()
	}
	_, _, of := f.running()
	assert.Equal(t, map[string]int{current: 40}, of)
}

// settledOn returns a launch record of i2 that settled with the task for the deployment.
func settledOn(task, deployment string) environment.Launch {
	l := launch(environment.LaunchStarted, time.Hour, named(task))
	l.Instance = "i2"
	l.Settled = environment.Settled{Deployment: deployment, Task: task}
	return l
}

func TestProgress_ASettledInstanceDoesNotDelayCompletion(t *testing.T) {
	i1, i2 := task("t1", current, "RUNNING"), at("i2", task("t2", current, "RUNNING"))
	for name, tc := range map[string]struct {
		launch environment.Launch
		task   environment.Task
		away   time.Duration
		want   environment.Status
	}{
		"settled":                            {settledOn("t2", current), i2, time.Second, environment.Completed},
		"settled, lost for ten minutes":      {settledOn("t2", current), i2, time.Hour, environment.Completed},
		"settled for an earlier deployment":  {settledOn("t2", earlier), i2, time.Second, environment.Running},
		"settled with a task since replaced": {settledOn("t0", current), i2, time.Second, environment.Running},
		"settled, and the task stops": {
			settledOn("t2", current), with(i2, stopping), time.Second, environment.Running,
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := scenario{
				status: environment.Running, instances: []environment.Instance{active("i1"), lost},
				tasks: []environment.Task{i1, tc.task}, launches: []environment.Launch{tc.launch},
			}.state()
			s.DisconnectedSince = map[string]time.Time{"i2": now.Add(-tc.away)}
			assert.Equal(t, tc.want, Make(s).Progress.Status)
		})
	}
}

func TestSettle_RecordsAllFinishedInstancesAtOnce(t *testing.T) {
	began := func(arn, on, by string, ago time.Duration) environment.Task {
		return at(on, with(task(arn, by, "RUNNING"), func(t *environment.Task) { t.StartedAt = now.Add(-ago) }))
	}
	started := func(on, task string) environment.Launch {
		l := launch(environment.LaunchStarted, time.Minute, named(task))
		l.Instance = on
		return l
	}
	s := scenario{
		status:    environment.Running,
		instances: []environment.Instance{active("i1"), lost, active("i3"), active("i4")},
		tasks: []environment.Task{
			began("t1", "i1", current, 14*time.Second), began("t3", "i3", current, 5*time.Second),
			began("t4", "i4", current, 100*time.Millisecond), // not ready
		},
		launches: []environment.Launch{started("i1", "t1"), started("i3", "t3"), started("i4", "t4")},
	}.state()
	plan := Make(s)
	assert.Empty(t, plan.Actions)
	s.Now = now.Add(time.Second - 1)
	plan = Make(s)
	assert.Empty(t, plan.Actions)
	assert.Equal(t, now.Add(time.Second), plan.RequeueAt)

	s.Now = plan.RequeueAt
	plan = Make(s)
	require.Len(t, plan.Actions, 3)
	for n, want := range []string{"i1", "i3", "i4"} {
		assert.Equal(t, Record, plan.Actions[n].Kind)
		assert.Equal(t, want, plan.Actions[n].Instance)
		assert.Equal(t, s.Launches[want].StoredVersion, plan.Actions[n].Launch.StoredVersion)
		assert.Equal(t, environment.Settled{Deployment: current, Task: "t" + want[1:]}, plan.Actions[n].Launch.Settled)
	}
	s = done(s, plan)
	assert.Empty(t, Make(s).Actions, "once")
	s.Now = s.Now.Add(time.Hour)
	s.Instances[1].Status = "DRAINING"
	plan = Make(s)
	assert.Equal(t, environment.Completed, plan.Progress.Status)
	assert.Empty(t, Make(done(s, plan)).Actions)
}

// A deployment that completes at once, or that has completed, costs no write.
func TestSettle_WritesNothingAtRest(t *testing.T) {
	old := with(task("t1", current, "RUNNING"), func(t *environment.Task) { t.StartedAt = now.Add(-time.Hour) })
	for _, status := range []environment.Status{environment.Running, environment.Completed} {
		s := scenario{
			status: status, tasks: []environment.Task{old},
			launches: []environment.Launch{launch(environment.LaunchStarted, time.Hour, named("t1"))},
		}.state()
		assert.Empty(t, Make(s).Actions)
	}
}

// An instance without a launch record of its task gets one.
func TestSettle_AdoptsATaskOfAnotherDeployment(t *testing.T) {
	f := newFleet(t, 5, 2, environment.Spec{DeploymentConfiguration: percent(50, 100)})
	e := f.state.Environment
	e, err := e.Rollback(newest, now)
	require.NoError(t, err)
	f.state.Environment = e
	f.state.Instances[1].AgentConnected = false
	f.state.Now = now.Add(time.Hour)
	plan := Make(f.state)
	require.Len(t, plan.Actions, 1)
	adopted := plan.Actions[0].Launch
	assert.Equal(t, earlier, adopted.Deployment)
	assert.Equal(t, environment.Settled{Deployment: newest, Task: adopted.Task}, adopted.Settled)
}

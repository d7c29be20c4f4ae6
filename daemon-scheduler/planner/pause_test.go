package planner

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/blox/blox/daemon-scheduler/environment"
)

// paused returns the state with an environment that a user has paused.
func paused(s State) State {
	s.Environment, _ = s.Environment.Pause(now)
	return s
}

// afterFailure returns the state after the current deployment has failed, which paused the environment.
func afterFailure(s State) State {
	s.Environment = s.Environment.Fail(current, "it was bad", newest, allActive, now.Add(-time.Hour))
	return s
}

func TestPause_HoldsStartsAndReplacements(t *testing.T) {
	s := scenario{
		instances: []environment.Instance{active("i1"), active("i2"), active("i3")},
		tasks: []environment.Task{
			task("t1", current, "RUNNING"), task("t2", current, "RUNNING"), at("i2", task("t3", earlier, "RUNNING")),
		},
	}.state()
	assert.Len(t, Make(s).Actions, 3)
	s = paused(s)
	plan := Make(s)
	assert.Empty(t, plan.Actions)
	assert.Equal(t, []Wait{{"i2", "The environment is paused."}, {"i3", "The environment is paused."}}, plan.Waits)
	assert.Equal(t, environment.Counts{Desired: 3, Running: 1, Outdated: 1, Available: 2}, plan.Counts)
	assert.Zero(t, plan.RequeueAt)
	assert.Equal(t, environment.Pending, plan.Progress.Status, "what is paused does not go on")

	s.Launches["i3"] = environment.Launch{
		Instance: "i3", Deployment: current, State: environment.LaunchOpen, NotAfter: now.Add(-time.Hour),
	}
	assert.Equal(t, []string{"confirm i3: ECS did not respond to StartTask; checking with ECS."}, texts(Make(s).Actions),
		"an open launch is still confirmed")
}

func TestPause_AnInstanceWithoutADaemonIsUnhealthy(t *testing.T) {
	s := paused(scenario{
		instances: []environment.Instance{active("i1"), active("i2")},
		tasks:     []environment.Task{task("t1", earlier, "RUNNING")},
	}.state())
	assert.Equal(t, environment.Unhealthy, Make(s).Progress.Health)
	status := Summarize(s).Instances[1]
	assert.Equal(t, environment.InstanceMissing, status.Phase)
	assert.Equal(t, "The environment is paused.", status.Reason)

	s.Environment, _ = s.Environment.RecordProgress(current, Make(s).Progress, now)
	s.Tasks = append(s.Tasks, at("i2", task("t2", earlier, "RUNNING")))
	assert.Equal(t, environment.Healthy, Make(s).Progress.Health, "an outdated daemon is one")
}

func TestPause_DrainsGoOn(t *testing.T) {
	s := scenario{instances: on("DRAINING", "i1"), tasks: []environment.Task{task("t1", current, "RUNNING")}}.state()
	const stopT1 = "stop t1: blox: the instance is draining, environment logs"
	assert.Equal(t, []string{stopT1}, texts(Make(paused(s)).Actions))
	assert.Equal(t, []string{stopT1}, texts(Make(afterFailure(s)).Actions))
	s.Tasks = append(s.Tasks, task("t2", foreign, "RUNNING"))
	assert.Empty(t, Make(paused(s)).Actions, "workload tasks are waited for as ever")
}

func TestPause_DrainsGoOnWithNothingDeployed(t *testing.T) {
	s := scenario{instances: on("DRAINING", "i1"), tasks: []environment.Task{task("t1", current, "RUNNING")}}.state()
	for id, d := range s.Environment.Deployments {
		d.Status, d.RolloutState = environment.Completed, environment.RolloutStopped
		s.Environment.Deployments[id] = d
	}
	assert.Equal(t, []string{"stop t1: blox: the instance is draining, environment logs"}, texts(Make(paused(s)).Actions))
}

func TestPause_ScaleInGoesOnAndReturnsTheDaemon(t *testing.T) {
	s := scenario{
		status: environment.Completed, tasks: []environment.Task{task("t1", current, "RUNNING")},
		launches: []environment.Launch{launch(environment.LaunchStarted, time.Hour, named("t1"))},
	}.state()
	s.Environment.Revisions = []environment.Revision{
		{Number: 1, Spec: environment.Spec{TaskDefinition: agent2, ScaleInAfterMinutes: 20}},
	}
	s = paused(s)
	const note = "record i1: The scale-in state of the instance changed."
	assert.Equal(t, []string{note}, texts(Make(s).Actions))
	s = done(s, Make(s))
	s.Now = s.Now.Add(20 * time.Minute)
	s = done(s, Make(s))
	assert.Equal(t, []string{"stop t1: blox: the instance is released for scale-in, environment logs"},
		texts(Make(s).Actions))
	s.Tasks = []environment.Task{with(task("t1", current, "STOPPED"), func(t *environment.Task) {
		t.StoppedReason, t.StoppedAt = ReasonScaleIn.Message("logs"), s.Now
	})}
	assert.Empty(t, Make(s).Actions)
	assert.Equal(t, environment.Healthy, Make(s).Progress.Health, "a released instance lacks nothing")
	s.Now = s.Now.Add(30 * time.Minute)
	assert.Equal(t, []string{"start i1: Replacing a task that stopped."}, texts(Make(s).Actions),
		"the rule that took the daemon returns it")
}

func TestPause_DeletionGoesOn(t *testing.T) {
	s := scenario{tasks: []environment.Task{task("t1", current, "RUNNING")}}.state()
	s = paused(s)
	s.Environment.DeletingSince = now
	assert.Equal(t, []string{"stop t1: blox: deleted environment logs"}, texts(Make(s).Actions))
}

// The circuit breaker, and a user who aborts, pause the rollout: tasks stay as they are, but no instance is left
// without a daemon.
func TestPausedRollout_GivesNewInstancesTheEffectiveDeployment(t *testing.T) {
	s := afterFailure(scenario{
		status:    environment.Running,
		instances: []environment.Instance{active("i1"), active("i2"), active("i3"), active("i4")},
		tasks: []environment.Task{
			task("t1", current, "RUNNING"), at("i2", task("t2", earlier, "RUNNING")), at("i3", task("t3", current, "STOPPED")),
		},
	}.state())
	l := launch(environment.LaunchFailed, time.Minute, named("t3"), because("STOPPED", time.Minute))
	l.Instance = "i3"
	s.Launches["i3"] = l
	plan := Make(s)
	assert.Equal(t, []string{
		"start i3: The instance has no task of the deployment.", "start i4: The instance has no task of the deployment.",
	}, texts(plan.Actions))
	for _, a := range plan.Actions {
		assert.Equal(t, earlier, a.Launch.Deployment)
	}
	assert.Equal(t, []Wait{{"i1", "The rollout is paused; the task stays as it is."}}, plan.Waits)
}

func TestPausedRollout_KeepsTasksThatOnlyTheFailedDeploymentSelects(t *testing.T) {
	s := canaryState(environment.Spec{Query: "attribute:zone == a"}, environment.Spec{})
	s.Tasks = []environment.Task{at("i1", task("t1", current, "RUNNING"))} // in zone b
	s.Instances, s.Launches = s.Instances[:2], map[string]environment.Launch{}
	s = afterFailure(s)
	assert.Equal(t, []string{"start i0: The instance has no task of the deployment."}, texts(Make(s).Actions))
}

func TestPausedRollout_StopsDuplicates(t *testing.T) {
	s := afterFailure(scenario{tasks: []environment.Task{
		task("t1", earlier, "RUNNING"), task("t2", earlier, "RUNNING"), task("t3", current, "RUNNING"),
	}}.state())
	assert.Equal(t, []string{"stop t2: blox: duplicate task of environment logs"}, texts(Make(s).Actions))
}

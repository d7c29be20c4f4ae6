package planner

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/blox/blox/daemon-scheduler/environment"
)

// takingOver returns an environment that takes a service over.
func takingOver(order environment.StartOrder, state environment.TakeoverState) environment.Environment {
	e := naming("logs", "", begun)
	e.Takeover = &environment.Takeover{Service: "arn:service/prod/exporter", Order: order, State: state}
	return e
}

func TestPlanReadiness_MarksInstancesOfATakeover(t *testing.T) {
	const moving, startFirst, stopFirst = environment.TakeoverMoving, environment.StartFirst, environment.StopFirst
	checked := func(health environment.HealthStatus) func(*environment.Task) {
		return func(t *environment.Task) { t.HealthChecked, t.Health = true, health }
	}
	mark := func(instance string, state environment.AttributeState) environment.ReadinessAttribute {
		return environment.ReadinessAttribute{
			Name: "blox.takeover.logs", Instance: instance, Cluster: "arn:cluster/prod", State: state, StoredVersion: 7,
		}
	}
	refused := failedLaunch("RESOURCE:MEMORY", 1, 0)
	refused.Instance = "i1"
	paused := takingOver(stopFirst, moving)
	paused.Paused = true
	outsideCanary := takingOver(stopFirst, moving)
	for n := range outsideCanary.Revisions {
		configuration := &outsideCanary.Revisions[n].Spec.DeploymentConfiguration
		configuration.Canary = &environment.Canary{Query: "attribute:zone == other"}
	}
	ended := takingOver(startFirst, environment.TakeoverCompleted)
	ended.Takeover.Applied = environment.TakeoverCompleted
	for name, tc := range map[string]struct {
		environment environment.Environment
		tasks       []environment.Task
		marks       []environment.ReadinessAttribute
		launches    map[string]environment.Launch
		want        []string
	}{
		"start first: waits for the task": {environment: takingOver(startFirst, moving)},
		"start first: the task is RUNNING": {
			environment: takingOver(startFirst, moving), tasks: []environment.Task{task("t1", "logs", "RUNNING")},
			want: []string{"set i1"},
		},
		"start first: the task is RUNNING, but not HEALTHY": {
			environment: takingOver(startFirst, moving),
			tasks:       []environment.Task{with(task("t1", "logs", "RUNNING"), checked(""))},
		},
		"start first: the task is HEALTHY": {
			environment: takingOver(startFirst, moving),
			tasks:       []environment.Task{with(task("t1", "logs", "RUNNING"), checked(environment.HealthHealthy))},
			want:        []string{"set i1"},
		},
		"start first: no room for the task": {
			environment: takingOver(startFirst, moving), launches: map[string]environment.Launch{"i1": refused},
			want: []string{"set i1"},
		},
		"stop first: one instance at a time": {environment: takingOver(stopFirst, moving), want: []string{"set i1"}},
		"stop first: the first instance is not back": {
			environment: takingOver(stopFirst, moving), marks: []environment.ReadinessAttribute{mark("i1", "set")},
		},
		"stop first: the first instance is back": {
			environment: takingOver(stopFirst, moving), marks: []environment.ReadinessAttribute{mark("i1", "set")},
			tasks: []environment.Task{task("t1", "logs", "RUNNING")}, want: []string{"set i2"},
		},
		"stop first: paused": {environment: paused},
		"stop first: only a canary's instances lose the service's task": {environment: outsideCanary},
		"a marked instance lost its task": {
			environment: takingOver(startFirst, moving), marks: []environment.ReadinessAttribute{mark("i1", "set")},
		},
		"completed, before the service has its last constraint": {
			environment: takingOver(startFirst, environment.TakeoverCompleted),
			marks:       []environment.ReadinessAttribute{mark("i1", "set")},
		},
		"completed": {
			environment: ended, marks: []environment.ReadinessAttribute{mark("i1", "set")}, want: []string{"remove i1"},
		},
		"cancelled": {
			environment: takingOver(startFirst, environment.TakeoverCancelled),
			marks:       []environment.ReadinessAttribute{mark("i1", "set")}, want: []string{"remove i1"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			plan := PlanReadiness(ReadinessState{
				Cluster: "arn:cluster/prod", Environments: []environment.Environment{tc.environment}, Fresh: true,
				Instances: []environment.Instance{active("i1"), active("i2")}, Tasks: tc.tasks, Attributes: tc.marks,
				Launches: map[string]map[string]environment.Launch{"logs": tc.launches}, Now: now,
				ConfirmTimeout: time.Minute,
			})
			var got []string
			for _, a := range plan.Set {
				got = append(got, "set "+a.Instance)
			}
			for _, a := range plan.Remove {
				got = append(got, "remove "+a.Instance)
			}
			assert.Equal(t, tc.want, got)
		})
	}
}

func TestMake_WaitsForTheServiceToStop(t *testing.T) {
	s := scenario{}.state()
	s.Environment.Takeover = &environment.Takeover{Order: environment.StopFirst, State: environment.TakeoverMoving}
	s.ServiceTasks = map[string]environment.Task{"i1": task("s1", "ecs-svc/1", "RUNNING")}
	plan := Make(s)
	assert.Empty(t, plan.Actions)
	assert.Equal(t, []Wait{{"i1", waitService}}, plan.Waits)
	s.Environment.Takeover.Order = environment.StartFirst
	assert.Equal(t, []string{"start i1: " + startMissing}, texts(Make(s).Actions))
	s.Environment.Takeover.Order, s.ServiceTasks = environment.StopFirst, nil
	assert.Equal(t, []string{"start i1: " + startMissing}, texts(Make(s).Actions))
}

// Time alone makes a new task ready, and no event announces that.
func TestMake_CompletesATakeoverWithoutWaitingForMinReady(t *testing.T) {
	s := scenario{
		tasks: []environment.Task{
			with(task("t1", current, "RUNNING"), func(t *environment.Task) { t.StartedAt = now.Add(-time.Millisecond) }),
		},
		launches: []environment.Launch{launch(environment.LaunchStarted, time.Second, named("t1"))},
	}.state()
	s.Environment.Takeover = &environment.Takeover{State: environment.TakeoverMoving}
	plan := Make(s)
	assert.Equal(t, environment.Completed, plan.Progress.Status)
	assert.True(t, plan.TakeoverComplete)
	s.ServiceTasks = map[string]environment.Task{"i1": task("s1", "ecs-svc/1", "RUNNING")}
	assert.False(t, Make(s).TakeoverComplete)
}

func TestMake_HandsInstancesBackAfterACancellation(t *testing.T) {
	s := scenario{tasks: []environment.Task{task("t1", current, "RUNNING")}}.state()
	s.Environment.Takeover = &environment.Takeover{Order: environment.StartFirst, State: environment.TakeoverCancelled}
	assert.Equal(t, []Wait{{"i1", waitHandBack}}, Make(s).Waits)
	s.ServiceTasks = map[string]environment.Task{"i1": task("s1", "ecs-svc/1", "PENDING")}
	assert.Empty(t, Make(s).Actions)
	stopped := []string{"stop t1: blox: the takeover was cancelled, environment logs"}
	s.ServiceTasks["i1"] = task("s1", "ecs-svc/1", "RUNNING")
	assert.Equal(t, stopped, texts(Make(s).Actions))
	s.ServiceTasks, s.Environment.Takeover.Order = nil, environment.StopFirst
	assert.Equal(t, stopped, texts(Make(s).Actions), "one instance may be without a task")
	s.Tasks = nil
	assert.Empty(t, Make(s).Actions, "nothing is started again")
}

// A cancellation ends the first deployment, so that none is in effect. The tasks that it has started are handed back.
func TestMake_HandsInstancesBackWithoutADeploymentInEffect(t *testing.T) {
	s := scenario{tasks: []environment.Task{task("t1", current, "RUNNING")}}.state()
	for id, d := range s.Environment.Deployments {
		d.Status = environment.Running
		s.Environment.Deployments[id] = d
	}
	for _, order := range []environment.StartOrder{environment.StartFirst, environment.StopFirst} {
		s.Environment.Takeover = &environment.Takeover{Order: order, State: environment.TakeoverMoving}
		cancelled, err := s.Environment.CancelTakeover(now)
		require.NoError(t, err)
		_, deployed := cancelled.Current()
		require.False(t, deployed)
		s := s
		s.Environment = cancelled
		s.ServiceTasks = map[string]environment.Task{"i1": task("s1", "ecs-svc/1", "RUNNING")}
		stopped := []string{"stop t1: blox: the takeover was cancelled, environment logs"}
		assert.Equal(t, stopped, texts(Make(s).Actions), order)
		if s.ServiceTasks = nil; order == environment.StopFirst {
			assert.Equal(t, stopped, texts(Make(s).Actions), "one instance may be without a task")
		} else {
			assert.Equal(t, []Wait{{"i1", waitHandBack}}, Make(s).Waits)
		}
	}
}

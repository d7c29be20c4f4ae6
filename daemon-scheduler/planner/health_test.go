package planner

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/blox/blox/daemon-scheduler/environment"
)

const appUnhealthy = "Container app is UNHEALTHY."

// checked gives a task a health check with this result.
func checked(status environment.HealthStatus) func(*environment.Task) {
	return func(t *environment.Task) {
		t.HealthChecked, t.Health = true, status
		t.StartedAt = now.Add(-10 * time.Minute)
		if status == environment.HealthUnhealthy {
			t.HealthReason = appUnhealthy
		}
	}
}

// healthState returns the state of n instances that the current deployment rolls out to, or has been completed on. They
// have the tasks that taskOf returns, and launch records of them.
func healthState(
	n int, status environment.Status, spec environment.Spec, taskOf func(n int) environment.Task,
) State {
	r := scenario{status: status, instances: []environment.Instance{}}
	for i := range n {
		arn := fmt.Sprintf("i%d", i)
		r.instances = append(r.instances, active(arn))
		t := at(arn, taskOf(i))
		t.ARN = "t" + arn
		r.tasks = append(r.tasks, t)
		if t.StartedBy == current {
			l := launch(environment.LaunchStarted, 10*time.Minute, named(t.ARN))
			l.Instance = arn
			r.launches = append(r.launches, l)
		}
	}
	s := only(r, "")
	spec.TaskDefinition = agent2
	s.Environment.Revisions[1].Spec = spec
	s.Availability = map[string]environment.Availability{}
	for _, t := range r.tasks {
		s.Availability[t.ARN] = environment.Availability{Available: t.Available(), Since: now.Add(-10 * time.Minute)}
	}
	return s
}

func all(startedBy string, status environment.HealthStatus) func(int) environment.Task {
	return func(int) environment.Task { return with(task("", startedBy, "RUNNING"), checked(status)) }
}

// stops returns the tasks that the plan stops.
func stops(p Plan) (tasks []string) {
	for _, a := range p.Actions {
		if a.Kind == Stop {
			tasks = append(tasks, a.Task)
		}
	}
	return tasks
}

func TestHealth_CompletesADeploymentWhenItsTasksAreHealthy(t *testing.T) {
	for status, want := range map[environment.HealthStatus]environment.Status{
		"": environment.Running, environment.HealthUnknown: environment.Running,
		environment.HealthUnhealthy: environment.Running, environment.HealthHealthy: environment.Completed,
	} {
		s := healthState(1, environment.Running, environment.Spec{}, all(current, status))
		plan := Make(s)
		assert.Equal(t, want, plan.Progress.Status, "health %q", status)
		assert.Equal(t, 1, plan.Counts.Running)
		assert.Equal(t, oneIf(want == environment.Completed), plan.Counts.Available)
	}
	s := healthState(1, environment.Running, environment.Spec{}, all(current, ""))
	shown := Summarize(s).Instances[0]
	assert.Equal(t, environment.InstancePending, shown.Phase)
	assert.Equal(t, waitHealthy, shown.Reason)
	assert.Equal(t, environment.HealthUnknown, shown.Health)
}

func TestHealth_HoldsTheRolloutUntilTheNewTasksAreHealthy(t *testing.T) {
	first := func(status environment.HealthStatus) func(int) environment.Task {
		return func(n int) environment.Task {
			if n == 0 {
				return all(current, status)(n)
			}
			return all(earlier, environment.HealthHealthy)(n)
		}
	}
	s := healthState(10, environment.Running, environment.Spec{}, first(environment.HealthUnknown))
	assert.Empty(t, stops(Make(s)), "the new task counts as unavailable")
	s = healthState(10, environment.Running, environment.Spec{}, first(environment.HealthHealthy))
	assert.Equal(t, []string{"ti1"}, stops(Make(s)))

	s.Availability["ti0"] = environment.Availability{Available: true, Since: now}
	plan := Make(s)
	assert.Empty(t, stops(plan), "it has just become HEALTHY, whatever ECS's clock says")
	assert.Equal(t, now.Add(minReadyInitial), plan.RequeueAt)
}

func TestHealth_CountsOlderTasksUnlessTheyAreUnhealthy(t *testing.T) {
	s := healthState(10, environment.Running, environment.Spec{}, all(earlier, ""))
	assert.Equal(t, []string{"ti0"}, stops(Make(s)), "their health may never become known")
	unhealthy := func(n int) environment.Task {
		if n == 5 {
			return all(earlier, environment.HealthUnhealthy)(n)
		}
		return all(earlier, environment.HealthHealthy)(n)
	}
	plan := Make(healthState(10, environment.Running, environment.Spec{}, unhealthy))
	assert.Equal(t, []string{"ti5"}, stops(plan), "an UNHEALTHY task is replaced first, and no other is stopped")
	assert.True(t, plan.Actions[0].Unhealthy)
	assert.Equal(t, ReasonSuperseded, plan.Actions[0].StopReason)

	plan = Make(healthState(10, environment.Running, environment.Spec{}, all(earlier, environment.HealthUnhealthy)))
	assert.Equal(t, []string{"ti0"}, stops(plan), "not all of them at once")
	surge := environment.Spec{DeploymentConfiguration: percent(90, 120)}
	plan = Make(healthState(10, environment.Running, surge, all(earlier, environment.HealthUnhealthy)))
	assert.Empty(t, stops(plan))
	assert.Len(t, plan.Actions, 1, "a task starts beside an UNHEALTHY one")
}

func TestHealth_ReplacesUnhealthyTasksWithinTheBudget(t *testing.T) {
	unhealthy := all(current, environment.HealthUnhealthy)
	plan := Make(healthState(1, environment.Completed, environment.Spec{}, unhealthy))
	require.Len(t, plan.Actions, 1)
	a := plan.Actions[0]
	assert.Equal(t, "blox: unhealthy task of environment logs", a.Reason)
	assert.True(t, a.Unhealthy)
	assert.Equal(t, environment.LaunchReplacing, a.Launch.State)
	assert.Equal(t, appUnhealthy, a.Launch.Detail)
	assert.Equal(t, 1, a.Launch.Failures)
	assert.Equal(t, environment.Unhealthy, plan.Progress.Health)
	assert.Equal(t, []environment.FailedInstance{{Arn: "i0", Reason: appUnhealthy}}, plan.Failed)

	plan = Make(healthState(20, environment.Completed, environment.Spec{}, unhealthy))
	assert.Equal(t, []string{"ti0", "ti1"}, stops(plan), "10 percent at a time")
	assert.Equal(t, appUnhealthy+" Waiting to replace the task: at most 2 instances may be without a running task.",
		plan.Waits[0].Reason)

	s := healthState(20, environment.Completed, environment.Spec{}, unhealthy)
	s.StopRequestedAt = map[string]time.Time{"ti1": now, "ti2": now}
	assert.Empty(t, stops(Make(s)), "two are being replaced")
	s = paused(healthState(1, environment.Completed, environment.Spec{}, unhealthy))
	assert.Empty(t, Make(s).Actions)
	keep := environment.Spec{UnhealthyPolicy: environment.UnhealthyKeep}
	plan = Make(healthState(1, environment.Completed, keep, unhealthy))
	assert.Empty(t, plan.Actions)
	assert.Equal(t, environment.Unhealthy, plan.Progress.Health)
}

// After the stop, the instance gets its task from the record of the replacement, once.
func TestHealth_StartsTheReplacementWhenTheUnhealthyTaskHasStopped(t *testing.T) {
	s := healthState(1, environment.Completed, environment.Spec{}, all(current, environment.HealthUnhealthy))
	s = done(s, Make(s))
	assert.Empty(t, Make(s).Actions, "the stop was requested")
	s.Tasks[0].DesiredStatus = "STOPPED"
	assert.Empty(t, Make(s).Actions, "it is stopping")
	s.Tasks[0] = with(s.Tasks[0], func(t *environment.Task) {
		t.LastStatus, t.StoppedReason, t.StopCode = "STOPPED", "blox: unhealthy task of environment logs", "UserInitiated"
	})
	plan := Make(s)
	assert.Equal(t, []string{"start i0: Replacing an UNHEALTHY task."}, texts(plan.Actions))
	next := plan.Actions[0].Launch
	assert.Equal(t, 2, next.Attempts)
	assert.Equal(t, 1, next.Failures)
	assert.False(t, next.HadNoTask)
}

func TestHealth_BacksOffWhenReplacementsBecomeUnhealthy(t *testing.T) {
	s := healthState(1, environment.Completed, environment.Spec{}, all(current, environment.HealthUnhealthy))
	s.Launches["i0"] = withFailures(s.Launches["i0"], 2)
	s.Availability["ti0"] = environment.Availability{Since: now.Add(-time.Second)}
	plan := Make(s)
	assert.Empty(t, plan.Actions)
	assert.Equal(t, now.Add(19*time.Second), plan.RequeueAt, "20 seconds after it became UNHEALTHY")
	assert.Equal(t, "Backing off after a failure: "+appUnhealthy, plan.Waits[0].Reason)
	s.Now = plan.RequeueAt
	require.Len(t, Make(s).Actions, 1)
	assert.Equal(t, 3, Make(s).Actions[0].Launch.Failures)

	s.Availability["ti0"] = environment.Availability{Since: now, AvailableFor: stableAfter}
	s.Now = now
	require.Len(t, Make(s).Actions, 1, "a task that was available for long begins a new row")
	assert.Equal(t, 1, Make(s).Actions[0].Launch.Failures)
}

func TestHealth_CountsAnUnhealthyTaskAsAFailureOnce(t *testing.T) {
	spec := environment.Spec{}
	spec.DeploymentConfiguration.CircuitBreaker = environment.CircuitBreaker{Enable: true, Threshold: 2}
	s := healthState(1, environment.Running, spec, all(current, environment.HealthUnhealthy))
	plan := Make(s)
	assert.Equal(t, 1, plan.Progress.FailedTasks)
	assert.Empty(t, plan.FailureReason)
	s = done(s, plan)
	assert.Equal(t, 1, Make(s).Progress.FailedTasks, "its replacement is recorded")

	spec.DeploymentConfiguration.CircuitBreaker.Threshold = 1
	s = healthState(1, environment.Running, spec, all(current, environment.HealthUnhealthy))
	plan = Make(s)
	assert.Equal(t, "Circuit breaker tripped: 1 failure (threshold 1). First: i0: "+appUnhealthy, plan.FailureReason)
	assert.Empty(t, plan.Actions)
	s = healthState(1, environment.Running, spec, all(earlier, environment.HealthUnhealthy))
	assert.Empty(t, Make(s).FailureReason, "it is not of this rollout")
}

func TestHealth_WaitsForTheMinimumHealthyTime(t *testing.T) {
	spec := environment.Spec{}
	spec.DeploymentConfiguration.MinimumHealthySeconds = 60
	running := func(int) environment.Task {
		return with(task("", current, "RUNNING"), func(t *environment.Task) { t.StartedAt = now.Add(-time.Hour) })
	}
	for name, taskOf := range map[string]func(int) environment.Task{
		"with health checks": all(current, environment.HealthHealthy), "without health checks": running,
	} {
		s := healthState(1, environment.Running, spec, taskOf)
		s.Availability["ti0"] = environment.Availability{Available: true, Since: now.Add(-time.Second)}
		plan := Make(s)
		assert.Equal(t, environment.Running, plan.Progress.Status, name)
		assert.Equal(t, now.Add(59*time.Second), plan.RequeueAt, name)
		assert.Zero(t, plan.Counts.Available, name)
		s.Now = plan.RequeueAt
		assert.Equal(t, environment.Completed, Make(s).Progress.Status, name)

		s.Now, s.Availability = now, nil // a new leader has just seen it
		assert.Equal(t, environment.Running, Make(s).Progress.Status, name)
		l := s.Launches["i0"]
		l.Settled = environment.Settled{Deployment: current, Task: "ti0"}
		s.Launches["i0"] = l
		assert.Equal(t, environment.Completed, Make(s).Progress.Status, "a former leader has seen it ready: "+name)
	}
}

func TestHealth_FailsADeploymentWhoseTasksDoNotBecomeHealthy(t *testing.T) {
	spec := environment.Spec{}
	spec.DeploymentConfiguration.ProgressDeadlineMinutes = 10
	s := healthState(1, environment.Running, spec, all(current, ""))
	s.Availability["ti0"] = environment.Availability{Since: now.Add(-9 * time.Minute)}
	plan := Make(s)
	assert.Empty(t, plan.FailureReason)
	assert.Equal(t, now.Add(time.Minute), plan.RequeueAt)
	s.Now = plan.RequeueAt
	assert.Equal(t, "Progress deadline exceeded: 1 task not available within 10 minutes. "+
		"First: i0: The task has been RUNNING, but not HEALTHY, for more than 10 minutes.", Make(s).FailureReason)
}

func TestHealth_DryRunAssumesHealthyTasks(t *testing.T) {
	spec := environment.Spec{}
	spec.DeploymentConfiguration.MinimumHealthySeconds = 60
	s := healthState(3, environment.Running, spec, all(earlier, environment.HealthHealthy))
	steps := DryRun(s)
	require.Len(t, steps, 6)
	for _, step := range steps {
		assert.NotEqual(t, "wait", step.Action)
	}
}

func TestPlanReadiness_SetsTheAttributeWhenTheTaskIsHealthy(t *testing.T) {
	for name, tc := range map[string]struct {
		health      environment.HealthStatus
		state       environment.AttributeState // of the attribute's record
		set, remove int
	}{
		"set once HEALTHY":                  {health: environment.HealthHealthy, set: 1},
		"not set while UNKNOWN":             {},
		"kept while UNKNOWN":                {state: environment.AttributeSet},
		"not set while UNHEALTHY":           {health: environment.HealthUnhealthy},
		"removed once UNHEALTHY":            {health: environment.HealthUnhealthy, state: environment.AttributeSet, remove: 1},
		"an unconfirmed one is removed too": {state: environment.AttributeOpen, remove: 1},
	} {
		t.Run(name, func(t *testing.T) {
			spec := environment.Spec{ReadinessAttribute: "ready"}
			s := healthState(1, environment.Completed, spec, all(current, tc.health))
			r := ReadinessState{
				Environments: []environment.Environment{s.Environment}, Instances: s.Instances, Tasks: s.Tasks,
				Fresh: true, Now: now,
			}
			if tc.state != "" {
				r.Attributes = []environment.ReadinessAttribute{{Name: "ready", Instance: "i0", State: tc.state}}
			}
			plan := PlanReadiness(r)
			assert.Len(t, plan.Set, tc.set)
			assert.Len(t, plan.Remove, tc.remove)
		})
	}
}

func withFailures(l environment.Launch, n int) environment.Launch {
	failures(n)(&l)
	return l
}

package planner

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/blox/blox/daemon-scheduler/environment"
)

// withDeadline returns the scenario's state with a current deployment that has a progress deadline of 10 minutes.
func withDeadline(r scenario, change func(*environment.Spec)) State {
	r.status = environment.Running
	s := only(r, "")
	spec := &s.Environment.Revisions[1].Spec
	spec.DeploymentConfiguration.ProgressDeadlineMinutes = 10
	if change != nil {
		change(spec)
	}
	return s
}

func TestProgressDeadline_FailsATaskThatStaysPending(t *testing.T) {
	pending := at("i2", task("t2", current, "PENDING"))
	l := launch(environment.LaunchStarted, 9*time.Minute, named("t2"))
	l.Instance = "i2"
	s := withDeadline(scenario{
		instances: []environment.Instance{active("i1"), active("i2")},
		tasks: []environment.Task{
			with(task("t1", current, "RUNNING"), func(t *environment.Task) { t.StartedAt = now.Add(-time.Minute) }), pending,
		},
		launches: []environment.Launch{l},
	}, nil)
	s.PendingFor = map[string]time.Duration{"t2": 9 * time.Minute}
	plan := Make(s)
	assert.Empty(t, plan.Failed)
	assert.Equal(t, now.Add(time.Minute), plan.RequeueAt, "when the deadline passes")
	assert.Equal(t, environment.Running, plan.Progress.Status)

	s.Now, s.PendingFor["t2"] = plan.RequeueAt, 10*time.Minute
	plan = Make(s)
	const reason = "The task has been PENDING for more than 10 minutes."
	assert.Equal(t, []environment.FailedInstance{{Arn: "i2", Reason: reason}}, plan.Failed)
	assert.Equal(t, environment.Unhealthy, plan.Progress.Health)
	assert.Equal(t, environment.Completed, plan.Progress.Status, "as with any other failed start")
	assert.Empty(t, plan.FailureReason)
	assert.Empty(t, plan.Actions, "the task may still start")
	status := Summarize(s).Instances[1]
	assert.Equal(t, environment.InstanceFailed, status.Phase)
	assert.Equal(t, reason, status.Reason)
}

func TestProgressDeadline_FailsADeploymentWithoutProgress(t *testing.T) {
	r := scenario{
		tasks:    []environment.Task{task("t1", current, "PENDING")},
		launches: []environment.Launch{launch(environment.LaunchStarted, 10*time.Minute, named("t1"))},
	}
	const reason = "Progress deadline exceeded: 1 task not available within 10 minutes. " +
		"First: i1: The task has been PENDING for more than 10 minutes."
	s := withDeadline(r, nil)
	assert.Empty(t, Make(s).FailureReason, "this replica has just seen the task, whatever the clocks of others say")
	s.PendingFor = map[string]time.Duration{"t1": 10 * time.Minute}
	assert.Equal(t, reason, Make(s).FailureReason)
	assert.Equal(t, environment.FailureProgressDeadline, Make(s).FailureCause)
	assert.Empty(t, Make(paused(s)).FailureReason)

	d := s.Environment.Deployments[current]
	d.RollbackOf = newest
	s.Environment.Deployments[current] = d
	assert.Empty(t, Make(s).FailureReason, "there is nothing else to roll back to")

	s = withDeadline(r, func(spec *environment.Spec) { spec.DeploymentConfiguration.ProgressDeadlineMinutes = 0 })
	assert.Empty(t, Make(s).FailureReason, "without a deadline it waits")
	assert.Zero(t, Make(s).RequeueAt)
}

func TestProgressDeadline_CountsForTheCircuitBreakerOnce(t *testing.T) {
	s := withDeadline(scenario{
		instances: []environment.Instance{active("i1"), active("i2")},
		tasks: []environment.Task{
			task("t1", current, "PENDING"),
			at("i2", with(task("t2", current, "RUNNING"), func(t *environment.Task) { t.StartedAt = now })),
		},
		launches: []environment.Launch{launch(environment.LaunchStarted, 10*time.Minute, named("t1"))},
	}, func(spec *environment.Spec) {
		spec.DeploymentConfiguration.BakeTimeInMinutes = 60
		spec.DeploymentConfiguration.CircuitBreaker = environment.CircuitBreaker{Enable: true, Threshold: 2}
	})
	s.PendingFor = map[string]time.Duration{"t1": 10 * time.Minute}
	for range 3 {
		plan := Make(s)
		assert.Equal(t, 1, plan.Progress.FailedTasks)
		assert.Empty(t, plan.FailureReason)
		s = done(s, plan)
	}
	l := launch(environment.LaunchStarted, time.Minute, named("t2"), attempt(2), failures(1))
	l.Instance = "i2"
	s.Launches["i2"] = l
	assert.Equal(t, "Circuit breaker tripped: 2 failures (threshold 2). "+
		"First: i1: The task has been PENDING for more than 10 minutes.", Make(s).FailureReason)
}

func TestProgressDeadline_ExemptsInstancesThatCannotRunTasks(t *testing.T) {
	for name, instance := range map[string]environment.Instance{
		"the instance drains":     {ARN: "i1", Status: "DRAINING", AgentConnected: true},
		"its agent is away":       {ARN: "i1", Status: "ACTIVE"},
		"it drains without agent": {ARN: "i1", Status: "DRAINING"},
	} {
		t.Run(name, func(t *testing.T) {
			s := withDeadline(scenario{
				instances: []environment.Instance{instance},
				tasks:     []environment.Task{task("t1", current, "PENDING")},
				launches:  []environment.Launch{launch(environment.LaunchStarted, time.Hour, named("t1"))},
			}, func(spec *environment.Spec) {
				spec.DeploymentConfiguration.CircuitBreaker = environment.CircuitBreaker{Enable: true, Threshold: 1}
			})
			s.PendingFor = map[string]time.Duration{"t1": time.Hour}
			plan := Make(s)
			assert.Zero(t, plan.Progress.FailedTasks)
			assert.Empty(t, plan.FailureReason)
			assert.Empty(t, plan.Failed)
		})
	}
}

package planner

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/blox/blox/daemon-scheduler/environment"
)

// newFailingFleet returns a rollout on ten instances whose circuit breaker trips at three failures.
func newFailingFleet(t *testing.T, reset bool) *fleet {
	spec := environment.Spec{}
	spec.DeploymentConfiguration.CircuitBreaker = environment.CircuitBreaker{
		Enable: true, ResetOnHealthyTask: reset,
		ThresholdConfiguration: &environment.FailureThreshold{Type: environment.ThresholdCount, Value: 3},
	}
	f := newFleet(t, 1, 10, spec)
	f.tasks = map[string]environment.Task{}
	f.state.Tasks = nil
	f.state.Now = now.Add(time.Hour) // every task has run for the min ready time
	return f
}

// fail records n failures of the current deployment on an instance, and runs a task there if it is healthy.
func (f *fleet) fail(instance, n int, healthy bool) {
	l := environment.Launch{
		Instance: fmt.Sprintf("i%03d", instance), Deployment: current, State: environment.LaunchFailed, Reason: "STOPPED",
		Attempts: n + 1, Failures: n, TaskFailures: n, NextAttemptAt: now.Add(24 * time.Hour),
	}
	if healthy {
		l = StartedLaunch(l, f.start(l.Instance, current))
		task := f.tasks[l.Task]
		task.LastStatus, task.StartedAt = "RUNNING", now
		f.tasks[l.Task] = task
	}
	f.state.Launches[l.Instance] = l
}

// tripped records the progress and returns the failure reason.
func (f *fleet) tripped() string {
	f.copyTasks(1)
	f.state.Now = f.state.Now.Add(minReadyMax)
	plan := Make(f.state)
	f.state.Environment, _ = f.state.Environment.RecordProgress(plan.Deployment, plan.Progress, f.state.Now)
	return plan.FailureReason
}

func TestCircuitBreaker_ResetsTheFailuresWhenAFurtherTaskIsHealthy(t *testing.T) {
	f := newFailingFleet(t, true)
	f.fail(0, 2, false)
	assert.Empty(t, f.tripped())
	f.fail(1, 0, true)
	assert.Empty(t, f.tripped())
	assert.Equal(t, 0, f.state.Environment.Deployments[current].CountedFailures())
	f.fail(0, 4, false)
	assert.Empty(t, f.tripped(), "only the failures since the reset count")
	assert.Equal(t, 2, f.state.Environment.Deployments[current].CountedFailures())
	f.fail(0, 5, false)
	assert.Contains(t, f.tripped(), "Circuit breaker tripped: 3 failures (threshold 3).")
}

func TestCircuitBreaker_CountsAFailureThatIsNewWithAReset(t *testing.T) {
	f := newFailingFleet(t, true)
	f.fail(0, 2, false)
	assert.Empty(t, f.tripped())
	f.fail(0, 3, false)
	f.fail(1, 0, true)
	assert.Empty(t, f.tripped())
	assert.Equal(t, 1, f.state.Environment.Deployments[current].CountedFailures())
}

// Tasks that run for a while and then fail must trip the circuit breaker, although each one is healthy for a time.
func TestCircuitBreaker_CountsTasksThatKeepFailing(t *testing.T) {
	f := newFailingFleet(t, true)
	f.fail(0, 0, true)
	assert.Empty(t, f.tripped())
	reason := ""
	for n := 1; reason == "" && n < 10; n++ {
		for task := range f.tasks {
			delete(f.tasks, task)
		}
		f.state.Tasks = nil
		f.fail(0, n, false)
		if reason = f.tripped(); reason == "" {
			f.fail(0, n, true)
			reason = f.tripped()
		}
	}
	assert.Contains(t, reason, "Circuit breaker tripped: 3 failures (threshold 3).")
}

func TestCircuitBreaker_KeepsTheFailuresByDefault(t *testing.T) {
	f := newFailingFleet(t, false)
	f.fail(0, 2, false)
	assert.Empty(t, f.tripped())
	f.fail(1, 0, true)
	f.fail(2, 1, false)
	assert.Contains(t, f.tripped(), "Circuit breaker tripped: 3 failures (threshold 3).")
}

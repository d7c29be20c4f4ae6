package planner

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/blox/blox/daemon-scheduler/environment"
)

// stopped returns a task of the current deployment that stopped a second ago, after it had run for three.
func stopped(stopCode, reason string) environment.Task {
	t := with(task("t1", current, "STOPPED"), ran(3*time.Second))
	t.StopCode, t.StoppedReason = stopCode, reason
	return t
}

func failures(n int) func(*environment.Launch) {
	return func(l *environment.Launch) { l.Failures = n }
}

func TestFailure_IsATaskThatStopsByItself(t *testing.T) {
	for name, tc := range map[string]struct {
		task environment.Task
		want int
	}{
		"an essential container exited":      {stopped("EssentialContainerExited", "Essential container in task exited"), 1},
		"the task failed to start":           {with(stopped("TaskFailedToStart", "CannotPullContainerError"), neverRan), 1},
		"ECS names no code":                  {stopped("", "it crashed"), 1},
		"a user stopped it":                  {stopped("UserInitiated", "Task stopped by user"), 0},
		"Blox stopped it for a drain":        {stopped("UserInitiated", ReasonDraining.Message("logs")), 0},
		"Blox stopped it, without a code":    {stopped("", ReasonDraining.Message("logs")), 0},
		"a service scheduler stopped it":     {stopped("ServiceSchedulerInitiated", "Scaling activity"), 0},
		"a spot instance was interrupted":    {stopped("SpotInterruption", "Your Spot Task was interrupted."), 0},
		"the host is going away":             {stopped("TerminationNotice", "Host is being terminated"), 0},
		"the host is unhealthy":              {stopped("InfrastructureHealth", "host impaired"), 0},
		"the instance was terminated":        {stopped("", "Host EC2 (instance i-0123) terminated."), 0},
		"a code that ECS adds later is none": {stopped("SomethingNew", ""), 1},
	} {
		t.Run(name, func(t *testing.T) {
			s := scenario{
				status: environment.Running, tasks: []environment.Task{tc.task},
				launches: []environment.Launch{launch(environment.LaunchStarted, time.Minute, named("t1"))},
			}.state()
			plan := Make(s)
			if assert.Equal(t, []string{"start i1: Replacing a task that stopped."}, texts(plan.Actions)) {
				assert.Equal(t, tc.want, plan.Actions[0].Launch.Failures)
				assert.Equal(t, 2, plan.Actions[0].Launch.Attempts)
			}
			plan = Make(done(s, plan))
			assert.Equal(t, tc.want, plan.Progress.FailedTasks)
		})
	}
}

func neverRan(t *environment.Task) { t.StartedAt = time.Time{} }

// Three stops by hand, three drained and reactivated instances, or three spot interruptions fail no rollout.
func TestCircuitBreaker_IgnoresStopsThatAreNoFailures(t *testing.T) {
	for name, tc := range map[string]struct {
		code, reason string
		want         string
	}{
		"by hand":           {"UserInitiated", "stopped by hand", ""},
		"drained":           {"UserInitiated", ReasonDraining.Message("logs"), ""},
		"spot interruption": {"SpotInterruption", "", ""},
		"crashes": {
			"EssentialContainerExited", "exit 1", "Circuit breaker tripped: 8 failures (threshold 3).",
		},
	} {
		t.Run(name, func(t *testing.T) {
			spec := environment.Spec{}
			spec.DeploymentConfiguration = percent(0, 100)
			spec.DeploymentConfiguration.CircuitBreaker = environment.CircuitBreaker{Enable: true, Threshold: 3}
			f := newFleet(t, 1, 8, spec)
			for arn := range f.tasks {
				f.die(arn)
			}
			for _, i := range f.state.Instances {
				arn := f.start(i.ARN, current)
				f.run(arn)
				f.state.Launches[i.ARN] = environment.Launch{
					Instance: i.ARN, Deployment: current, State: environment.LaunchStarted, Task: arn, Attempts: 1, NotAfter: now,
				}
				f.die(arn)
				t := f.tasks[arn]
				t.StopCode, t.StoppedReason = tc.code, tc.reason
				f.tasks[arn] = t
			}
			f.copyTasks(1)
			plan := Make(f.state)
			assert.Len(t, plan.Actions, 8)
			assert.Equal(t, tc.want, Make(done(f.state, plan)).FailureReason)
		})
	}
}

func TestFailedLaunch_CountsTheFailureOfTheInstance(t *testing.T) {
	l := FailedLaunch(launch(environment.LaunchOpen, 0, attempt(7), failures(2)), "RESOURCE:CPU", "", now)
	assert.Equal(t, 3, l.Failures)
	assert.Equal(t, 7, l.Attempts)
	assert.Equal(t, now.Add(40*time.Second), l.NextAttemptAt, "it backs off by failures")
}

func TestConfirmLaunch_CountsOnlyTasksThatStoppedByThemselves(t *testing.T) {
	started := launch(environment.LaunchStarted, time.Minute, named("t1"))
	l := ConfirmLaunch(started, []environment.Task{stopped("EssentialContainerExited", "exit 1")}, now)
	assert.Equal(t, 1, l.Failures)
	assert.Equal(t, "STOPPED", l.Reason)

	l = ConfirmLaunch(started, []environment.Task{stopped("UserInitiated", "by hand")}, now)
	assert.Zero(t, l.Failures)
	assert.Empty(t, l.Reason)
	assert.Equal(t, environment.LaunchFailed, l.State, "the next attempt may follow")
	assert.Equal(t, now, l.NextAttemptAt)
}

// A task that fails after a stable time starts a new row of failures.
func TestFailure_AfterAStableTimeIsTheFirstOfARow(t *testing.T) {
	s := scenario{
		tasks: []environment.Task{with(stopped("EssentialContainerExited", "exit 1"), ran(6*time.Minute))},
		launches: []environment.Launch{
			launch(environment.LaunchStarted, time.Hour, named("t1"), attempt(9), failures(8)),
		},
	}.state()
	l := Make(s).Actions[0].Launch
	assert.Equal(t, 1, l.Failures)
	assert.Equal(t, 1, l.Attempts)
}

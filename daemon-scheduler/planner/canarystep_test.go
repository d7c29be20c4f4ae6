package planner

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/blox/blox/daemon-scheduler/environment"
)

// stepFleet is a fleet that rolls out with canary steps, and whose leader measures the time of the present step.
type stepFleet struct {
	*fleet
	timer StepTimer
}

func minutes(n int) *int { return &n }

func newStepFleet(t *testing.T, n int, steps ...environment.CanaryStep) *stepFleet {
	t.Helper()
	spec := environment.Spec{DeploymentConfiguration: percent(50, 100)}
	spec.DeploymentConfiguration.Canary = &environment.Canary{Steps: steps}
	return &stepFleet{fleet: newFleet(t, 7, n, spec)}
}

// plan makes a plan as the engine does, after d, and carries it out.
func (f *stepFleet) plan(d time.Duration) Plan {
	f.state.Now = f.state.Now.Add(d)
	f.copyTasks(1)
	f.state.Step = f.timer.For(f.state.Environment.Deployments[current])
	plan := Make(f.state)
	f.timer = f.state.Step.After(plan.Progress.Step, f.state.Now)
	f.state.Environment, _ = f.state.Environment.RecordProgress(plan.Deployment, plan.Progress, f.state.Now)
	for _, a := range plan.Actions {
		f.do(a)
	}
	return plan
}

// awaitReady lets the tasks of the present step run.
func (f *stepFleet) awaitReady(step int) {
	f.t.Helper()
	for n := 0; !f.timer.isReady(); n++ {
		require.Less(f.t, n, 200, "the step is not ready")
		f.pass()
		f.plan(0)
	}
	require.Equal(f.t, step, f.step())
}

func (t StepTimer) isReady() bool { return !t.ReadyAt.IsZero() }

// step returns how many steps were promoted, plus one.
func (f *stepFleet) step() int {
	return f.state.Environment.Deployments[current].CanaryProgress.PromotedSteps + 1
}

// changeLeader begins the term of a leader whose clock shows another time.
func (f *stepFleet) changeLeader(ahead time.Duration) {
	f.timer = StepTimer{}
	f.skew += ahead
	f.state.Now = f.state.Now.Add(ahead)
}

func TestCanarySteps_WidenTheSetAndPromoteAfterTheirPause(t *testing.T) {
	f := newStepFleet(t, 40, environment.CanaryStep{Percent: 10, PauseMinutes: minutes(10)},
		environment.CanaryStep{Query: "attribute:zone == b", PauseMinutes: minutes(0)},
		environment.CanaryStep{Count: 20})
	f.awaitReady(1)
	covered := f.covered()
	assert.Len(t, covered, 4)
	for range 9 {
		f.plan(time.Minute)
	}
	require.Equal(t, 1, f.step())
	f.plan(time.Minute)
	require.Equal(t, 2, f.step())
	for n := 0; f.step() == 2; n++ { // without a pause, the step ends when its tasks are ready
		require.Less(t, n, 200)
		f.pass()
		f.plan(0)
	}
	second := f.covered()
	assert.Subset(t, second, covered, "a step contains the one before")
	assert.Len(t, second, 16, "13 of zone b, and the three others of the first step")
	for range 100 {
		f.pass()
		f.plan(0)
	}
	assert.Subset(t, f.covered(), second)
	assert.Len(t, f.covered(), 20)
	f.plan(24 * time.Hour)
	assert.Equal(t, 3, f.step(), "a step without a pause waits for a user")
	f.state.Environment, _ = f.state.Environment.Promote(current)
	for n := 0; f.state.Environment.Deployments[current].Status != environment.Completed; n++ {
		require.Less(t, n, 1000)
		f.tick()
	}
}

// tick lets some time pass.
func (f *stepFleet) tick() {
	f.pass()
	f.plan(0)
}

// covered returns the instances with a task of the current deployment.
func (f *stepFleet) covered() (instances []string) {
	for _, task := range f.tasks {
		if task.Live() && task.StartedBy == current {
			instances = append(instances, task.Instance)
		}
	}
	return instances
}

func TestCanarySteps_CountOnlyTheTimeInWhichTheirTasksAreReady(t *testing.T) {
	lose := func(f *stepFleet) environment.Task {
		for _, task := range f.tasks {
			if task.Live() && task.StartedBy == current {
				return task
			}
		}
		return environment.Task{}
	}
	for name, tc := range map[string]struct {
		during func(f *stepFleet) // nine minutes after the tasks were ready
		early  bool               // whether one more minute promotes the step
		needed time.Duration      // the time that is still needed, if not
	}{
		"nothing happens": {during: func(*stepFleet) {}, early: true},
		"a task crashes": {during: func(f *stepFleet) {
			f.die(lose(f).ARN)
			f.plan(0)
			f.plan(0)
		}, needed: 10 * time.Minute},
		"a user stops a task": {during: func(f *stepFleet) {
			task := lose(f)
			task.DesiredStatus, task.StopCode, task.StoppedReason = "STOPPED", "UserInitiated", "by hand"
			f.tasks[task.ARN] = task
			f.die(task.ARN)
			f.plan(0)
		}, needed: time.Minute},
		"a task is UNHEALTHY": {during: func(f *stepFleet) {
			task := lose(f)
			task.HealthChecked, task.Health, task.HealthReason = true, environment.HealthUnhealthy, appUnhealthy
			f.tasks[task.ARN] = task
			f.plan(0)
		}, needed: 10 * time.Minute},
		"a user pauses": {during: func(f *stepFleet) {
			f.state.Environment, _ = f.state.Environment.Pause(f.state.Now)
			f.plan(0)
			f.plan(time.Hour)
			f.state.Environment, _ = f.state.Environment.Resume()
		}, needed: time.Minute},
		"the cluster state is not fresh": {during: func(f *stepFleet) {
			f.state.Fresh = false
			f.plan(0)
			f.plan(time.Hour)
			f.state.Fresh = true
		}, needed: time.Minute},
		"no plan is made for long":     {during: func(f *stepFleet) { f.plan(time.Hour) }, early: true},
		"an agent is disconnected":     {during: func(f *stepFleet) { f.state.Instances[0].AgentConnected = false }, early: true},
		"the leader changes":           {during: func(f *stepFleet) { f.changeLeader(0) }, needed: time.Minute},
		"a leader with a clock ahead":  {during: func(f *stepFleet) { f.changeLeader(time.Hour) }, needed: time.Minute},
		"a leader with a clock behind": {during: func(f *stepFleet) { f.changeLeader(-time.Hour) }, needed: time.Minute},
		"the wall clock jumps back":    {during: func(f *stepFleet) { f.state.Now = f.state.Now.Add(-time.Hour) }, needed: time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			f := newStepFleet(t, 40, environment.CanaryStep{Percent: 10, PauseMinutes: minutes(10)},
				environment.CanaryStep{Count: 20})
			f.awaitReady(1)
			for range 9 {
				f.plan(time.Minute)
			}
			require.Equal(t, 1, f.step())
			tc.during(f)
			f.plan(time.Minute)
			if tc.early {
				assert.Equal(t, 2, f.step())
				return
			}
			require.Equal(t, 1, f.step())
			for n := 0; !f.timer.isReady(); n++ {
				require.Less(t, n, 2000, "the step is not ready")
				for arn, task := range f.tasks {
					if task.Unhealthy() && f.state.Environment.Deployments[current].CanaryProgress.ReadyFor == 0 {
						task.Health = environment.HealthHealthy
						f.tasks[arn] = task
					}
				}
				f.tick()
			}
			for spent := time.Duration(0); spent < tc.needed-time.Minute; spent += time.Minute {
				f.plan(time.Minute - time.Second)
				require.Equal(t, 1, f.step(), "%s", spent)
				f.plan(time.Second)
			}
			f.plan(time.Minute)
			assert.Equal(t, 2, f.step())
		})
	}
}

// Time alone makes the tasks of a step ready, and no event announces that.
func TestCanarySteps_PlanAgainWhenTheirTasksBecomeReady(t *testing.T) {
	f := newStepFleet(t, 1, environment.CanaryStep{Percent: 10, PauseMinutes: minutes(5)})
	f.plan(0)
	for arn := range f.tasks {
		f.die(arn)
	}
	f.plan(0)
	f.runAll()
	plan := f.plan(0)
	require.False(t, plan.Progress.Step.Ready)
	assert.Equal(t, f.state.Now.Add(minReadyInitial), plan.RequeueAt)
	plan = f.plan(minReadyInitial)
	require.True(t, plan.Progress.Step.Ready)
	assert.False(t, plan.RequeueAt.IsZero() || plan.RequeueAt.After(f.state.Now.Add(stepRecheck)), "it is recorded")
}

func TestCanarySteps_TheCircuitBreakerStopsTheirPromotion(t *testing.T) {
	f := newStepFleet(t, 10, environment.CanaryStep{Percent: 10, PauseMinutes: minutes(0)},
		environment.CanaryStep{Count: 5})
	spec := &f.state.Environment.Revisions[1].Spec.DeploymentConfiguration
	spec.CircuitBreaker = environment.CircuitBreaker{Enable: true, Threshold: 1}
	f.plan(0)
	failed := failedLaunch("X", 1, 0)
	failed.Instance = "i009"
	f.state.Launches["i009"] = failed
	f.runAll()
	plan := f.plan(time.Minute)
	require.NotEmpty(t, plan.FailureReason)
	assert.False(t, plan.Progress.Step.Promote)
	assert.Equal(t, 1, f.step())
}

func TestCanarySteps_DryRunGoesOnAfterEachPause(t *testing.T) {
	f := newStepFleet(t, 20, environment.CanaryStep{Percent: 10, PauseMinutes: minutes(10)},
		environment.CanaryStep{Count: 5, PauseMinutes: minutes(5)}, environment.CanaryStep{Count: 7})
	kinds := map[string]int{}
	for _, step := range DryRun(f.state) {
		kinds[step.Action]++
	}
	assert.Equal(t, map[string]int{"stop": 7, "start": 7}, kinds)
}

// A canary without pauses waits for its promotion in both cases: the plan reports whether its tasks are ready.
func TestMake_CountsInstancesOfTheCanaryThatAreNotReady(t *testing.T) {
	f := newStepFleet(t, 4, environment.CanaryStep{Count: 2})
	assert.Equal(t, 2, f.plan(0).Unready)
	for n := 0; f.plan(0).Unready > 0; n++ {
		require.Less(t, n, 200, "the canary is not ready")
		f.pass()
	}
	assert.Equal(t, 2, f.plan(0).Counts.Updated())
	f.state.Environment, _ = f.state.Environment.Promote(current)
	assert.Zero(t, f.plan(0).Unready, "it is no canary any more")
}

package planner

import (
	"fmt"
	"maps"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/blox/blox/daemon-scheduler/environment"
)

// healthFleet is a fleet whose tasks have health checks. Their health changes at random while flips is set, and is
// known with a delay, as all else.
type healthFleet struct {
	*fleet
	flips          bool
	maxUnavailable int
}

// flip changes the health of RUNNING tasks.
func (f *healthFleet) flip() {
	for _, arn := range slices.Sorted(maps.Keys(f.tasks)) {
		task := f.tasks[arn]
		task.HealthChecked = true
		switch {
		case !task.Running():
		case task.Health == environment.HealthHealthy && f.flips && f.IntN(100) == 0:
			task.Health, task.HealthReason = environment.HealthUnhealthy, appUnhealthy
		case task.Health == environment.HealthUnhealthy && f.IntN(20) == 0, task.Health == "" && f.IntN(3) == 0:
			task.Health, task.HealthReason = environment.HealthHealthy, ""
			if f.flips && f.IntN(5) == 0 {
				task.Health, task.HealthReason = environment.HealthUnhealthy, appUnhealthy
			}
		}
		f.tasks[arn] = task
	}
}

// instanceHealth is what the cluster state shows of the tasks that run on an instance and are not to stop.
type instanceHealth struct{ up, unhealthy bool }

func (f *healthFleet) instanceHealth(stopped map[string]bool) map[string]instanceHealth {
	shown := map[string]instanceHealth{}
	for _, i := range f.state.Instances {
		shown[i.ARN] = instanceHealth{}
	}
	for _, t := range f.state.Tasks {
		requested, ok := f.state.StopRequestedAt[t.ARN]
		if !t.Running() || stopped[t.ARN] || ok && f.state.Now.Before(requested.Add(StopRetryInterval)) {
			continue
		}
		on := shown[t.Instance]
		on.up = on.up || t.Health == environment.HealthHealthy || t.StartedBy == earlier && !t.Unhealthy()
		on.unhealthy = on.unhealthy || t.Unhealthy()
		shown[t.Instance] = on
	}
	return shown
}

// check fails the test if the plan makes more instances unavailable than it may, or restarts more of those that are
// UNHEALTHY.
func (f *healthFleet) check(plan Plan) {
	stopped := map[string]bool{}
	for _, a := range plan.Actions {
		if a.Kind == Stop {
			stopped[a.Task] = true
		}
	}
	before, after := f.instanceHealth(nil), f.instanceHealth(stopped)
	unavailable, down, taken, restarted := 0, 0, 0, 0
	for arn, was := range before {
		is := after[arn]
		unavailable += oneIf(!was.up)
		down += oneIf(!was.up && !was.unhealthy)
		taken += oneIf(was.up && !is.up)
		restarted += oneIf(!was.up && was.unhealthy && !is.unhealthy)
	}
	if taken > 0 {
		require.LessOrEqual(f.t, unavailable+taken, f.maxUnavailable, "available instances are taken")
	}
	if restarted > 0 {
		require.LessOrEqual(f.t, down+taken+restarted, f.maxUnavailable, "instances are restarted")
	}
}

// stepHealth lets some time pass, checks the plan and carries out a part of it. Stops that rely on a task being
// UNHEALTHY go out only if it is.
func (f *healthFleet) stepHealth() {
	f.pass()
	f.flip()
	f.copyTasks(2)
	f.observe()
	plan := Make(f.state)
	f.check(plan)
	f.state.Environment, _ = f.state.Environment.RecordProgress(plan.Deployment, plan.Progress, f.state.Now)
	for _, a := range plan.Actions {
		if f.IntN(4) > 0 && (!a.Unhealthy || f.tasks[a.Task].Unhealthy()) {
			f.do(a)
		}
	}
}

func TestHealth_NeverExceedsTheBudgetByItsOwnAct(t *testing.T) {
	const n = 20
	for name, spec := range map[string]environment.Spec{
		"as by default": {}, "half at a time": {DeploymentConfiguration: percent(50, 100)},
		"start first":  {DeploymentConfiguration: percent(80, 120)},
		"kept":         {UnhealthyPolicy: environment.UnhealthyKeep},
		"for a minute": {DeploymentConfiguration: environment.DeploymentConfiguration{MinimumHealthySeconds: 60}},
	} {
		t.Run(name, func(t *testing.T) {
			for seed := range seeds(3) {
				f := &healthFleet{
					fleet: newFleet(t, seed, n, spec), flips: true,
					maxUnavailable: spec.DeploymentConfiguration.MaxUnavailable(n),
				}
				for arn, task := range f.tasks {
					task.HealthChecked, task.Health = true, environment.HealthHealthy
					f.tasks[arn] = task
				}
				f.copyTasks(1)
				for range 120 {
					f.stepHealth()
					f.running() // checks that no instance has two tasks of one deployment
				}
				f.flips = false
				f.awaitHealthy(seed)
			}
		})
	}
}

// awaitHealthy lets time pass until the deployment is completed, with one HEALTHY task on each instance.
func (f *healthFleet) awaitHealthy(seed uint64) {
	for steps := 0; ; steps++ {
		require.Less(f.t, steps, 3000, "it does not end, seed %d", seed)
		f.stepHealth()
		_, _, of := f.running()
		healthy := 0
		for _, task := range f.tasks {
			healthy += oneIf(task.Available() && task.StartedBy == current)
		}
		completed := f.state.Environment.Deployments[current].Status == environment.Completed
		if completed && healthy == len(f.state.Instances) && fmt.Sprint(of) == fmt.Sprint(map[string]int{current: healthy}) {
			return
		}
	}
}

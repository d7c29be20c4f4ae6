package planner

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/blox/blox/daemon-scheduler/environment"
)

// firstDeployment returns a fleet of n instances without tasks, and the environment's first deployment in progress.
func firstDeployment(t *testing.T, n int, spec environment.Spec) *fleet {
	t.Helper()
	f := newFleet(t, 1, n, spec)
	delete(f.state.Environment.Deployments, earlier)
	f.tasks, f.state.Tasks = map[string]environment.Task{}, nil
	return f
}

// begin plans, starts the planned tasks, and returns how many there were.
func (f *fleet) begin() (started int) {
	f.copyTasks(1)
	plan := Make(f.state)
	f.state.Environment, _ = f.state.Environment.RecordProgress(plan.Deployment, plan.Progress, f.state.Now)
	for _, a := range plan.Actions {
		started += oneIf(a.Kind == Start)
		f.do(a)
	}
	return started
}

// runAll lets all starting tasks run.
func (f *fleet) runAll() {
	for arn, task := range f.tasks {
		if task.LastStatus == "PENDING" {
			f.run(arn)
		}
	}
}

func TestSlowStart_DoublesTheBatchesOfAFirstDeployment(t *testing.T) {
	f := firstDeployment(t, 20, environment.Spec{})
	for _, want := range []int{1, 2, 4, 8, 5} {
		assert.Equal(t, want, f.begin())
		assert.Zero(t, f.begin(), "the next batch waits for the tasks of this one")
		f.runAll()
	}
	f.state.Instances = append(f.state.Instances, on(statusActive, "j1", "j2", "j3", "j4")...)
	assert.Equal(t, 4, f.begin())
	f.runAll()
	assert.Zero(t, f.begin())
	require.Equal(t, environment.Completed, f.state.Environment.Deployments[current].Status)
	f.state.Instances = append(f.state.Instances, on(statusActive, "k1", "k2", "k3", "k4")...)
	assert.Equal(t, 4, f.begin(), "a completed deployment starts its tasks at once")
}

func TestSlowStart_WaitsForTheTasksOfEarlierBatches(t *testing.T) {
	minimum := environment.Spec{}
	minimum.DeploymentConfiguration.MinimumHealthySeconds = 30
	off := false
	for name, tc := range map[string]struct {
		spec   environment.Spec
		change func(f *fleet) // after the first task was started
		want   int            // starts
		wait   string         // on another instance; empty: none
	}{
		"starting":      {change: func(*fleet) {}, wait: "Slow start: waiting until the tasks on 1 instance are ready."},
		"running":       {change: func(f *fleet) { f.runAll() }, want: 2},
		"not HEALTHY":   {change: func(f *fleet) { f.runAll(); f.setHealth("") }, wait: "Slow start: waiting"},
		"HEALTHY":       {change: func(f *fleet) { f.runAll(); f.setHealth(environment.HealthHealthy) }, want: 2},
		"not for long":  {spec: minimum, change: func(f *fleet) { f.runAll() }, wait: "Slow start: waiting"},
		"agent lost":    {change: func(f *fleet) { f.state.Instances[0].AgentConnected = false }, wait: "Slow start: waiting"},
		"agent gone":    {change: func(f *fleet) { f.loseAgent(0, time.Hour) }, want: 1},
		"draining":      {change: func(f *fleet) { f.state.Instances[0].Status = statusDraining }, want: 1},
		"stalled":       {change: func(f *fleet) { f.state.PendingFor = map[string]time.Duration{"t00021": time.Hour} }, want: 1},
		"paused":        {change: func(f *fleet) { f.runAll(); f.state.Environment.Paused = true }, wait: waitPaused},
		"switched off":  {spec: environment.Spec{DeploymentConfiguration: environment.DeploymentConfiguration{SlowStart: &off}}},
		"killed":        {change: func(f *fleet) { f.killAll() }, want: 1, wait: "Slow start: waiting"},
		"kept stopping": {change: func(f *fleet) { f.failFirst() }, want: 1},
	} {
		t.Run(name, func(t *testing.T) {
			f := firstDeployment(t, 20, tc.spec)
			if tc.change == nil {
				assert.Equal(t, 20, f.begin())
				return
			}
			require.Equal(t, 1, f.begin())
			tc.change(f)
			f.copyTasks(1)
			plan := Make(f.state)
			started := 0
			for _, a := range plan.Actions {
				started += oneIf(a.Kind == Start)
			}
			assert.Equal(t, tc.want, started)
			for _, w := range plan.Waits {
				if w.Instance == "i019" {
					assert.Contains(t, w.Reason, tc.wait)
				}
			}
		})
	}
}

// setHealth sets the health of all tasks.
func (f *fleet) setHealth(health environment.HealthStatus) {
	for arn, task := range f.tasks {
		task.HealthChecked, task.Health = true, health
		f.tasks[arn] = task
	}
}

// loseAgent disconnects the agent of the n-th instance since a while.
func (f *fleet) loseAgent(n int, ago time.Duration) {
	f.state.Instances[n].AgentConnected = false
	f.state.DisconnectedSince = map[string]time.Time{f.state.Instances[n].ARN: f.state.Now.Add(-ago)}
}

// killAll stops all tasks as a user does.
func (f *fleet) killAll() {
	f.runAll()
	for arn, task := range f.tasks {
		task.DesiredStatus, task.StopCode, task.StoppedReason = "STOPPED", "UserInitiated", "by hand"
		f.tasks[arn] = task
		f.die(arn)
	}
}

// failFirst makes the first task fail before it ran.
func (f *fleet) failFirst() {
	for arn := range f.tasks {
		f.die(arn)
	}
	f.begin() // records the failure
}

func TestSlowStart_FailuresHoldUpNoOtherInstances(t *testing.T) {
	f := firstDeployment(t, 20, environment.Spec{})
	f.full["i000"], f.full["i001"] = true, true
	for range 3 { // two instances without room for the task, and the first one with it
		assert.Equal(t, 1, f.begin())
	}
	f.runAll()
	for _, want := range []int{2, 4, 8, 3} {
		assert.Equal(t, want, f.begin())
		f.runAll()
	}
	f.begin()
	assert.Equal(t, environment.Completed, f.state.Environment.Deployments[current].Status)
}

// A definition whose tasks never run, or stop soon after they began to, reaches few of many instances until the circuit
// breaker trips.
func TestSlowStart_BadDefinitionStartsTensOfAThousand(t *testing.T) {
	for name, bad := range map[string]func(environment.Task) bool{
		"never runs":     func(environment.Task) bool { return true },
		"stops after 2s": func(t environment.Task) bool { return t.Running() && now.Add(-2*time.Second).After(t.StartedAt) },
	} {
		t.Run(name, func(t *testing.T) {
			spec := environment.Spec{}
			spec.DeploymentConfiguration.CircuitBreaker = environment.CircuitBreaker{Enable: true} // 200 of 1,000
			f := firstDeployment(t, 1000, spec)
			touched := map[string]bool{}
			for n := 0; f.state.Environment.Deployments[current].Rollout() == environment.RolloutInProgress; n++ {
				require.Less(t, n, 5000, "the circuit breaker does not trip")
				f.state.Now = f.state.Now.Add(time.Second)
				for arn, task := range f.tasks {
					sinceNow := task
					sinceNow.StartedAt = now.Add(task.StartedAt.Sub(f.state.Now))
					switch {
					case !task.Live():
					case bad(sinceNow):
						f.die(arn)
					case task.LastStatus == "PENDING":
						f.run(arn)
					}
					touched[task.Instance] = true
				}
				f.copyTasks(1)
				plan := Make(f.state)
				if plan.FailureReason != "" {
					f.state.Environment = f.state.Environment.FailAndPause(current, plan.FailureReason, f.state.Now)
				}
				f.state.Environment, _ = f.state.Environment.RecordProgress(plan.Deployment, plan.Progress, f.state.Now)
				for _, a := range plan.Actions {
					f.do(a)
				}
			}
			assert.LessOrEqual(t, len(touched), 100)
		})
	}
}

// Where the service's task has to stop first, its instance lacks a task from then on.
func TestSlowStart_LimitsATakeoverThatStopsFirst(t *testing.T) {
	e := takingOver(environment.StopFirst, environment.TakeoverMoving)
	d := e.Deployments["logs"]
	d.Status = environment.Running
	e.Deployments["logs"] = d
	none := 0
	e.Revisions = []environment.Revision{{Number: 1, Spec: environment.Spec{
		TaskDefinition: d.TaskDefinition, DeploymentConfiguration: percent(none, 100),
	}}}
	s := ReadinessState{
		Cluster: "arn:cluster/prod", Fresh: true, Now: now, ConfirmTimeout: time.Minute,
		Environments: []environment.Environment{e},
	}
	for n := range 20 {
		s.Instances = append(s.Instances, active(fmt.Sprintf("i%02d", n)))
	}
	for _, want := range []int{1, 2, 4, 8, 5} {
		plan := PlanReadiness(s)
		assert.Len(t, plan.Set, want)
		for _, a := range plan.Set {
			a.State = environment.AttributeSet
			s.Attributes = append(s.Attributes, a)
		}
		assert.Empty(t, PlanReadiness(s).Set, "their tasks do not run yet")
		for _, a := range plan.Set {
			s.Tasks = append(s.Tasks, at(a.Instance, task("t of "+a.Instance, "logs", "RUNNING")))
		}
	}
	s.Tasks = nil
	s.Launches = map[string]map[string]environment.Launch{"logs": {}}
	s.Attributes = s.Attributes[:1]
	refused := failedLaunch("RESOURCE:MEMORY", 1, 0)
	s.Launches["logs"][s.Attributes[0].Instance] = refused
	assert.Len(t, PlanReadiness(s).Set, 1, "another instance takes the place of one that failed")
}

func TestSlowStart_DryRunShowsTheBatches(t *testing.T) {
	f := firstDeployment(t, 20, environment.Spec{})
	batches := map[int]int{}
	for _, step := range DryRun(f.state) {
		require.Equal(t, "start", step.Action)
		batches[step.Batch]++
	}
	assert.Equal(t, map[int]int{1: 1, 2: 2, 3: 4, 4: 8, 5: 5}, batches)
}

// The deployment after a first one that failed replaces its tasks slowly, too.
func TestSlowStart_CoversTheDeploymentAfterAFailedFirstOne(t *testing.T) {
	f := newFleet(t, 1, 20, environment.Spec{DeploymentConfiguration: percent(0, 100)})
	d := f.state.Environment.Deployments[earlier]
	d.RolloutState = environment.RolloutStopped
	f.state.Environment.Deployments[earlier] = d
	for _, want := range []int{1, 2, 4, 8, 5} {
		stopped := 0
		for _, a := range Make(f.state).Actions {
			stopped += oneIf(a.Kind == Stop)
			f.do(a)
		}
		assert.Equal(t, want, stopped)
		for arn, task := range f.tasks {
			if task.Stopping() {
				f.die(arn)
			}
		}
		assert.Equal(t, want, f.begin())
		f.runAll()
		f.copyTasks(1)
	}
}

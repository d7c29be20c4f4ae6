package planner

import (
	"fmt"
	"testing"
	"time"

	"github.com/go-openapi/swag/conv"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/blox/blox/daemon-scheduler/environment"
)

func TestRollout_KeepsToItsPercentages(t *testing.T) {
	for name, tc := range map[string]struct {
		configuration environment.DeploymentConfiguration
		lack, double  int // of 40
	}{
		"as by default":         {environment.DeploymentConfiguration{}, 4, 0},
		"half at a time":        {percent(50, 100), 20, 0},
		"all at once":           {percent(0, 100), 40, 0},
		"one at a time":         {percent(100, 100), 1, 0},
		"start first":           {percent(100, 150), 0, 20},
		"start first, all":      {percent(0, 200), 0, 40},
		"start first, the rest": {percent(90, 101), 0, 1},
		"three at a time":       {environment.DeploymentConfiguration{MaxUnavailableCount: 3}, 3, 0},
		"start first, three": {
			environment.DeploymentConfiguration{MaxUnavailableCount: 1, MaxSurgeCount: conv.Pointer(3)}, 0, 3,
		},
	} {
		t.Run(name, func(t *testing.T) {
			for seed := range seeds(8) {
				f := newFleet(t, seed, 40, environment.Spec{DeploymentConfiguration: tc.configuration})
				lacked, doubled := 0, 0
				for n := 0; ; n++ {
					require.Less(t, n, 1000, "it does not end")
					f.step()
					up, twice, of := f.running()
					require.GreaterOrEqual(t, up, 40-tc.lack, "seed %d", seed)
					require.LessOrEqual(t, twice, tc.double, "seed %d", seed)
					lacked, doubled = max(lacked, 40-up), max(doubled, twice)
					if f.state.Environment.Deployments[current].Status == environment.Completed {
						require.Equal(t, 40, of[current])
						break
					}
				}
				for range 20 {
					f.step()
				}
				_, _, of := f.running()
				require.Equal(t, map[string]int{current: 40}, of)
				assert.Positive(t, lacked+doubled)
			}
		})
	}
}

// Instances that had no task before the rollout do not use up its budget, and their failures do not count.
func TestRollout_IgnoresInstancesThatHadNoTask(t *testing.T) {
	spec := environment.Spec{}
	spec.DeploymentConfiguration.CircuitBreaker = environment.CircuitBreaker{Enable: true, Rollback: true}
	f := newFleet(t, 1, 40, spec)
	for i := range 10 {
		arn := fmt.Sprintf("i%03d", 4*i)
		f.full[arn] = true
		for task := range f.tasks {
			if f.tasks[task].Instance == arn {
				delete(f.tasks, task) // it died long ago
			}
		}
	}
	f.state.Tasks = nil
	f.copyTasks(1)
	for n := 0; f.state.Environment.Deployments[current].Status != environment.Completed; n++ {
		require.Less(t, n, 1000, "it does not end")
		f.step()
		up, _, _ := f.running()
		require.GreaterOrEqual(t, up, 40-10-4)
	}
	assert.Equal(t, environment.RolloutCompleted, f.state.Environment.Deployments[current].Rollout())
	_, _, of := f.running()
	assert.Equal(t, map[string]int{current: 30}, of)
}

// countStops returns the number of tasks that a plan stops on a fleet of 20 instances, of which 2 may be unavailable.
func countStops(f *fleet) (stops int) {
	f.copyTasks(1)
	for _, a := range Make(f.state).Actions {
		if a.Kind == Stop {
			stops++
		}
	}
	return stops
}

// The first instance of the fleet has lost its task. If it counts as unavailable, only one more may be stopped.
func TestBudget_CountsUnavailableInstances(t *testing.T) {
	const lost = "t00001" // on i000
	stopped := func(f *fleet, at time.Time, reason string) {
		task := f.tasks[lost]
		task.LastStatus, task.DesiredStatus, task.StoppedAt, task.StoppedReason = "STOPPED", "STOPPED", at, reason
		f.tasks[lost] = task
	}
	another := func(f *fleet) { // takes the place of the deployment in progress
		e, err := f.state.Environment.Update(
			environment.Spec{TaskDefinition: "arn:td:3"},
			token2,
			foreign,
			now.Add(time.Second),
		)
		assert.NoError(t, err)
		f.state.Environment, err = e.Deploy(newest, foreign, now.Add(time.Second))
		assert.NoError(t, err)
	}
	launched := func(f *fleet, deployment string, state environment.LaunchState, ago time.Duration) environment.Launch {
		l := environment.Launch{
			Instance:   "i000",
			Deployment: deployment,
			State:      state,
			Attempts:   1,
			NotAfter:   now.Add(environment.LaunchWindow - ago),
		}
		f.state.Launches["i000"] = l
		return l
	}
	createdAt := func(f *fleet, at time.Time) {
		d := f.state.Environment.Deployments[current]
		d.StartTime = at
		f.state.Environment.Deployments[current] = d
	}
	ours := ReasonSuperseded.Message("logs")
	for name, tc := range map[string]struct {
		arrange func(f *fleet)
		want    int
	}{
		"none has":       {func(*fleet) {}, 2},
		"lost before it": {func(f *fleet) { stopped(f, now.Add(-time.Second), "it crashed") }, 2},
		"lost since": {func(f *fleet) {
			f.start("i019", current)
			stopped(f, now.Add(time.Second), "it crashed")
		}, 1},
		"stopped by it, by a clock behind": {func(f *fleet) { stopped(f, now.Add(-time.Minute), ours) }, 1},
		"stopped by a rollout of another day": {func(f *fleet) {
			f.state.Environment.Deployments[foreign] = environment.Deployment{ID: foreign, Status: environment.Completed}
			task := f.tasks[lost]
			task.StartedBy = foreign
			f.tasks[lost] = task
			stopped(f, now.Add(-time.Hour), ours)
		}, 2},
		"stopped by the one before": {func(f *fleet) { stopped(f, now, ours); another(f) }, 1},
		"stopped by it, where an older launch is noted": {func(f *fleet) {
			stopped(f, now.Add(time.Second), ours)
			another(f)
			launched(f, foreign, environment.LaunchFailed, 2*time.Hour)
		}, 1},
		"being started by the one before": {func(f *fleet) {
			delete(f.tasks, lost)
			launched(f, current, environment.LaunchOpen, time.Second)
			another(f)
		}, 1},
		"never had one": {func(f *fleet) {
			delete(f.tasks, lost)
			l := launched(f, current, environment.LaunchFailed, time.Second)
			l.HadNoTask = true
			f.state.Launches["i000"] = l
		}, 2},
		"stopping, while its agent is away": {func(f *fleet) {
			task := f.tasks[lost]
			task.DesiredStatus = "STOPPED"
			f.tasks[lost] = task
			f.state.Instances[0].AgentConnected = false
		}, 1},
		"stopping, after it ran": {func(f *fleet) {
			task := f.tasks[lost]
			task.LastStatus, task.DesiredStatus, task.StartedAt = "DEACTIVATING", "STOPPED", now.Add(-time.Hour)
			f.tasks[lost] = task
		}, 1},
		"stopping, before it ever ran": {func(f *fleet) {
			task := f.tasks[lost]
			task.LastStatus, task.DesiredStatus, task.StartedAt = "STOPPING", "STOPPED", time.Time{}
			f.tasks[lost] = task
		}, 2},
		"runs the new one for a moment": {func(f *fleet) {
			delete(f.tasks, lost)
			l := launched(f, current, environment.LaunchStarted, time.Second)
			l.Task = f.start("i000", current)
			f.run(l.Task)
			f.state.Launches["i000"] = l
		}, 1},
		"runs the new one for longer": {func(f *fleet) {
			delete(f.tasks, lost)
			l := launched(f, current, environment.LaunchStarted, time.Second)
			l.Task = f.start("i000", current)
			f.run(l.Task)
			f.state.Launches["i000"] = l
			f.copyTasks(1)
			f.state.Now = now.Add(2 * time.Second)
		}, 2},
		"runs the new one for longer, and some have failed": {func(f *fleet) {
			delete(f.tasks, lost)
			l := launched(f, current, environment.LaunchStarted, time.Second)
			l.Task = f.start("i000", current)
			f.run(l.Task)
			l.Attempts, l.Failures, l.TaskFailures = 4, 3, 3
			f.state.Launches["i000"] = l
			f.copyTasks(1)
			f.state.Now = now.Add(7 * time.Second)
		}, 1},
		"runs the new one for longer, after ECS refused to start it": {func(f *fleet) {
			delete(f.tasks, lost)
			l := launched(f, current, environment.LaunchStarted, time.Second)
			l.Task = f.start("i000", current)
			f.run(l.Task)
			l.Attempts, l.Failures = 4, 3
			f.state.Launches["i000"] = l
			f.copyTasks(1)
			f.state.Now = now.Add(2 * time.Second)
		}, 2},
		"runs the new one for a moment, by a clock of ECS that is behind": {func(f *fleet) {
			delete(f.tasks, lost)
			l := launched(f, current, environment.LaunchStarted, time.Second)
			f.skew = time.Hour
			l.Task = f.start("i000", current)
			f.run(l.Task)
			f.state.Launches["i000"] = l
		}, 1},
		"runs the new one for longer, by a clock of ECS that is ahead": {func(f *fleet) {
			delete(f.tasks, lost)
			l := launched(f, current, environment.LaunchStarted, time.Second)
			f.skew = -time.Hour
			l.Task = f.start("i000", current)
			f.run(l.Task)
			f.state.Launches["i000"] = l
			f.copyTasks(1)
			f.state.Now = now.Add(2 * time.Second)
		}, 2},
		"lost since, by a deployment's clock that is ahead": {func(f *fleet) {
			f.start("i019", current)
			stopped(f, now.Add(time.Second), "it crashed")
			createdAt(f, now.Add(time.Hour))
		}, 1},
		"lost before it, by a deployment's clock that is behind": {func(f *fleet) {
			f.start("i019", current)
			stopped(f, now.Add(-time.Second), "it crashed")
			createdAt(f, now.Add(-time.Hour))
		}, 2},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFleet(t, 1, 20, environment.Spec{})
			tc.arrange(f)
			f.state.Tasks = nil // and copied anew
			assert.Equal(t, tc.want, countStops(f))
		})
	}
}

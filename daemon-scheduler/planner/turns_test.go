package planner

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/blox/blox/daemon-scheduler/environment"
)

// turns is how many instances of a fleet, 20 of which 2 may be without a running task, a plan takes their task from.
func turns(f *fleet) (stops int) {
	f.observe(1)
	for _, a := range Make(f.state).Actions {
		if a.Kind == Stop {
			stops++
		}
	}
	return stops
}

// What counts among the instances that a rollout has without a running task: here the first of the fleet has lost its own.
func TestWhatCountsAgainstARollout(t *testing.T) {
	const lost = "t00001" // on i000
	stopped := func(f *fleet, at time.Time, reason string) {
		task := f.tasks[lost]
		task.LastStatus, task.DesiredStatus, task.StoppedAt, task.StoppedReason = "STOPPED", "STOPPED", at, reason
		f.tasks[lost] = task
	}
	another := func(f *fleet) { // takes the place of the deployment in progress
		e, err := f.state.Environment.Update(environment.Spec{TaskDefinition: "arn:td:3"}, token2, foreign, now.Add(time.Second))
		assert.NoError(t, err)
		f.state.Environment, err = e.Deploy(newest, foreign, now.Add(time.Second))
		assert.NoError(t, err)
	}
	launched := func(f *fleet, deployment string, state environment.LaunchState, ago time.Duration) environment.Launch {
		l := environment.Launch{Instance: "i000", Deployment: deployment, State: state, Attempts: 1, NotAfter: now.Add(environment.LaunchWindow - ago)}
		f.state.Launches["i000"] = l
		return l
	}
	ours := ReasonSuperseded.Message("logs")
	for name, tc := range map[string]struct {
		so   func(f *fleet)
		want int
	}{
		"none has":                            {func(*fleet) {}, 2},
		"lost before it":                      {func(f *fleet) { stopped(f, now.Add(-time.Second), "it crashed") }, 2},
		"lost since":                          {func(f *fleet) { stopped(f, now.Add(time.Second), "it crashed") }, 1},
		"stopped by it, by a clock behind":    {func(f *fleet) { stopped(f, now.Add(-time.Minute), ours) }, 1},
		"stopped by a rollout of another day": {func(f *fleet) { stopped(f, now.Add(-time.Hour), ours) }, 2},
		"stopped by the one before":           {func(f *fleet) { stopped(f, now, ours); another(f) }, 1},
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
			f.state.Now = now.Add(2 * time.Second)
		}, 2},
		"runs the new one for longer, and some have failed": {func(f *fleet) {
			delete(f.tasks, lost)
			l := launched(f, current, environment.LaunchStarted, time.Second)
			l.Task = f.start("i000", current)
			f.run(l.Task)
			l.Attempts = 4
			f.state.Launches["i000"] = l
			f.state.Now = now.Add(7 * time.Second)
		}, 1},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFleet(t, 1, 20, environment.Spec{})
			tc.so(f)
			f.state.Tasks = nil // and seen anew
			assert.Equal(t, tc.want, turns(f))
		})
	}
}

// Nobody knows of a StartTask that was not answered whether the deployment is to blame.
func TestUnansweredStartsFailNoDeployment(t *testing.T) {
	spec := environment.Spec{}
	spec.DeploymentConfiguration.CircuitBreaker = environment.CircuitBreaker{Enable: true, Threshold: 3}
	f := newFleet(t, 1, 20, spec)
	for i := range 10 {
		l := environment.Launch{Instance: fmt.Sprintf("i%03d", i), Deployment: current, State: environment.LaunchOpen, Attempts: 1, NotAfter: now.Add(-time.Hour)}
		f.state.Launches[l.Instance] = ConfirmLaunch(l, nil, now)
	}
	assert.Empty(t, Make(f.state).FailureReason)
	for arn, l := range f.state.Launches {
		f.state.Launches[arn] = FailedLaunch(l, "RESOURCE:CPU", "", now)
	}
	assert.Equal(t, "Circuit breaker tripped: 10 failures (threshold 3). First: RESOURCE:CPU on i000", Make(f.state).FailureReason)
}

// While the first deployment of all is in progress no instance had a task before, so all that fails is its own.
func TestTheFirstDeploymentCanFail(t *testing.T) {
	e := environment.Create("logs", "arn:cluster", token1, environment.Spec{TaskDefinition: "arn:td:1", DeploymentConfiguration: environment.DeploymentConfiguration{
		CircuitBreaker: environment.CircuitBreaker{Enable: true, Rollback: true, Threshold: 2},
	}}, now)
	e, err := e.Deploy(current, token1, now)
	assert.NoError(t, err)
	l := FailedLaunch(environment.Launch{Instance: "i1", Deployment: current, Attempts: 2, HadNoTask: true}, "RESOURCE:CPU", "", now)
	s := State{Environment: e, Launches: map[string]environment.Launch{"i1": l}, Fresh: true, Instances: []environment.Instance{active("i1")}, Now: now, StartConfirmTimeout: settle}
	assert.Equal(t, "Circuit breaker tripped: 2 failures (threshold 2). First: RESOURCE:CPU on i1", Make(s).FailureReason)
}

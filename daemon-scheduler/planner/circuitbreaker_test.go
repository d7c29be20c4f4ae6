package planner

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/blox/blox/daemon-scheduler/environment"
)

func TestCircuitBreaker_StopsAndRollsBackABadDeployment(t *testing.T) {
	for _, rollback := range []bool{true, false} {
		t.Run(fmt.Sprint("rollback ", rollback), func(t *testing.T) {
			spec := environment.Spec{}
			spec.DeploymentConfiguration.CircuitBreaker = environment.CircuitBreaker{
				Enable:    true,
				Rollback:  rollback,
				Threshold: 6,
			}
			f := newFleet(t, 3, 40, spec)
			f.bad = func(deployment, _ string) bool { return deployment == current }
			for n := 0; f.state.Environment.Deployments[current].Rollout() == environment.RolloutInProgress; n++ {
				require.Less(t, n, 1000, "it does not end")
				f.step()
				up, _, _ := f.running()
				require.GreaterOrEqual(t, up, 36, "the minimum holds for bad deployments too")
			}
			failed := f.state.Environment.Deployments[current]
			assert.Equal(t, environment.RolloutFailed, failed.Rollout())
			assert.Contains(t, failed.RolloutStateReason, "Circuit breaker tripped: ")
			assert.Contains(t, failed.RolloutStateReason, " failures (threshold 6). First: STOPPED on i0")
			assert.GreaterOrEqual(t, failed.FailedTasks, 0)
			if !rollback {
				assert.True(t, f.state.Environment.Paused)
				for range 100 {
					f.step()
				}
				up, _, of := f.running()
				assert.Equal(t, 40, up, "instances without a task get the previous deployment")
				assert.Zero(t, of[current])
				return
			}
			for n := 0; f.state.Environment.Deployments[newest].Status != environment.Completed; n++ {
				require.Less(t, n, 1000, "it does not go back")
				f.step()
				up, _, _ := f.running()
				require.GreaterOrEqual(t, up, 36)
			}
			up, _, of := f.running()
			assert.Equal(t, 40, up)
			assert.Zero(t, of[current])
			assert.GreaterOrEqual(t, of[earlier], 36, "tasks of the restored revision stay")
		})
	}
}

// An unanswered StartTask does not show that the deployment is at fault.
func TestCircuitBreaker_IgnoresUnansweredStarts(t *testing.T) {
	spec := environment.Spec{}
	spec.DeploymentConfiguration.CircuitBreaker = environment.CircuitBreaker{Enable: true, Threshold: 3}
	f := newFleet(t, 1, 20, spec)
	for i := range 10 {
		l := environment.Launch{
			Instance:   fmt.Sprintf("i%03d", i),
			Deployment: current,
			State:      environment.LaunchOpen,
			Attempts:   1,
			NotAfter:   now.Add(-time.Hour),
		}
		f.state.Launches[l.Instance] = ConfirmLaunch(l, nil, now)
	}
	assert.Empty(t, Make(f.state).FailureReason)
	for arn, l := range f.state.Launches {
		f.state.Launches[arn] = FailedLaunch(l, "RESOURCE:CPU", "", now)
	}
	assert.Equal(
		t,
		"Circuit breaker tripped: 10 failures (threshold 3). First: RESOURCE:CPU on i000",
		Make(f.state).FailureReason,
	)
}

// During the first deployment, no instance had a task before, so every failure counts.
func TestCircuitBreaker_CountsEveryFailureOfTheFirstDeployment(t *testing.T) {
	e := environment.Create(
		"logs",
		"arn:cluster",
		token1,
		environment.Spec{TaskDefinition: "arn:td:1", DeploymentConfiguration: environment.DeploymentConfiguration{
			CircuitBreaker: environment.CircuitBreaker{Enable: true, Rollback: true, Threshold: 2},
		}},
		now,
	)
	e, err := e.Deploy(current, token1, now)
	assert.NoError(t, err)
	l := FailedLaunch(
		environment.Launch{Instance: "i1", Deployment: current, Attempts: 2, Failures: 1, HadNoTask: true},
		"RESOURCE:CPU",
		"",
		now,
	)
	s := State{
		Environment:         e,
		Launches:            map[string]environment.Launch{"i1": l},
		Fresh:               true,
		Instances:           []environment.Instance{active("i1")},
		Now:                 now,
		StartConfirmTimeout: confirmTimeout,
	}
	assert.Equal(t, "Circuit breaker tripped: 2 failures (threshold 2). First: RESOURCE:CPU on i1", Make(s).FailureReason)
}

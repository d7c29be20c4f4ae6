package environment

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const (
	third  = "33333333-3333-4333-8333-333333333333"
	token3 = "cccccccc-cccc-4ccc-8ccc-cccccccccccc"
)

// must returns the result of a transition that has to succeed.
func must(t *testing.T) func(Environment, error) Environment {
	return func(e Environment, err error) Environment {
		t.Helper()
		require.NoError(t, err)
		return e
	}
}

func completed(e Environment, id string, at time.Time) Environment {
	e, _ = e.RecordProgress(id, Progress{Status: Completed}, at)
	return e
}

// updated returns an environment with the deployment first of revision 1 completed, and second of revision 2, with
// spec, pending.
func updated(t *testing.T, spec Spec) Environment {
	t.Helper()
	ok := must(t)
	e := Create("logs", "arn:cluster", token1, Spec{TaskDefinition: "arn:td:1"}, now)
	e = completed(ok(e.Deploy(first, token1, now)), first, now)
	spec.TaskDefinition = "arn:td:2"
	e = ok(e.Update(spec, token1, token2, now.Add(time.Minute)))
	return ok(e.Deploy(second, token2, now.Add(2*time.Minute)))
}

func breaker(rollback bool) Spec {
	return Spec{
		DeploymentConfiguration: DeploymentConfiguration{CircuitBreaker: CircuitBreaker{Enable: true, Rollback: rollback}},
	}
}

func TestDeploy_SupersedesADeploymentOfAnEarlierRevision(t *testing.T) {
	e := must(t)(updated(t, Spec{}).Update(Spec{TaskDefinition: "arn:td:3"}, token2, token3, now))
	e = must(t)(e.Deploy(third, token3, now.Add(time.Hour)))
	assert.Equal(t, RolloutStopped, e.Deployments[second].Rollout())
	assert.Equal(t, "Superseded by a deployment of revision 3.", e.Deployments[second].RolloutStateReason)
	current, _ := e.Current()
	assert.Equal(t, third, current.ID)
	assert.Equal(t, 3, current.Revision)
	assert.Equal(t, PhaseDeploying, e.Phase())
}

func TestStop_RollsBackOrAborts(t *testing.T) {
	t.Run("ROLLBACK rolls back", func(t *testing.T) {
		e := must(t)(updated(t, Spec{}).Stop(second, StopRollback, third, now.Add(time.Hour)))
		assert.Equal(t, RolloutStopped, e.Deployments[second].Rollout())
		assert.Equal(t, now.Add(time.Hour), e.Deployments[second].EndTime)
		current, _ := e.Current()
		assert.Equal(t, Deployment{
			ID:               third,
			TaskSettingsHash: TaskSettings{}.hash(),
			TaskDefinition:   "arn:td:1",
			StartTime:        now.Add(time.Hour),
			Sequence:         3,
			Revision:         1,
			RolloutState:     RolloutInProgress,
			RollbackOf:       second,
		}, current)
		assert.True(t, e.Adopts(current, first), "the tasks are of the same revision")
		assert.False(t, e.Adopts(current, second))
		assert.False(t, e.Adopts(current, third), "a deployment does not adopt its own tasks")
		assert.Equal(t, third, e.PendingDeploymentID)
	})
	t.Run("ABORT keeps the tasks and pauses", func(t *testing.T) {
		e := must(t)(updated(t, Spec{}).Stop(second, StopAbort, third, now))
		assert.Equal(t, PhasePaused, e.Phase())
		assert.Equal(t, second, e.PausedBy)
		assert.NotContains(t, e.Deployments, third)
		current, _ := e.Current()
		assert.Equal(t, first, current.ID, "the newest completed deployment is current")
		again := must(t)(e.Stop(second, StopRollback, third, now))
		assert.Equal(t, e, again, "stopping an ended deployment changes nothing")

		rollback := must(t)(e.Rollback(third, now))
		assert.False(t, rollback.Paused)
		assert.Equal(t, second, rollback.Deployments[third].RollbackOf)
		assert.Equal(t, 1, rollback.Deployments[third].Revision)

		update := Spec{TaskDefinition: "arn:td:3"}
		resumed := must(t)(must(t)(e.Update(update, token2, token3, now)).Deploy(third, token3, now))
		assert.False(t, resumed.Paused, "the next deployment ends the pause")
		paused := must(t)(must(t)(e.Pause(now)).Update(update, token2, token3, now))
		resumed = must(t)(paused.Deploy(third, token3, now))
		assert.True(t, resumed.Paused, "a pause by the user outlasts the next deployment")
	})
	t.Run("no deployment to roll back to", func(t *testing.T) {
		e := must(t)(New("logs", "", "arn:td:1", token1).Deploy(first, token1, now))
		same, err := e.Stop(first, StopRollback, third, now)
		assert.ErrorIs(t, err, ErrNoRollbackTarget)
		assert.Equal(t, e, same)
		e = must(t)(e.Stop(first, StopAbort, third, now))
		_, deployed := e.Current()
		assert.False(t, deployed)
		_, err = e.Rollback(third, now)
		assert.ErrorIs(t, err, ErrNoRollbackTarget)
		assert.Equal(t, PhaseInactive, must(t)(e.Resume()).Phase())
	})
	_, err := updated(t, Spec{}).Stop("none", StopAbort, third, now)
	assert.ErrorIs(t, err, ErrDeploymentNotFound)
}

func TestFail_RollsBackOrPauses(t *testing.T) {
	e := updated(t, breaker(true)).Fail(second, "3 tasks failed.", third, allActive, now.Add(time.Hour))
	assert.Equal(t, RolloutFailed, e.Deployments[second].Rollout())
	assert.Equal(t, "3 tasks failed.", e.Deployments[second].RolloutStateReason)
	assert.Equal(t, second, e.Deployments[third].RollbackOf)
	assert.False(t, e.Paused)
	same, changed := e.RecordProgress(second, Progress{Status: Completed}, now)
	assert.False(t, changed, "a failed deployment does not change")
	assert.Equal(t, e, same)
	assert.Equal(t, e, e.Fail(second, "again", "x", allActive, now))

	e = updated(t, breaker(false)).Fail(second, "3 tasks failed.", third, allActive, now)
	assert.Equal(t, second, e.PausedBy)
	assert.NotContains(t, e.Deployments, third)

	single := must(t)(Create("logs", "", token1, breaker(true), now).Deploy(first, token1, now))
	assert.True(t, single.Fail(first, "", third, allActive, now).Paused, "there is no deployment to roll back to")
}

// allActive reports that ECS has every task definition as ACTIVE.
func allActive(string) bool { return true }

func TestFail_RollsBackToAnActiveTaskDefinition(t *testing.T) {
	e := completed(updated(t, breaker(true)), second, now)
	spec := breaker(true)
	spec.TaskDefinition = "arn:td:3"
	e = must(t)(must(t)(e.Update(spec, token2, token3, now)).Deploy(third, token3, now))
	assert.Equal(t, []string{"arn:td:2", "arn:td:1"}, e.RollbackDefinitions(third))
	for name, tc := range map[string]struct {
		inactive []string
		want     string // the task definition that the rollback returns to; empty: the environment is paused
	}{
		"the newest is active":   {nil, "arn:td:2"},
		"the newest is inactive": {[]string{"arn:td:2"}, "arn:td:1"},
		"none is active":         {[]string{"arn:td:1", "arn:td:2"}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			isActive := func(definition string) bool { return !slices.Contains(tc.inactive, definition) }
			failed := e.Fail(third, "3 tasks failed.", "back", isActive, now)
			assert.Equal(t, RolloutFailed, failed.Deployments[third].Rollout())
			assert.Equal(t, tc.want, failed.Deployments["back"].TaskDefinition)
			assert.Equal(t, tc.want == "", failed.Paused)
			reason := "3 tasks failed."
			if tc.want == "" {
				reason += " Blox cannot roll back: the task definition of no completed deployment is ACTIVE."
			}
			assert.Equal(t, reason, failed.Deployments[third].RolloutStateReason)
		})
	}
	assert.Empty(t, updated(t, breaker(false)).RollbackDefinitions(second), "the environment is paused instead")
}

func TestRollback_ReturnsToTheNewestCompletedDeployment(t *testing.T) {
	e := updated(t, Spec{})
	duringRollout := must(t)(e.Rollback(third, now.Add(time.Hour)))
	assert.Equal(t, RolloutStopped, duringRollout.Deployments[second].Rollout())
	assert.Equal(t, second, duringRollout.Deployments[third].RollbackOf)
	assert.Equal(t, token2, duringRollout.Token, "a rollback uses no token")

	e = completed(e, second, now.Add(time.Hour))
	e = must(t)(e.Rollback(third, now.Add(2*time.Hour)))
	assert.Equal(t, RolloutCompleted, e.Deployments[second].Rollout())
	assert.Equal(t, 1, e.Deployments[third].Revision)
	assert.Equal(t, e, must(t)(e.Rollback("x", now.Add(3*time.Hour))), "a second request does not roll back again")
	reverted := must(t)(e.Stop(third, StopRollback, "x", now.Add(3*time.Hour)))
	assert.Equal(t, 2, reverted.Deployments["x"].Revision, "stopping a rollback returns to the deployment before it")
	e = completed(e, third, now.Add(3*time.Hour))
	assert.Equal(t, 2, must(t)(e.Rollback("x", now.Add(4*time.Hour))).Deployments["x"].Revision)
	_, err := e.Delete(now).Rollback("x", now)
	assert.ErrorIs(t, err, ErrDeleting)
}

// Rollback reverts a failed or stopped deployment whether or not the environment is paused.
func TestRollback_RevertsAnUnsuccessfulDeployment(t *testing.T) {
	e := completed(updated(t, breaker(false)), second, now.Add(time.Hour))
	e = must(t)(e.Update(Spec{TaskDefinition: "arn:td:3"}, token2, token3, now.Add(2*time.Hour)))
	e = must(t)(e.Deploy(third, token3, now.Add(3*time.Hour)))
	abort := func(e Environment) (Environment, error) { return e.Stop(third, StopAbort, "", now.Add(4*time.Hour)) }
	pause := func(e Environment) (Environment, error) { return e.Pause(now) }
	fail := func(e Environment) (Environment, error) {
		return e.Fail(third, "3 tasks failed.", "", allActive, now.Add(4*time.Hour)), nil
	}
	type step = func(Environment) (Environment, error)
	for name, steps := range map[string][]step{
		"aborted":                  {abort},
		"paused, aborted":          {pause, abort},
		"aborted, paused":          {abort, pause},
		"aborted, paused, resumed": {abort, pause, Environment.Resume},
		"failed, paused":           {fail, pause},
	} {
		t.Run(name, func(t *testing.T) {
			e := e
			for _, step := range steps {
				e = must(t)(step(e))
			}
			rollback := must(t)(e.Rollback("back", now.Add(5*time.Hour))).Deployments["back"]
			assert.Equal(t, 2, rollback.Revision, "the newest completed revision")
			assert.Equal(t, third, rollback.RollbackOf)
		})
	}
}

func TestTrimUnstarted_RemovesTheOldest(t *testing.T) {
	e := must(t)(completed(updated(t, Spec{}), second, now.Add(time.Hour)).Pause(now))
	for n := range 10 * maxUnstarted {
		at, id := now.Add(time.Duration(2+n)*time.Hour), fmt.Sprint("rollback", n)
		e = must(t)(e.Rollback(id, at))
		e = must(t)(e.Stop(id, StopAbort, "", at.Add(time.Minute)))
		e = e.TrimUnstarted(func(id string) bool { return id == "rollback3" })
	}
	assert.Len(t, e.Deployments, 2+maxUnstarted+1)
	for _, id := range []string{first, second, "rollback3", fmt.Sprint("rollback", 10*maxUnstarted-1)} {
		assert.Contains(t, e.Deployments, id)
	}
	_, err := e.Deploy("x", token2, now)
	assert.ErrorIs(t, err, ErrTokenUsed)
}

func TestPromote_ContinuesACanary(t *testing.T) {
	e := updated(t, Spec{DeploymentConfiguration: DeploymentConfiguration{Canary: &Canary{Percent: 10}}})
	assert.True(t, e.HasCanary(e.Deployments[second]))
	assert.False(t, e.HasCanary(e.Deployments[first]))
	promoted := must(t)(e.Promote(second))
	assert.True(t, promoted.Deployments[second].Promoted)
	assert.False(t, e.Deployments[second].Promoted, "environments are values")
	assert.Equal(t, promoted, must(t)(promoted.Promote(second)))
	for id, want := range map[string]error{first: ErrNoCanary, "none": ErrDeploymentNotFound} {
		_, err := e.Promote(id)
		assert.ErrorIs(t, err, want)
	}
	_, err := must(t)(e.Stop(second, StopAbort, "", now)).Promote(second)
	assert.ErrorIs(t, err, ErrNoCanary)
}

func TestPhase_FollowsPauseAndDelete(t *testing.T) {
	e := updated(t, Spec{})
	paused := must(t)(e.Pause(now))
	assert.Equal(t, PhasePaused, paused.Phase())
	assert.Equal(t, paused, must(t)(paused.Pause(now.Add(time.Hour))))
	assert.Equal(t, e, must(t)(paused.Resume()))
	assert.Equal(t, e, must(t)(e.Resume()))

	deleted := paused.Delete(now)
	assert.Equal(t, PhaseDeleting, deleted.Phase())
	assert.Equal(t, RolloutStopped, deleted.Deployments[second].Rollout())
	assert.False(t, deleted.Paused)
	assert.Equal(t, deleted, deleted.Delete(now.Add(time.Hour)))
	_, err := deleted.Pause(now)
	assert.ErrorIs(t, err, ErrDeleting)
	_, err = deleted.Deploy(third, token2, now)
	assert.ErrorIs(t, err, ErrTokenUsed)
	_, err = deleted.Stop(second, StopAbort, third, now)
	assert.EqualError(t, err, "Environment logs is being deleted")
}

func TestRecordProgress_RecordsFailuresAndBakeStart(t *testing.T) {
	e, changed := updated(t, Spec{}).RecordProgress(second, Progress{Status: Running, FailedTasks: 2}, now)
	assert.True(t, changed)
	assert.Equal(t, now, e.Deployments[second].RolloutStartedAt)
	_, changed = e.RecordProgress(second, Progress{Status: Running, FailedTasks: 1}, now)
	assert.False(t, changed)
	e, changed = e.RecordProgress(second, Progress{Status: Running, Baking: true}, now.Add(time.Minute))
	assert.True(t, changed)
	assert.Equal(t, now.Add(time.Minute), e.Deployments[second].BakeStartedAt)
	_, changed = e.RecordProgress(second, Progress{Status: Running, Baking: true}, now.Add(time.Hour))
	assert.False(t, changed)
	e = completed(e, second, now.Add(time.Hour))
	assert.Equal(t, RolloutCompleted, e.Deployments[second].RolloutState)
	assert.Equal(t, 2, e.Deployments[second].FailedTasks)
}

func TestRollout_OfOtherVersions(t *testing.T) {
	completedByV03 := Deployment{Status: Completed, RolloutState: RolloutInProgress}
	assert.Equal(t, RolloutCompleted, completedByV03.Rollout(), "an earlier version completed it")
	assert.Equal(t, RolloutInProgress, Deployment{Status: Running}.Rollout())
}

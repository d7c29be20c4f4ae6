package environment

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

func TestDeploymentPhase_FollowsTheDeployment(t *testing.T) {
	created := now.Add(2 * time.Minute)
	phase := func(e Environment) (DeploymentPhase, time.Time) {
		d, found := e.InProgress()
		assert.True(t, found)
		return e.DeploymentPhase(d)
	}
	assertPhase := func(e Environment, want DeploymentPhase, since time.Time) {
		t.Helper()
		got, at := phase(e)
		assert.Equal(t, want, got)
		assert.Equal(t, since, at)
	}
	e := updated(t, Spec{DeploymentConfiguration: DeploymentConfiguration{Canary: &Canary{}}})
	assertPhase(e, DeploymentPending, created)
	started := created.Add(time.Second)
	e, _ = e.RecordProgress(second, Progress{Status: Running}, started)
	assertPhase(e, DeploymentCanary, started)
	e = must(t)(e.Promote(second))
	assertPhase(e, DeploymentRollout, started)
	baked := started.Add(time.Minute)
	e, _ = e.RecordProgress(second, Progress{Status: Running, Baking: true}, baked)
	assertPhase(e, DeploymentBake, baked)

	e = completed(e, second, baked.Add(time.Hour))
	assert.Equal(t, map[DeploymentPhase]time.Duration{
		DeploymentPending: time.Second, DeploymentRollout: time.Minute, DeploymentBake: time.Hour,
	}, e.Deployments[second].PhaseDurations())
}

func TestPhaseDurations_OfIncompleteRecords(t *testing.T) {
	for name, tc := range map[string]struct {
		deployment Deployment
		want       map[DeploymentPhase]time.Duration
	}{
		"a record of v0.3 without times": {Deployment{Status: Completed}, map[DeploymentPhase]time.Duration{}},
		"stopped before it started": {
			Deployment{StartTime: now, EndTime: now.Add(time.Minute)},
			map[DeploymentPhase]time.Duration{DeploymentPending: time.Minute},
		},
		"ended by a replica whose clock is behind": {
			Deployment{StartTime: now, RolloutStartedAt: now.Add(-time.Second), EndTime: now.Add(-time.Minute)},
			map[DeploymentPhase]time.Duration{DeploymentPending: 0, DeploymentRollout: 0},
		},
	} {
		t.Run(name, func(t *testing.T) { assert.Equal(t, tc.want, tc.deployment.PhaseDurations()) })
	}
}

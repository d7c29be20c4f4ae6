package environment

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

func TestRedeploy_DeploysAnyKeptRevision(t *testing.T) {
	e := completed(updated(t, Spec{}), second, now)
	back := must(t)(e.Redeploy(third, token2, Redeployment{Revision: 1}, token3, now))
	assert.Equal(t, "arn:td:1", back.Deployments[third].TaskDefinition)
	assert.Equal(t, 1, back.Deployments[third].Revision)
	assert.Empty(t, back.Deployments[third].RollbackOf)
	assert.Equal(t, 2, back.LatestRevision().Number, "the desired revision stays")
	assert.Equal(t, "arn:td:2", back.DesiredTaskDefinition)

	_, err := back.Redeploy("x", token2, Redeployment{Revision: 1}, "y", now)
	assert.ErrorIs(t, err, ErrTokenOutdated, "a repeated request is refused")
	_, err = back.Redeploy("x", token3, Redeployment{Revision: 1}, "y", now)
	assert.ErrorIs(t, err, ErrInProgress)
	forward := must(t)(back.Deploy("x", token3, now))
	assert.Equal(t, 2, forward.Deployments["x"].Revision)
	assert.Equal(t, "Superseded by a deployment of revision 2.", forward.Deployments[third].RolloutStateReason)

	same, err := e.Redeploy("x", token2, Redeployment{Revision: 7}, token3, now)
	assert.ErrorIs(t, err, ErrRevisionNotFound)
	assert.EqualError(t, err, "Revision 7 does not exist for environment logs")
	assert.Equal(t, e, same)
	_, err = e.Delete(now).Redeploy("x", token2, Redeployment{}, token3, now)
	assert.ErrorIs(t, err, ErrDeleting)
	_, err = e.Redeploy("x", "", Redeployment{}, token3, now)
	assert.ErrorIs(t, err, ErrTokenMissing)
}

func TestRedeploy_ForcesANewDeployment(t *testing.T) {
	e := must(t)(updated(t, Spec{}).Redeploy(third, token2, Redeployment{Force: true}, token3, now))
	assert.Equal(t, RolloutStopped, e.Deployments[second].Rollout(), "a forced one replaces that of the same revision")
	forced := e.Deployments[third]
	assert.Equal(t, 2, forced.Revision)
	assert.True(t, forced.ForceNewDeployment)
	assert.False(t, e.Adopts(forced, second))
}

func TestRollbackTo_ReturnsToTheRevision(t *testing.T) {
	inProgress := updated(t, Spec{})
	deployed := completed(inProgress, second, now)
	aborted := must(t)(inProgress.Stop(second, StopAbort, "", now))
	for name, tc := range map[string]struct {
		of       Environment
		revision int
		want     string // the deployment; third is new
		undoes   string
	}{
		"another revision is in effect":               {deployed, 1, third, second},
		"the revision is in effect":                   {deployed, 2, second, ""},
		"a deployment of another is in progress":      {inProgress, 1, third, second},
		"a deployment of the revision is in progress": {inProgress, 2, second, ""},
		"the newest deployment was aborted":           {aborted, 1, third, second},
		"the aborted revision itself":                 {aborted, 2, third, second},
	} {
		t.Run(name, func(t *testing.T) {
			e, d, err := tc.of.RollbackTo(tc.revision, third, now.Add(time.Hour))
			assert.NoError(t, err)
			assert.Equal(t, tc.want, d.ID)
			assert.Equal(t, tc.revision, d.RevisionNumber())
			assert.Equal(t, tc.undoes, d.RollbackOf)
			if tc.want != third {
				assert.Equal(t, tc.of, e, "nothing changes")
				return
			}
			again, repeated, err := e.RollbackTo(tc.revision, "x", now.Add(2*time.Hour))
			assert.NoError(t, err)
			assert.Equal(t, third, repeated.ID)
			assert.Equal(t, e, again, "a repeated request changes nothing")
		})
	}
	_, _, err := deployed.RollbackTo(3, third, now)
	assert.ErrorIs(t, err, ErrRevisionNotFound)
	_, _, err = deployed.Delete(now).RollbackTo(1, third, now)
	assert.ErrorIs(t, err, ErrDeleting)
	_, _, err = Create("logs", "", token1, Spec{}, now).RollbackTo(1, third, now)
	assert.ErrorIs(t, err, ErrNoRollbackTarget)
}

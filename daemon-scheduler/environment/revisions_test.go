package environment

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestUpdate_AddsARevisionAndAToken(t *testing.T) {
	e := updated(t, Spec{Query: "attribute:zone == a"})
	assert.Equal(t, token2, e.Token)
	assert.Equal(t, "arn:td:2", e.DesiredTaskDefinition)
	assert.Equal(
		t,
		Revision{
			Number:    2,
			CreatedAt: now.Add(time.Minute),
			Spec:      Spec{TaskDefinition: "arn:td:2", Query: "attribute:zone == a"},
		},
		e.LatestRevision(),
	)
	assert.Len(t, e.KeptRevisions(), 2)
	assert.Equal(t, "arn:td:1", e.RevisionFor(e.Deployments[first]).Spec.TaskDefinition)
	assert.Equal(t, "attribute:zone == a", e.RevisionFor(e.Deployments[second]).Spec.Query)

	same, err := e.Update(Spec{}, token1, token3, now)
	assert.ErrorIs(t, err, ErrUpdateTokenOutdated)
	assert.EqualError(t, err, "Token '"+token1+"' is outdated")
	assert.Equal(t, e, same)
	_, err = e.Update(Spec{}, "", token3, now)
	assert.ErrorIs(t, err, ErrTokenMissing)
	_, err = e.Delete(now).Update(Spec{}, token2, token3, now)
	assert.ErrorIs(t, err, ErrDeleting)
}

func TestKeptRevisions_OfAV03Record(t *testing.T) {
	e := read(t, v03)
	assert.Equal(t, []Revision{{Number: 1, Spec: Spec{TaskDefinition: "arn:td:1"}}}, e.KeptRevisions())
	assert.Equal(t, RolloutCompleted, e.Deployments[first].Rollout())
	assert.Equal(t, 1, e.RevisionFor(e.Deployments[first]).Number)
	assert.Equal(t, PhaseActive, e.Phase())
	_, err := e.Rollback(third, now)
	assert.ErrorIs(t, err, ErrNoRollbackTarget, "both deployments have the same revision")

	e = must(t)(e.Update(Spec{TaskDefinition: "arn:td:2"}, token1, token2, now))
	assert.Len(t, e.Revisions, 2, "the desired task definition of v0.3 is kept")
	assert.Equal(t, "arn:td:1", e.Revisions[0].Spec.TaskDefinition)
}

func TestUpdate_LimitsRevisions(t *testing.T) {
	e := updated(t, Spec{Query: "in effect"})
	e = completed(e, second, now.Add(time.Hour))
	for n := range 2 * maxRevisions {
		e = must(t)(e.Update(Spec{TaskDefinition: "arn:td:3", DrainOrder: n}, e.Token, token3, now))
	}
	assert.Len(t, e.Revisions, maxRevisions+2)
	assert.Equal(t, "in effect", e.RevisionFor(e.Deployments[second]).Spec.Query)
	assert.Equal(t, 1, e.Revisions[0].Number, "a rollback would return to it")
	for n := range 20 {
		spec := Spec{TaskDefinition: "arn:td:3", Query: strings.Repeat("x", 60<<10), DrainOrder: n}
		e = must(t)(e.Update(spec, e.Token, token3, now))
	}
	written, err := json.Marshal(e)
	require.NoError(t, err)
	assert.Less(t, len(written), maxRevisionBytes+64<<10)
	assert.Equal(t, "in effect", e.RevisionFor(e.Deployments[second]).Spec.Query)
}

func TestRevision_SurvivesARewrite(t *testing.T) {
	e := Create("logs", "arn:cluster", token1, Spec{TaskDefinition: "arn:td:1", DrainOrder: 3}, now)
	written, err := json.Marshal(e)
	require.NoError(t, err)
	assert.Contains(
		t,
		string(written),
		`"Revisions":[{"Number":1,"CreatedAt":"2026-01-02T03:04:05Z","Spec":{"TaskDefinition":"arn:td:1","DrainOrder":3}}]`,
	)
	later := strings.Replace(string(written), `"DrainOrder":3`, `"DrainOrder":3,"Later":{"a":1}`, 1)
	again, err := json.Marshal(read(t, later))
	require.NoError(t, err)
	assert.JSONEq(t, later, string(again))
}

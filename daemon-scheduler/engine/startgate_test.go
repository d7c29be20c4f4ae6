package engine

import (
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/blox/blox/daemon-scheduler/environment"
	"github.com/blox/blox/daemon-scheduler/planner"
)

// rolloutPlan stops tasks of an earlier deployment and starts tasks of d.
func rolloutPlan(stops, starts []string) planner.Plan {
	plan := planner.Plan{Deployment: "d", Actions: startsOn(starts...)}
	for _, instance := range stops {
		plan.Actions = append(plan.Actions, replacing(instance, "old on "+instance))
	}
	return plan
}

// kinds returns the instances of the actions by kind.
func kinds(actions []planner.Action) map[planner.ActionKind][]string {
	byKind := map[planner.ActionKind][]string{}
	for _, a := range actions {
		byKind[a.Kind] = append(byKind[a.Kind], a.Instance)
	}
	return byKind
}

func TestPermit_StopsOneTaskUntilECSAcceptsAStart(t *testing.T) {
	r, _, _ := newReconciliation(t, leads)
	r.env.Deployments = map[string]environment.Deployment{"d": {ID: "d"}}
	now := time.Now()
	permitted := func(stops, starts []string, requested map[string]time.Time) map[planner.ActionKind][]string {
		actions, _ := r.permit(rolloutPlan(stops, starts), requested, now)
		return kinds(actions)
	}
	three := []string{"i1", "i2", "i3"}
	assert.Equal(t, []string{"i1"}, permitted(three, nil, nil)[planner.Stop], "the first")
	assert.Empty(t, permitted(three, []string{"i4"}, nil)[planner.Stop], "a start is planned")

	r.tasks = []environment.Task{{ARN: "old on i1", Instance: "i1", LastStatus: "RUNNING", DesiredStatus: "STOPPED"}}
	assert.Empty(t, permitted(three[1:], nil, map[string]time.Time{"old on i1": now})[planner.Stop], "the first stops")
	r.tasks = nil
	r.launches = map[string]environment.Launch{"i1": {Deployment: "d", State: environment.LaunchOpen}}
	assert.Empty(t, permitted(three[1:], nil, nil)[planner.Stop], "the first starts")
	r.launches = map[string]environment.Launch{"i1": {
		Deployment: "d", State: environment.LaunchReplacing, NotAfter: now.Add(environment.LaunchWindow),
	}}
	assert.Equal(t, []string{"i1"}, permitted(three, nil, nil)[planner.Stop], "an earlier leader chose the first")

	r.launches = nil
	r.leader.recordStartAccepted("logs", "d")
	assert.Equal(t, three, permitted(three, nil, nil)[planner.Stop])
}

func TestPermit_HoldsStartsBackAfterARefusal(t *testing.T) {
	r, _, fake := newReconciliation(t, leads)
	r.env.Deployments = map[string]environment.Deployment{"d": {ID: "d"}}
	fake.respondWith(http.StatusBadRequest, "AccessDeniedException")
	require.NoError(t, r.startBatch(t.Context(), startsOn("i1")))
	plan := rolloutPlan([]string{"i2"}, []string{"i3", "i4"})
	due := r.leader.startAnswers("logs", "d").retryAt
	actions, retryAt := r.permit(plan, nil, due.Add(-time.Millisecond))
	assert.Empty(t, actions)
	assert.Equal(t, due, retryAt)
	actions, _ = r.permit(plan, nil, due)
	onlyStarts := map[planner.ActionKind][]string{planner.Start: {"i3", "i4"}}
	assert.Equal(t, onlyStarts, kinds(actions), "nothing more is stopped")
	assert.NotEmpty(t, r.Conditions("logs"))

	r.env.Deployments = nil // another deployment has taken its place
	_, _ = r.permit(planner.Plan{Deployment: "another"}, nil, due)
	assert.Empty(t, r.Conditions("logs"))
	assert.Empty(t, r.leader.starts["logs"])
}

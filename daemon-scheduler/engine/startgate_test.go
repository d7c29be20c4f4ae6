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
		r.stopRequestedAt = requested
		actions, _ := r.permit(rolloutPlan(stops, starts), now)
		return kinds(actions)
	}
	three := []string{"i1", "i2", "i3"}
	assert.Equal(t, []string{"i1"}, permitted(three, nil, nil)[planner.Stop], "the first")
	assert.Empty(t, permitted(three, []string{"i4"}, nil)[planner.Stop], "a start is planned")

	r.tasks = []environment.Task{{ARN: "old on i1", Instance: "i1", LastStatus: "RUNNING", DesiredStatus: "STOPPED"}}
	r.launches = map[string]environment.Launch{"i1": { // it takes long
		Deployment: "d", State: environment.LaunchReplacing, Task: "old on i1", NotAfter: now.Add(-time.Hour),
	}}
	assert.Empty(t, permitted(three[1:], nil, map[string]time.Time{"old on i1": now})[planner.Stop], "the first stops")
	r.tasks = nil
	r.launches = map[string]environment.Launch{"i1": {Deployment: "d", State: environment.LaunchOpen}}
	assert.Empty(t, permitted(three[1:], nil, nil)[planner.Stop], "the first starts")
	r.launches = map[string]environment.Launch{"i1": {
		Deployment: "d", State: environment.LaunchReplacing, Task: "old on i1", NotAfter: now.Add(environment.LaunchWindow),
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
	actions, retryAt := r.permit(plan, due.Add(-time.Millisecond))
	assert.Empty(t, actions)
	assert.Equal(t, due, retryAt)
	actions, _ = r.permit(plan, due)
	onlyStarts := map[planner.ActionKind][]string{planner.Start: {"i3", "i4"}}
	assert.Equal(t, onlyStarts, kinds(actions), "nothing more is stopped")
	assert.NotEmpty(t, r.Conditions("logs"))

	r.env.Deployments = nil // another deployment has taken its place
	_, _ = r.permit(planner.Plan{Deployment: "another"}, due)
	assert.Empty(t, r.Conditions("logs"))
	assert.Empty(t, r.leader.starts["logs"])
}

// The instance that showed the refusal may leave. Nothing lacks a task then, so only another stop can show that ECS
// accepts starts again.
func TestPermit_TriesAnotherInstanceOnceTheTriedOneCannotRunTasks(t *testing.T) {
	r, records, fake := newReconciliation(t, leads)
	r.env.Deployments = map[string]environment.Deployment{"d": {ID: "d"}}
	fake.respondWith(http.StatusBadRequest, "AccessDeniedException")
	require.NoError(t, r.startBatch(t.Context(), startsOn("i1")))
	r.launches = storedLaunches(t, records)
	require.Equal(t, environment.LaunchFailed, r.launches["i1"].State)
	due := r.leader.startAnswers("logs", "d").retryAt
	plan := rolloutPlan([]string{"i2", "i3"}, nil)

	actions, retryAt := r.permit(plan, due.Add(-time.Millisecond))
	assert.Empty(t, actions)
	assert.Equal(t, due, retryAt, "the stops wait for the next try")
	actions, _ = r.permit(plan, due)
	assert.Empty(t, actions, "the planner starts the task of i1 after its delay")

	fake.css.change(t, "i1", "DRAINING", true)
	actions, _ = r.permit(plan, due)
	assert.Equal(t, map[planner.ActionKind][]string{planner.Stop: {"i2"}}, kinds(actions), "one instance is tried")

	replacement := plan.Actions[0].Launch
	replacement.NotAfter = due.Add(environment.LaunchWindow)
	r.launches["i2"] = replacement
	actions, _ = r.permit(plan, due)
	assert.Equal(t, map[planner.ActionKind][]string{planner.Stop: {"i2"}}, kinds(actions), "the recorded one goes on")
	actions, _ = r.permit(rolloutPlan([]string{"i3"}, nil), due)
	assert.Empty(t, actions, "i2 is being tried")

	r.launches = nil // the instances do not match any more, and the planner has forgotten their launches
	actions, _ = r.permit(plan, due)
	assert.Equal(t, map[planner.ActionKind][]string{planner.Stop: {"i2"}}, kinds(actions))
}

// A rollback may keep the tasks of an earlier deployment. Then the tasks beside them stop at once.
func TestPermit_PassesStopsThatMakeNoRoomForAStart(t *testing.T) {
	r, _, fake := newReconciliation(t, leads)
	r.env.Deployments = map[string]environment.Deployment{"d": {ID: "d"}}
	three := []string{"i1", "i2", "i3"}
	plan := planner.Plan{Deployment: "d"}
	for _, instance := range three {
		plan.Actions = append(plan.Actions, stopOf(running("bad on "+instance, instance, "bad"), planner.ReasonSuperseded))
	}
	actions, _ := r.permit(plan, time.Now())
	assert.Equal(t, three, kinds(actions)[planner.Stop], "no start is known")
	fake.respondWith(http.StatusBadRequest, "AccessDeniedException")
	require.NoError(t, r.startBatch(t.Context(), startsOn("i4")))
	actions, _ = r.permit(plan, time.Now())
	assert.Equal(t, three, kinds(actions)[planner.Stop], "starts are refused")
}

func TestPermit_CountsReplacementsOfTheDeploymentAndTaskOnly(t *testing.T) {
	r, _, _ := newReconciliation(t, leads)
	r.env.Deployments = map[string]environment.Deployment{"d": {ID: "d"}}
	now := time.Now()
	recorded := func(change func(*environment.Launch)) environment.Launch {
		l := replacing("i2", "old on i2").Launch
		l.NotAfter = now.Add(environment.LaunchWindow)
		change(&l)
		return l
	}
	for name, launch := range map[string]environment.Launch{
		"another deployment": recorded(func(l *environment.Launch) { l.Deployment = "earlier" }),
		"another task":       recorded(func(l *environment.Launch) { l.Task = "older" }),
	} {
		r.launches = map[string]environment.Launch{"i2": launch}
		actions, _ := r.permit(rolloutPlan([]string{"i1", "i2", "i3"}, nil), now)
		assert.LessOrEqual(t, len(kinds(actions)[planner.Stop]), 1, name)
	}
}

// A daemon that was stopped for a refused deployment stays away until ECS accepts a start. A leader that stopped
// another one would take one more daemon with each failover.
func TestPermit_RemembersARefusalOverAFailover(t *testing.T) {
	r, records, fake := newReconciliation(t, leads)
	r.env.Deployments = map[string]environment.Deployment{"d": {ID: "d"}}
	fake.respondWith(http.StatusBadRequest, "AccessDeniedException")
	require.NoError(t, r.startBatch(t.Context(), startsOn("i1")))
	r.leader.close()
	r.leader = newLeaderState(leads)
	t.Cleanup(r.leader.close)
	r.launches = storedLaunches(t, records)
	plan := rolloutPlan([]string{"i2", "i3"}, nil)
	actions, _ := r.permit(plan, time.Now())
	assert.Empty(t, actions, "the planner starts the task of i1 after its delay")

	fake.css.change(t, "i1", "DRAINING", true)
	actions, _ = r.permit(plan, time.Now())
	assert.Equal(t, map[planner.ActionKind][]string{planner.Stop: {"i2"}}, kinds(actions), "one instance is tried")
}

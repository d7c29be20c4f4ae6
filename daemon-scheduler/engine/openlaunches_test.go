package engine

import (
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/blox/blox/daemon-scheduler/environment"
	"github.com/blox/blox/daemon-scheduler/planner"
	"github.com/blox/blox/daemon-scheduler/store"
)

// Another replica may have announced a launch by a clock that is ahead or behind. The launch is confirmed once this
// replica has seen its record for the launch window and the confirm timeout.
func TestOpenLaunch_IsSettledByTheLeadersOwnClock(t *testing.T) {
	const confirmTimeout = 30 * time.Second
	for name, skew := range map[string]time.Duration{"an hour ahead": time.Hour, "an hour behind": -time.Hour} {
		t.Run(name, func(t *testing.T) {
			leader := newLeaderState(store.Term{})
			defer leader.close()
			now := time.Now()
			launches := map[string]environment.Launch{"i1": {
				Instance: "i1", Deployment: "d", State: environment.LaunchOpen, Attempts: 1, StoredVersion: 7,
				NotAfter: now.Add(skew).UTC().Round(0),
			}}
			planAt := func(at time.Time) planner.Plan {
				return planner.Make(planner.State{
					Environment: environment.New("logs", "c", "agent:1", "token"), Launches: launches, Fresh: true,
					Instances:   []environment.Instance{{ARN: "i1", Status: "ACTIVE", AgentConnected: true}},
					FirstSeenAt: leader.firstSeen("logs", launches, at), Now: at, StartConfirmTimeout: confirmTimeout,
				})
			}
			due := now.Add(environment.LaunchWindow + confirmTimeout)
			first := planAt(now)
			assert.Empty(t, first.Actions)
			assert.Equal(t, due, first.RequeueAt)
			assert.Empty(t, planAt(due.Add(-time.Second)).Actions)
			confirms := func(a planner.Action) bool { return a.Kind == planner.Confirm }
			assert.True(t, slices.ContainsFunc(planAt(due).Actions, confirms))
		})
	}
}

func TestOpenLaunch_IsSeenAnewWithEachRecord(t *testing.T) {
	leader := newLeaderState(store.Term{})
	defer leader.close()
	start := time.Now()
	open := environment.Launch{Instance: "i1", State: environment.LaunchOpen, StoredVersion: 7}
	leader.recordAnnounced("logs", []environment.Launch{open}, start)
	launches := map[string]environment.Launch{"i1": open}
	assert.Equal(t, start, leader.firstSeen("logs", launches, start.Add(time.Minute))["i1"], "announced by this replica")

	open.StoredVersion = 8
	launches["i1"] = open
	assert.Equal(t, start.Add(2*time.Minute), leader.firstSeen("logs", launches, start.Add(2*time.Minute))["i1"])
	open.State = environment.LaunchFailed
	launches["i1"] = open
	assert.Empty(t, leader.firstSeen("logs", launches, start.Add(3*time.Minute)))
	assert.Empty(t, leader.openLaunches, "nothing is kept of launches that have ended")
}

// The launch records of a deleted environment are removed once no StartTask can be under way, by this replica's clock.
func TestForget_KeepsOpenLaunchesByTheLeadersOwnClock(t *testing.T) {
	r, _, _ := newReconciliation(t, leads)
	launches := map[string]environment.Launch{"i1": {
		Instance: "i1", State: environment.LaunchOpen, NotAfter: time.Now().Add(-time.Hour),
	}}
	before := time.Now()
	requeueAt, err := r.forget(t.Context(), r.leader, "logs", launches)
	require.NoError(t, err)
	assert.False(t, requeueAt.Before(before.Add(environment.LaunchWindow)))
}

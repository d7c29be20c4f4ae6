package engine

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/blox/blox/daemon-scheduler/environment"
	"github.com/blox/blox/daemon-scheduler/planner"
)

// room returns a stop that makes room for a start on the instance of a task.
func room(t environment.Task) planner.Action {
	stop := stopOf(t, planner.ReasonSuperseded)
	stop.Launch = environment.Launch{Instance: t.Instance, Deployment: "second", State: environment.LaunchReplacing}
	return stop
}

func TestVerifyCounted_WithholdsRoomUntilECSConfirmsTheTasksThatTheRolloutCounts(t *testing.T) {
	last, available := running("last", "i1", "first"), running("available", "i2", "first")
	other := running("other", "i3", "second")
	young := available
	young.CreatedAt = time.Now().Add(-time.Minute)
	stops := []planner.Action{room(last), stopOf(running("drained", "i4", "first"), planner.ReasonDraining)}
	for name, tc := range map[string]struct {
		tasks           []environment.Task
		known           map[string]string // by ARN: the desired status in ECS
		stops           []planner.Action
		want            []planner.Action
		wantPhantoms    float64
		wantUnconfirmed map[string]bool
		wantCalls       int
	}{
		"they are live": {
			tasks: []environment.Task{last, available, other},
			known: map[string]string{"available": "RUNNING", "other": "RUNNING"},
			stops: stops, want: stops, wantCalls: 1,
		},
		"one is a phantom": {
			tasks: []environment.Task{last, available, other}, known: map[string]string{"other": "RUNNING"},
			stops: stops, want: stops[1:], wantPhantoms: 1, wantCalls: 1,
			wantUnconfirmed: map[string]bool{"available": true},
		},
		"one is stopping": {
			tasks: []environment.Task{last, available, other},
			known: map[string]string{"available": "STOPPED", "other": "RUNNING"},
			stops: stops, want: stops[1:], wantCalls: 1, wantUnconfirmed: map[string]bool{"available": true},
		},
		"one is too young to be a phantom": {
			tasks: []environment.Task{last, young, other}, known: map[string]string{"other": "RUNNING"},
			stops: stops, want: stops[1:], wantCalls: 1, wantUnconfirmed: map[string]bool{"available": true},
		},
		"no stop makes room": {
			tasks: []environment.Task{last, available, other}, stops: stops[1:], want: stops[1:],
		},
	} {
		t.Run(name, func(t *testing.T) {
			r, ecs := newVerification(t, tc.tasks...)
			ecs.known = tc.known
			got, err := r.verifyCounted(t.Context(), tc.stops, []string{"available", "other"})
			require.NoError(t, err)
			assert.Equal(t, tc.want, got)
			assert.Equal(t, tc.wantCalls, ecs.calls)
			assert.InDelta(t, tc.wantPhantoms, phantomCount(t, r), 0)
			unconfirmed, until := r.leader.unconfirmed("logs", time.Now())
			assert.Equal(t, tc.wantUnconfirmed, unconfirmed)
			assert.Equal(t, len(unconfirmed) > 0, until.After(time.Now()), "they are described again")
		})
	}
}

// This machine's clock is an hour ahead, so that a task that ECS does not show yet looks old.
func TestVerifyCounted_TakesNoNewTaskForAPhantomIfTheClockIsWrong(t *testing.T) {
	const ahead = time.Hour
	created := running("available", "i2", "first")
	created.CreatedAt = time.Now().Add(-ahead - time.Minute)
	r, ecs := newVerification(t, created)
	ecs.stub.behind = ahead
	stops := []planner.Action{room(running("last", "i1", "first"))}
	got, err := r.verifyCounted(t.Context(), stops, []string{"available"})
	require.NoError(t, err)
	assert.Empty(t, got)
	assert.Zero(t, phantomCount(t, r))
}

func TestVerifyCounted_WithholdsRoomWhileECSDescribesNothing(t *testing.T) {
	r, ecs := newVerification(t, running("available", "i2", "first"))
	ecs.down, ecs.known["available"] = true, "RUNNING"
	stops := []planner.Action{room(running("last", "i1", "first"))}
	got, err := r.verifyCounted(t.Context(), stops, []string{"available"})
	require.Error(t, err)
	assert.Empty(t, got)
	ecs.down = false
	got, err = r.verifyCounted(t.Context(), stops, []string{"available"})
	require.NoError(t, err)
	assert.Equal(t, stops, got)
}

// A rollout costs a call for each hundred tasks in some minutes.
func TestVerifyCounted_SharesCallsAndRemembersConfirmations(t *testing.T) {
	r, ecs := newVerification(t)
	stops := []planner.Action{room(running("last", "i", "first"))}
	var counted []string
	for n := range maxCountedPerDescribe + 100 {
		arn := fmt.Sprint("task", n)
		ecs.known[arn] = "RUNNING"
		counted = append(counted, arn)
	}
	got, err := r.verifyCounted(t.Context(), stops, counted)
	require.NoError(t, err)
	assert.Empty(t, got, "too many for one reconciliation")
	assert.Equal(t, maxCountedPerDescribe/100, ecs.calls)
	for range 5 {
		got, err = r.verifyCounted(t.Context(), stops, counted)
		require.NoError(t, err)
		assert.Equal(t, stops, got)
	}
	assert.Equal(t, maxCountedPerDescribe/100+1, ecs.calls)
}

func TestConfirmations_Expire(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var c confirmations
		stopping := running("stopping", "i1", "d")
		stopping.DesiredStatus = "STOPPED"
		c.add([]environment.Task{running("live", "i1", "d"), stopping, {ARN: "stopped", LastStatus: "STOPPED"}}, time.Now())
		all := []string{"live", "stopping", "stopped"}
		assert.True(t, c.allKept(all[:1], time.Now()))
		assert.False(t, c.allKept(all, time.Now()))
		assert.False(t, c.allKept(nil, time.Now()))
		time.Sleep(keptLife)
		assert.False(t, c.allKept(all[:1], time.Now()))
		assert.Equal(t, all[1:], c.olderThan(countedLife, all, time.Now()))
		time.Sleep(countedLife - keptLife)
		assert.Equal(t, all, c.olderThan(countedLife, all, time.Now()))
		c.add([]environment.Task{running("next", "i1", "d")}, time.Now())
		assert.Len(t, c.at, 1, "expired entries are forgotten")
	})
}

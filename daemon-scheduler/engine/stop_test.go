package engine

import (
	"context"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/blox/blox/daemon-scheduler/environment"
	"github.com/blox/blox/daemon-scheduler/planner"
	"github.com/blox/blox/daemon-scheduler/store"
	"github.com/blox/blox/internal/ratelimit"
)

func TestMaxStops_DependsOnTheTokensLeft(t *testing.T) {
	const never = 1e-6 // tokens a second
	bucket := func(burst float64) *ratelimit.Limiter {
		return ratelimit.New(ratelimit.Bucket{Burst: burst, Rate: never}, 1)
	}
	full := bucket(50)
	assert.Equal(t, 50, maxStops(full))
	for range 45 {
		require.NoError(t, full.Wait(t.Context(), ratelimit.Low))
	}
	assert.Equal(t, minStopsPerReconciliation, maxStops(full), "some in any case")
	assert.Equal(t, maxActionsPerReconciliation, maxStops(bucket(5000)))
	assert.Equal(t, maxActionsPerReconciliation, maxStops(nil), "without a limit")
}

// The number of series must not grow with the number of environments.
func TestStop_CountsByABoundedSetOfReasons(t *testing.T) {
	r, _, _ := newReconciliation(t, store.Term{})
	registry := prometheus.NewRegistry()
	r.metrics = newMetrics(r.Engine, registry)
	for reason := range planner.StopMessages {
		require.NoError(t, r.stop(t.Context(), []planner.Action{{
			Kind: planner.Stop, Instance: "i1", Task: "t1", StopReason: reason, Reason: reason.Message(r.env.Name),
		}}))
	}
	families, err := registry.Gather()
	require.NoError(t, err)
	var reasons []planner.StopReason
	for _, family := range families {
		if family.GetName() != "blox_ds_task_stops_total" {
			continue
		}
		for _, metric := range family.GetMetric() {
			for _, label := range metric.GetLabel() {
				assert.False(t, strings.Contains(label.GetValue(), r.env.Name), "%s names the environment", label.GetValue())
				if label.GetName() == "reason" {
					reasons = append(reasons, planner.StopReason(label.GetValue()))
				}
			}
		}
	}
	slices.Sort(reasons)
	assert.Equal(t, slices.Sorted(maps.Keys(planner.StopMessages)), reasons)
}

// ECS may have executed a StopTask that was not answered, and may not.
func TestStop_IsRepeatedAfterSecondsIfItWasNotAnswered(t *testing.T) {
	r, _, fake := newReconciliation(t, store.Term{})
	fake.answer = func(string, string) (int, string) {
		return http.StatusInternalServerError, `{"__type":"ServerException"}`
	}
	stop := []planner.Action{{Kind: planner.Stop, Instance: "i1", Task: "t1"}}
	retryAfter := func() time.Duration {
		r.callFailed.Store(false)
		require.Error(t, r.stop(t.Context(), stop))
		request := r.leader.stopRequests["logs"]["t1"]
		planned := r.leader.recentStopRequests("logs", request.at)["t1"].Add(planner.StopRetryInterval)
		return planned.Sub(request.at)
	}
	assert.Equal(t, time.Second, retryAfter())
	assert.Equal(t, 2*time.Second, retryAfter())
	assert.Equal(t, 4*time.Second, retryAfter())

	fake.answer = func(string, string) (int, string) { return http.StatusOK, `{}` }
	r.callFailed.Store(false)
	require.NoError(t, r.stop(t.Context(), stop))
	request := r.leader.stopRequests["logs"]["t1"]
	assert.Equal(t, request.at, r.leader.recentStopRequests("logs", request.at)["t1"], "ECS has executed it")
}

// replacing returns the stop of a task that makes room for one of deployment d.
func replacing(instance, task string) planner.Action {
	return planner.Action{
		Kind: planner.Stop, Instance: instance, Task: task, StopReason: planner.ReasonSuperseded,
		Launch: environment.Launch{
			Instance: instance, Deployment: "d", TaskDefinition: "agent:1", State: environment.LaunchReplacing, Task: task,
			Attempts: 1,
		},
	}
}

func TestStop_RecordsTheReplacementFirst(t *testing.T) {
	r, records, fake := newReconciliation(t, leads)
	recorded := make(chan environment.LaunchState, 1)
	fake.answer = func(string, string) (int, string) {
		stored, err := records.Launches(context.Background(), "logs")
		if err != nil || len(stored) != 1 {
			stored = []environment.Launch{{}}
		}
		recorded <- stored[0].State
		return http.StatusOK, `{}`
	}
	require.NoError(t, r.stop(t.Context(), []planner.Action{replacing("i1", "t1")}))
	assert.Equal(t, environment.LaunchReplacing, <-recorded)
	launch := storedLaunches(t, records)["i1"]
	assert.Equal(t, "t1", launch.Task)

	r.launches = map[string]environment.Launch{"i1": launch}
	require.NoError(t, r.stop(t.Context(), []planner.Action{replacing("i1", "t1")}))
	assert.Equal(t, launch.StoredVersion, storedLaunches(t, records)["i1"].StoredVersion, "it is recorded already")
}

// The starts of a rollout wait for its stops, and surplus tasks can wait for both.
func TestStop_OfASurplusTaskWaitsForStarts(t *testing.T) {
	duplicate := planner.Action{Kind: planner.Stop, Instance: "i1", Task: "t1", StopReason: planner.ReasonDuplicate}
	assert.Equal(t, ratelimit.Low, stopPriority(duplicate))
	assert.Equal(t, ratelimit.High, stopPriority(replacing("i1", "t1")), "as that of starts")
}

// StopTask needs no write, so a leader that cannot write could stop every daemon and start none.
func TestStop_StopsNothingForTheRolloutWhileEtcdIsFull(t *testing.T) {
	r, records, fake := newReconciliation(t, leads)
	called := make(chan string, 2)
	fake.answer = func(_, body string) (int, string) {
		called <- body
		return http.StatusOK, `{}`
	}
	fake.fillEtcd(t)
	drain := planner.Action{Kind: planner.Stop, Instance: "i2", Task: "t2", StopReason: planner.ReasonDraining}
	err := r.stop(t.Context(), []planner.Action{replacing("i1", "t1"), drain})
	require.ErrorIs(t, err, environment.ErrStoreOutOfSpace)
	assert.EqualValues(t, 1, fake.otherCalls.Load())
	assert.Contains(t, <-called, `"t2"`, "other stops need no write")
	assert.Empty(t, storedLaunches(t, records))
}

// The API has promised the change to a client, so a plan from before it must not leave records behind.
func TestStop_RecordsNoReplacementOnceTheEnvironmentChanged(t *testing.T) {
	r, records, fake := newReconciliation(t, leads)
	paused, err := records.Update(t.Context(), "logs", func(e environment.Environment) (environment.Environment, error) {
		return e.Pause(time.Now())
	})
	require.NoError(t, err)
	awaitCached(t, r.Cache, func(e environment.Environment, _ error) bool {
		return e.StoredVersion == paused.StoredVersion
	})
	require.NoError(t, r.stop(t.Context(), []planner.Action{replacing("i1", "t1")}))
	assert.Empty(t, storedLaunches(t, records))
	assert.Zero(t, fake.otherCalls.Load())
}

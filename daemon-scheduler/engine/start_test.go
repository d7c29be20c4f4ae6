package engine

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/blox/blox/daemon-scheduler/environment"
	"github.com/blox/blox/daemon-scheduler/planner"
	"github.com/blox/blox/daemon-scheduler/store"
	"github.com/blox/blox/internal/ratelimit"
)

// leads is the term of a leader without a lease.
var leads = store.Term{Key: "leader"}

// startsOn returns the start of a task of deployment d on each instance.
func startsOn(instances ...string) (starts []planner.Action) {
	for _, instance := range instances {
		starts = append(starts, planner.Action{
			Kind: planner.Start, Instance: instance, Reason: "missing",
			Launch: environment.Launch{
				Instance: instance, Deployment: "d", TaskDefinition: "agent:1", State: environment.LaunchOpen, Attempts: 1,
			},
		})
	}
	return starts
}

// storedLaunches returns the launch records of the environment in etcd, by instance.
func storedLaunches(t *testing.T, records *store.Store) map[string]environment.Launch {
	t.Helper()
	stored, err := records.Launches(t.Context(), "logs")
	require.NoError(t, err)
	launches := map[string]environment.Launch{}
	for _, l := range stored {
		launches[l.Instance] = l
	}
	return launches
}

func TestMaxStarts_DependsOnTheTokensLeft(t *testing.T) {
	const never = 1e-6 // tokens a second
	bucket := func(burst float64) *ratelimit.Limiter {
		return ratelimit.New(ratelimit.Bucket{Burst: burst, Rate: never}, 1)
	}
	full := bucket(25)
	assert.Equal(t, 250, maxStarts(full))
	for range 20 {
		require.NoError(t, full.Wait(t.Context(), ratelimit.High))
	}
	assert.Equal(t, 100, maxStarts(full), "some in any case")
	assert.Equal(t, 400, maxStarts(bucket(5000)), "not all with one plan")
	assert.Equal(t, 400, maxStarts(nil), "without a limit")
}

func TestStartTask_FoldsTheAnswerByInstance(t *testing.T) {
	r, records, ecs := newReconciliation(t, leads)
	ecs.answer = func(string, string) (int, string) {
		return http.StatusOK, `{"tasks":[{"taskArn":"t1","containerInstanceArn":"i1"},
			{"taskArn":"t9","containerInstanceArn":"another"}],
			"failures":[{"arn":"i1","reason":"RESOURCE:CPU"},{"arn":"i2","reason":"AGENT"},{"arn":"i2","reason":"AGENT"},
			{"arn":"another","reason":"MISSING"}]}`
	}
	require.NoError(t, r.startBatch(t.Context(), startsOn("i1", "i2", "i3")))
	launches := storedLaunches(t, records)
	require.Len(t, launches, 3)
	assert.Equal(t, environment.LaunchStarted, launches["i1"].State, "the task overrules the failure")
	assert.Equal(t, "t1", launches["i1"].Task)
	assert.Equal(t, environment.LaunchFailed, launches["i2"].State)
	assert.Equal(t, "AGENT", launches["i2"].Reason)
	assert.Equal(t, environment.LaunchOpen, launches["i3"].State, "the answer does not name the instance")
}

// StartTask may be refused as a whole because of one of its instances.
func TestStartTask_StartsTheNineInstancesBesideABadOne(t *testing.T) {
	r, records, fake := newReconciliation(t, leads)
	fake.answer = func(_, body string) (int, string) {
		var in struct{ ContainerInstances []string }
		if err := json.Unmarshal([]byte(body), &in); err != nil || slices.Contains(in.ContainerInstances, "i6") {
			return http.StatusBadRequest, `{"__type":"InvalidParameterException","message":"Container instance i6 is invalid."}`
		}
		return http.StatusOK, started(in.ContainerInstances...)
	}
	instances := []string{"i0", "i1", "i2", "i3", "i4", "i5", "i6", "i7", "i8", "i9"}
	require.NoError(t, r.startBatch(t.Context(), startsOn(instances...)))
	launches := storedLaunches(t, records)
	require.Len(t, launches, len(instances))
	for _, instance := range instances {
		if instance == "i6" {
			assert.Equal(t, environment.LaunchFailed, launches[instance].State)
			assert.Equal(t, "InvalidParameterException", launches[instance].Reason)
			continue
		}
		assert.Equal(t, environment.LaunchStarted, launches[instance].State, instance)
		assert.Equal(t, "task on "+instance, launches[instance].Task)
	}
}

// The second half is restored, not left open, if a call for the first half shows that no more calls are possible.
func TestStartTask_RestoresTheOtherHalfIfTheCallerIsRefused(t *testing.T) {
	r, records, fake := newReconciliation(t, leads)
	fake.answer = func(_, body string) (int, string) {
		var in struct{ ContainerInstances []string }
		if err := json.Unmarshal([]byte(body), &in); err != nil || len(in.ContainerInstances) == 4 {
			return http.StatusBadRequest, `{"__type":"ClientException","message":"A container instance is invalid."}`
		}
		return http.StatusForbidden, `{"__type":"ExpiredTokenException","message":"It is expired."}`
	}
	err := r.startBatch(t.Context(), startsOn("i1", "i2", "i3", "i4"))
	require.ErrorContains(t, err, "ExpiredTokenException")
	assert.Empty(t, storedLaunches(t, records), "as before the call")
	assert.EqualValues(t, 2, fake.otherCalls.Load())
}

// started is ECS's answer after it has started a task on each instance.
func started(instances ...string) string {
	tasks := make([]string, 0, len(instances))
	for _, instance := range instances {
		tasks = append(tasks, `{"taskArn":"task on `+instance+`","containerInstanceArn":"`+instance+`"}`)
	}
	return `{"tasks":[` + strings.Join(tasks, ",") + `],"failures":[]}`
}

// A start may have waited for its token of the API budget, long after it was planned.
func TestStartTask_LeavesOutInstancesThatNoLongerQualify(t *testing.T) {
	r, records, fake := newReconciliation(t, leads)
	calls := make(chan []string, 1)
	fake.answer = func(_, body string) (int, string) {
		var in struct{ ContainerInstances []string }
		if err := json.Unmarshal([]byte(body), &in); err != nil {
			return http.StatusInternalServerError, ""
		}
		calls <- in.ContainerInstances
		return http.StatusOK, started(in.ContainerInstances...)
	}
	starts := startsOn("i1", "i2", "i3", "left")
	fake.css.change(t, "i1", "DRAINING", true)
	fake.css.change(t, "i2", "ACTIVE", false)
	require.NoError(t, r.startBatch(t.Context(), starts))
	assert.Equal(t, []string{"i3"}, <-calls)
	assert.Len(t, storedLaunches(t, records), 1, "the others are not announced")

	require.NoError(t, r.startBatch(t.Context(), starts[:2]))
	assert.EqualValues(t, 1, fake.otherCalls.Load(), "no call without instances")
}

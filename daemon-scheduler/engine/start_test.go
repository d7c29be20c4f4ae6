package engine

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/blox/blox/daemon-scheduler/environment"
	"github.com/blox/blox/daemon-scheduler/planner"
	"github.com/blox/blox/daemon-scheduler/store"
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

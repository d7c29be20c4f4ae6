package engine

import (
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/blox/blox/daemon-scheduler/environment"
	"github.com/blox/blox/daemon-scheduler/planner"
	"github.com/blox/blox/daemon-scheduler/store"
)

// No event announces the environment's own changes, so each step has to request the next.
func TestTakeOver_RequestsTheNextStep(t *testing.T) {
	r, records, fake := newReconciliation(t, leads)
	elected, err := fake.etcd.Put(t.Context(), "leader", "")
	require.NoError(t, err)
	r.leader.Term = store.Term{Key: "leader", Revision: elected.Header.Revision}
	r.env.Takeover = &environment.Takeover{Service: "s", State: environment.TakeoverMoving}
	refresh := func() {
		env, err := records.Get(t.Context(), "logs")
		require.NoError(t, err)
		awaitCached(t, r.Cache, func(e environment.Environment, err error) bool {
			return err == nil && e.StoredVersion >= env.StoredVersion
		})
		r.env, r.revision = env, env.StoredVersion
	}
	step := func(complete bool) bool {
		again, err := r.takeOver(t.Context(), planner.Plan{TakeoverComplete: complete}, time.Now())
		require.NoError(t, err)
		return again
	}
	fake.answer = func(string, string) (int, string) { return http.StatusOK, "{}" }
	assert.True(t, step(false), "the service was updated")
	assert.EqualValues(t, 1, fake.otherCalls.Load())
	refresh()
	assert.False(t, step(false), "nothing is left to do")

	progressed := r.env
	progressed.DesiredTaskCount++
	revision, err := r.commitChanges(t.Context(), store.Changes{Environment: &progressed})
	require.NoError(t, err)
	awaitCached(t, r.Cache, func(e environment.Environment, err error) bool {
		return err == nil && e.StoredVersion >= revision
	})
	r.revision = revision
	assert.True(t, step(true), "this reconciliation has recorded progress")
	refresh()
	assert.Equal(t, environment.TakeoverMoving, r.env.Takeover.State)
	assert.True(t, step(true))
	refresh()
	assert.Equal(t, environment.TakeoverCompleted, r.env.Takeover.State)
	assert.True(t, step(false), "the service has its last constraint")
	refresh()
	assert.False(t, step(false))
	assert.EqualValues(t, 2, fake.otherCalls.Load())
}

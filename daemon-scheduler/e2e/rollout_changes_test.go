package e2e

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/blox/blox/internal/testenv"
)

// What users do in the middle of a rollout.
func TestRollout_CanBeChangedInProgress(t *testing.T) {
	t.Parallel()
	const n, lack = 20, 6
	begin := func(t *testing.T) (f *rollout, id, path string) {
		t.Helper()
		f = newRollout(t, n, `{"minimumHealthyPercent":70}`)
		id = f.deployPatch(`{"taskDefinition":"agent:2"}`)
		f.awaitMiddle(id)
		return f, id, "/v1/environments/logs"
	}
	t.Run("stop and go back", func(t *testing.T) {
		t.Parallel()
		f, id, path := begin(t)
		f.mustSend("POST", path+"/deployments/"+id+"/stop?type=ROLLBACK", "", nil)
		assert.Equal(t, "STOPPED", f.getDeployment("logs", id).RolloutState)
		back := f.newestDeployment()
		assert.Equal(t, id, f.awaitState(back, "COMPLETED").RollbackOf)
		testenv.Eventually(t, func() bool {
			return f.runningTasks(f.first)+f.runningTasks(back) == n && len(f.liveTasks(id)) == 0
		})
		assert.Positive(t, f.runningTasks(f.first), "some were never touched")
		testenv.Eventually(t, func() bool { // it counts those as its own
			shown, first := f.getDeployment("logs", back).RunningCount, f.getDeployment("logs", f.first).RunningCount
			return shown != nil && *shown == n && first != nil && *first == 0
		})
		f.assertLimits(n-lack, 0)
	})
	t.Run("abort, and resume", func(t *testing.T) {
		t.Parallel()
		f, id, path := begin(t)
		f.mustSend("POST", path+"/deployments/"+id+"/stop?type=ABORT", "", nil)
		assert.Equal(t, "paused", f.getEnvironment("logs").Status)
		f.awaitIdle()
		assert.Positive(t, f.runningTasks(id))
		assert.Positive(t, f.runningTasks(f.first))
		assert.Equal(t, id, f.newestDeployment())
		f.mustSend("POST", path+"/resume", "", nil) // maintains the completed deployment
		f.awaitOneTaskEach(f.first, f.instances...)
		f.assertLimits(n-lack, 0)
	})
	t.Run("pause and resume", func(t *testing.T) {
		t.Parallel()
		f, id, path := begin(t)
		f.mustSend("POST", path+"/pause", "", nil)
		f.awaitIdle()
		assert.Equal(t, "IN_PROGRESS", f.getDeployment("logs", id).RolloutState)
		f.mustSend("POST", path+"/resume", "", nil)
		f.awaitState(id, "COMPLETED")
		f.awaitOneTaskEach(id, f.instances...)
		f.assertLimits(n-lack, 0)
	})
	t.Run("another update", func(t *testing.T) {
		t.Parallel()
		f, id, _ := begin(t)
		next := f.deployPatch(`{"taskDefinition":"agent:1","drainOrder":1}`)
		assert.Equal(t, "STOPPED", f.getDeployment("logs", id).RolloutState)
		f.awaitState(next, "COMPLETED")
		f.awaitOneTaskEach(next, f.instances...)
		f.assertLimits(n-lack, 0)
	})
	t.Run("from the new tasks first to the old ones", func(t *testing.T) {
		t.Parallel()
		f := newRollout(t, n, `{"minimumHealthyPercent":70,"maximumPercent":200}`)
		id := f.deployPatch(`{"taskDefinition":"agent:2"}`)
		testenv.Eventually(t, func() bool { return len(f.liveTasks(id)) > n/3 })
		next := f.deployPatch(`{"deploymentConfiguration":{"maximumPercent":null}}`)
		f.awaitState(next, "COMPLETED")
		f.awaitOneTaskEach(next, f.instances...)
		f.assertLimits(n-lack, n)
	})
	t.Run("the leader goes", func(t *testing.T) {
		t.Parallel()
		f := newRollout(t, n, `{"minimumHealthyPercent":70}`)
		second := f.startReplica(f.system)
		id := f.deployPatch(`{"taskDefinition":"agent:2"}`)
		f.awaitMiddle(id)
		f.stop()
		f.scheduler = second
		f.awaitState(id, "COMPLETED")
		f.awaitOneTaskEach(id, f.instances...)
		f.assertLimits(n-lack, 0)
	})
}

// awaitIdle waits until nothing is on its way any more. What was called before the pause may still come.
func (f *rollout) awaitIdle() {
	f.t.Helper()
	testenv.Eventually(f.t, func() bool {
		for _, task := range f.sim.Tasks("prod") {
			if task.Live() && (task.LastStatus != "RUNNING" || task.DesiredStatus != "RUNNING") {
				return false
			}
		}
		return !f.hasOpenLaunches("logs")
	}, "it does not come to rest")
}

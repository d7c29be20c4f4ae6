package e2e

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/blox/blox/internal/testenv"
)

// A rollout in progress keeps within its limits while users stop, pause or replace it, or its leader changes.
func TestRollout_CanBeChangedInProgress(t *testing.T) {
	t.Parallel()
	const n, maxUnavailable = 20, 6
	startRollout := func(t *testing.T) (f *rollout, id, path string) {
		t.Helper()
		f = newRollout(t, n, `{"minimumHealthyPercent":70}`)
		id = f.deployPatch(`{"taskDefinition":"agent:2"}`)
		f.awaitMiddle(id)
		return f, id, "/v1/environments/logs"
	}
	t.Run("stop with rollback", func(t *testing.T) {
		t.Parallel()
		f, id, path := startRollout(t)
		f.mustSend("POST", path+"/deployments/"+id+"/stop?type=ROLLBACK", "", nil)
		assert.Equal(t, "STOPPED", f.getDeployment("logs", id).RolloutState)
		rollback := f.newestDeployment()
		assert.Equal(t, id, f.awaitState(rollback, "COMPLETED").RollbackOf)
		testenv.Eventually(t, func() bool {
			return f.runningTasks(f.first)+f.runningTasks(rollback) == n && len(f.liveTasks(id)) == 0
		})
		assert.Positive(t, f.runningTasks(f.first), "some instances keep their first task")
		testenv.Eventually(t, func() bool { // the rollback counts the adopted tasks
			shown, first := f.getDeployment("logs", rollback).RunningCount, f.getDeployment("logs", f.first).RunningCount
			return shown != nil && *shown == n && first != nil && *first == 0
		})
		f.assertLimits(n-maxUnavailable, 0)
	})
	t.Run("abort and resume", func(t *testing.T) {
		t.Parallel()
		f, id, path := startRollout(t)
		f.mustSend("POST", path+"/deployments/"+id+"/stop?type=ABORT", "", nil)
		assert.Equal(t, "paused", f.getEnvironment("logs").Status)
		f.awaitIdle()
		assert.Positive(t, f.runningTasks(id))
		assert.Positive(t, f.runningTasks(f.first))
		assert.Equal(t, id, f.newestDeployment())
		f.mustSend("POST", path+"/resume", "", nil) // maintains the completed deployment
		f.awaitOneTaskEach(f.first, f.instances...)
		f.assertLimits(n-maxUnavailable, 0)
	})
	t.Run("pause and resume", func(t *testing.T) {
		t.Parallel()
		f, id, path := startRollout(t)
		f.mustSend("POST", path+"/pause", "", nil)
		f.awaitIdle()
		assert.Equal(t, "IN_PROGRESS", f.getDeployment("logs", id).RolloutState)
		f.mustSend("POST", path+"/resume", "", nil)
		f.awaitState(id, "COMPLETED")
		f.awaitOneTaskEach(id, f.instances...)
		f.assertLimits(n-maxUnavailable, 0)
	})
	t.Run("another update", func(t *testing.T) {
		t.Parallel()
		f, id, _ := startRollout(t)
		next := f.deployPatch(`{"taskDefinition":"agent:1","drainOrder":1}`)
		assert.Equal(t, "STOPPED", f.getDeployment("logs", id).RolloutState)
		f.awaitState(next, "COMPLETED")
		f.awaitOneTaskEachOf(f.first, next, id) // the deployment keeps equal tasks
		f.assertLimits(n-maxUnavailable, 0)
	})
	t.Run("from start-before-stop to stop-before-start", func(t *testing.T) {
		t.Parallel()
		f := newRollout(t, n, `{"minimumHealthyPercent":70,"maximumPercent":200}`)
		id := f.deployPatch(`{"taskDefinition":"agent:2"}`)
		testenv.Eventually(t, func() bool { return len(f.liveTasks(id)) > n/3 })
		next := f.deployPatch(`{"deploymentConfiguration":{"maximumPercent":null}}`)
		f.awaitState(next, "COMPLETED")
		f.awaitOneTaskEachOf(id, next, f.first) // the deployment keeps equal tasks
		f.assertLimits(n-maxUnavailable, n)
	})
	t.Run("the leader changes", func(t *testing.T) {
		t.Parallel()
		f := newRollout(t, n, `{"minimumHealthyPercent":70}`)
		second := f.startReplica(f.system)
		id := f.deployPatch(`{"taskDefinition":"agent:2"}`)
		f.awaitMiddle(id)
		f.stop()
		f.scheduler = second
		f.awaitState(id, "COMPLETED")
		f.awaitOneTaskEach(id, f.instances...)
		f.assertLimits(n-maxUnavailable, 0)
	})
}

// awaitOneTaskEachOf waits until each instance has one live task, RUNNING, of one of two deployments, and the
// superseded one has none.
func (f *rollout) awaitOneTaskEachOf(one, other, superseded string) {
	f.t.Helper()
	testenv.Eventually(f.t, func() bool {
		running, live := f.runningTasks(one)+f.runningTasks(other), len(f.liveTasks(one))+len(f.liveTasks(other))
		return running == len(f.instances) && live == len(f.instances) && len(f.liveTasks(superseded)) == 0
	}, "not one task on each instance")
}

// awaitIdle waits until no task starts or stops. Calls that precede a pause may still take effect.
func (f *rollout) awaitIdle() {
	f.t.Helper()
	testenv.Eventually(f.t, func() bool {
		for _, task := range f.sim.Tasks("prod") {
			if task.Live() && (task.LastStatus != "RUNNING" || task.DesiredStatus != "RUNNING") {
				return false
			}
		}
		return !f.hasOpenLaunches("logs")
	}, "tasks still start or stop")
}

package e2e

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/blox/blox/internal/ecssim"
	"github.com/blox/blox/internal/testenv"
	"github.com/blox/blox/swagger/daemon-scheduler/v1/models"
)

func TestRollout_LimitsFailingTaskDefinition(t *testing.T) {
	t.Parallel()
	const n, maxUnavailable = 20, 10
	faults := ecssim.Faults{
		FailToRun: map[string]float64{"never-runs": 1},
		Exits:     map[string]ecssim.Exit{"dies": {Fraction: 1, After: ecssim.Duration(10 * time.Millisecond), ExitCode: 1}},
	}
	deployFaulty := func(t *testing.T, family, breaker string) (f *rollout, id string, before map[string]string) {
		t.Helper()
		f = newRollout(t, n, `{"minimumHealthyPercent":50,"deploymentCircuitBreaker":`+breaker+`}`)
		f.sim.SetFaults(faults)
		memory := 64
		if family == "does-not-fit" {
			memory = 100_000
		}
		require.NotEmpty(t, f.sim.RegisterTaskDefinition(family, ecssim.WithMemory(memory)))
		before = f.taskByInstance(f.first)
		return f, f.deployPatch(`{"taskDefinition":"` + family + `"}`), before
	}
	for family, reason := range map[string]string{
		"never-runs": "Task failed to start", "dies": "failures (threshold 5).", "does-not-fit": "RESOURCE:MEMORY on arn:",
	} {
		t.Run(family+" rolls back", func(t *testing.T) {
			t.Parallel()
			f, id, before := deployFaulty(t, family, `{"enable":true,"rollback":true,"threshold":5}`)
			failed := f.awaitState(id, "FAILED")
			assert.Contains(t, failed.RolloutStateReason, reason)
			assert.Equal(t, "completed", *failed.Status)
			assert.GreaterOrEqual(t, failed.FailedTasks, int64(5))
			assert.NotNil(t, failed.FinishedAt)
			rollback := f.newestDeployment()
			shown := f.awaitState(rollback, "COMPLETED")
			assert.Equal(t, id, shown.RollbackOf)
			assert.EqualValues(t, 1, shown.Revision)
			testenv.Eventually(t, func() bool {
				return f.runningTasks(f.first)+f.runningTasks(rollback) == n && len(f.liveTasks(id)) == 0
			})
			kept := 0
			for instance, task := range f.taskByInstance(f.first) {
				assert.Equal(t, before[instance], task, "the rollback restarts no unchanged task")
				kept++
			}
			assert.GreaterOrEqual(t, kept, n-maxUnavailable)
			assert.Less(t, kept, n)
			f.assertLimits(n-maxUnavailable, 0)
			testenv.Eventually(t, func() bool { return *f.getEnvironment("logs").Health == "healthy" })
			assert.Equal(t, "active", f.getEnvironment("logs").Status)
		})
	}
	t.Run("without a circuit breaker, the rollout stops at its limit", func(t *testing.T) {
		t.Parallel()
		f, id, before := deployFaulty(t, "dies", `{}`)
		waiting := func() (n int) {
			for _, status := range f.instanceStatuses("logs") {
				if status == "outdated: Waiting for the rollout: at most 10 instances may be without a running task." {
					n++
				}
			}
			return n
		}
		testenv.Eventually(t, func() bool {
			return waiting() == n-maxUnavailable && f.runningTasks(f.first) == n-maxUnavailable &&
				f.getDeployment("logs", id).FailedTasks >= 2*maxUnavailable
		}, "the rollout does not reach its limit")
		for instance, task := range f.taskByInstance(f.first) {
			assert.Equal(t, before[instance], task)
		}
		assert.Equal(t, "IN_PROGRESS", f.getDeployment("logs", id).RolloutState)
		assert.EqualValues(t, "unhealthy", *f.getEnvironment("logs").Health)
		f.assertLimits(n-maxUnavailable, 0)
	})
	t.Run("start-before-stop keeps all old tasks", func(t *testing.T) {
		t.Parallel()
		f := newRollout(t, n, `{"maximumPercent":200}`)
		f.sim.SetFaults(faults)
		require.NotEmpty(t, f.sim.RegisterTaskDefinition("dies"))
		before := f.taskByInstance(f.first)
		id := f.deployPatch(`{"taskDefinition":"dies"}`)
		testenv.Eventually(t, func() bool { return f.getDeployment("logs", id).FailedTasks >= n })
		assert.Equal(t, before, f.taskByInstance(f.first))
		f.assertLimits(n, 0)
		assert.Equal(t, "IN_PROGRESS", f.getDeployment("logs", id).RolloutState)
	})
	t.Run("without rollback, the environment is paused", func(t *testing.T) {
		t.Parallel()
		f, id, _ := deployFaulty(t, "never-runs", `{"enable":true,"threshold":5}`)
		f.awaitState(id, "FAILED")
		e := f.getEnvironment("logs")
		assert.Equal(t, "paused", e.Status)
		assert.Equal(t, id, e.PausedBy)
		assert.Equal(t, id, f.newestDeployment(), "no rollback is created")
		f.assertLimits(n-maxUnavailable, 0)

		good := f.deployPatch(`{"taskDefinition":"agent:2"}`) // ends the pause
		f.awaitState(good, "COMPLETED")
		f.awaitOneTaskEach(good, f.instances...)
		f.assertLimits(n-maxUnavailable, 0)
	})
	t.Run("the first deployment pauses the environment", func(t *testing.T) {
		t.Parallel()
		w := newSystem(t)
		w.sim.AddInstances("prod", 4)
		w.sim.SetFaults(faults)
		require.NotEmpty(t, w.sim.RegisterTaskDefinition("never-runs"))
		d := w.startServices()
		var e models.Environment
		d.mustSend("POST", "/v1/environments", `{"name":"logs","instanceGroup":{"cluster":"prod"},"taskDefinition":"never-runs",
			"deploymentConfiguration":{"deploymentCircuitBreaker":{"enable":true,"rollback":true}}}`, &e)
		f := &rollout{scheduler: d}
		f.awaitState(d.deploy(e), "FAILED")
		assert.Equal(t, "paused", d.getEnvironment("logs").Status, "there is no deployment to roll back to")
	})
}

package command_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/blox/blox/internal/ecssim"
	"github.com/blox/blox/internal/testenv"
	"github.com/blox/blox/swagger/daemon-scheduler/v1/models"
)

// oneBatch are the flags of an environment that changes all instances at the same time, so that failures happen soon.
var oneBatch = []string{"--minimum-healthy-percent", "0", "--cluster", "default"}

// prepareCluster adds instances and registers the task definition "bad", whose tasks all fail to start.
func (h *harness) prepareCluster(instances int) {
	h.sim.AddInstances("default", instances)
	h.sim.RegisterTaskDefinition("bad", ecssim.WithCPU(64), ecssim.WithMemory(64))
	h.mustRun("sim", "faults", "set", `{"failToRun": {"bad": 1}}`)
	testenv.Eventually(h.t, func() bool {
		rows := strings.Split(h.run("instances", "list", "--cluster", "default").out, "\n")
		return len(rows) == instances+2
	})
}

func TestWatch_ReportsAFailedDeployment(t *testing.T) {
	h := newHarness(t)
	h.prepareCluster(4)
	h.mustRun(append([]string{"environments", "create", "web-agent", "--task-definition", "bad", "--circuit-breaker",
		"pause", "--circuit-breaker-threshold", "1"}, oneBatch...)...)
	r := h.run("deployments", "create", "web-agent", "--watch")
	assert.Equal(t, 3, r.code, r.err)
	assert.Regexp(t, `\n  failed on [0-9a-f]{32}: STOPPED: Task failed to start \(TaskFailedToStart; container bad: `+
		`CannotPullContainerError: .*\n`, r.err)
	assert.Regexp(t, `\nFailed after [0-9.a-z]+\. .*Circuit breaker tripped: `, r.err)
	assert.Equal(t, "FAILED", tableRows(r.out)[0][1])
	assert.Equal(t, 3, h.run("deployments", "watch", "web-agent").code, "also afterwards")
	assert.Contains(t, h.mustRun("environments", "describe", "web-agent"), "Status:            paused\n")
}

func TestWatch_FollowsTheRollback(t *testing.T) {
	h := newHarness(t)
	h.prepareCluster(4)
	h.mustRun(append([]string{"environments", "create", "web-agent", "--task-definition", "agent", "--circuit-breaker",
		"rollback", "--circuit-breaker-threshold", "1"}, oneBatch...)...)
	require.Equal(t, 0, h.run("deployments", "create", "web-agent", "--watch").code)
	h.mustRun("environments", "update", "web-agent", "--task-definition", "bad")
	r := h.run("deployments", "create", "web-agent", "--watch", "-o", "json")
	assert.Equal(t, 5, r.code, r.err)
	assert.Regexp(t,
		`(?s)Deployment .* of web-agent: bad:1\n.*Failed after .*Rollback: deployment .* of web-agent: `+
			`agent:1\n.*Completed in `, r.err)
	assert.Contains(t, r.out, `"rollbackOf": "`)
	assert.Contains(t, r.out, `"rolloutState": "COMPLETED"`)
}

func TestWatch_ReportsAStoppedDeployment(t *testing.T) {
	h := newHarness(t)
	h.prepareCluster(2)
	h.mustRun(append([]string{"environments", "create", "web-agent", "--task-definition", "agent"}, oneBatch...)...)
	require.Equal(t, 0, h.run("deployments", "create", "web-agent", "--watch").code)
	h.mustRun("environments", "update", "web-agent", "--task-definition", "bad")

	over := h.run("deployments", "create", "web-agent", "--watch", "--watch-for", "1ns")
	assert.Equal(t, 6, over.code, over.err)
	assert.Contains(t,
		over.err, `Still in progress after 1ns. The deployment continues; "blox deployments watch web-agent" watches it `+
			`again.`)

	first := h.start("deployments", "watch", "web-agent")
	first.awaitOutput("Deployment ")
	first.interrupt()
	assert.Equal(t, 130, first.awaitExit())
	assert.Contains(t,
		first.err.String(), `Interrupted. The deployment continues; "blox deployments watch web-agent" watches it again.`)

	aborted := h.start("deployments", "watch", "web-agent")
	aborted.awaitOutput("failed on ")
	assert.Contains(t, h.mustRun("deployments", "stop", "web-agent", "--type", "abort"), "State:            STOPPED\n")
	assert.Equal(t, 4, aborted.awaitExit())
	assert.Contains(t, aborted.err.String(), "Stopped after ")
	assert.Contains(t, h.run("deployments", "stop", "web-agent").err,
		"environment web-agent has no deployment in progress")

	used := h.run("deployments", "create", "web-agent")
	assert.Equal(t, 1, used.code)
	assert.Contains(t, used.err, "nothing to deploy: revision 2 of environment web-agent was deployed before; deployment ")
	assert.Contains(t, used.err, " is STOPPED\n")
	assert.Contains(t, used.err, "--force-new-deployment\" deploys it again")
	h.mustRun("deployments", "create", "web-agent", "--force-new-deployment")
	stopped := h.start("deployments", "watch", "web-agent")
	stopped.awaitOutput("failed on ")
	back := h.run("deployments", "stop", "web-agent", "--watch")
	assert.Equal(t, 0, back.code, back.err)
	assert.Contains(t, back.err, "Rollback: ")
	assert.Equal(t, 5, stopped.awaitExit())
	assert.Contains(t, stopped.err.String(), "Rollback: ")
}

func TestWatch_AnnouncesCanaryAndPause(t *testing.T) {
	h := newHarness(t)
	h.prepareCluster(4)
	h.mustRun(append([]string{"environments", "create", "web-agent", "--task-definition", "agent"}, oneBatch...)...)
	require.Equal(t, 0, h.run("deployments", "create", "web-agent", "--watch").code)
	h.sim.RegisterTaskDefinition("agent")
	h.mustRun("environments", "update", "web-agent", "--task-definition", "agent", "--canary-percent", "25")
	stream := h.start("stream", "environments")
	r := h.start("deployments", "create", "web-agent", "--watch")
	r.awaitOutput("The deployment starts with a canary (25%), then waits for \"blox deployments promote web-agent\".\n")
	r.awaitOutput("  1 of 4 updated, 3 on the previous revision, waiting for promotion\n")
	assert.Equal(t, "WAITING_FOR_PROMOTION", tableRows(h.mustRun("deployments", "list", "web-agent"))[0][1])
	assert.Equal(t, "WAITING_FOR_PROMOTION", h.field("State", "deployments", "describe", "web-agent"))
	assert.Equal(t, "1 of 4 updated, 3 on the previous revision, waiting for promotion",
		h.field("Instances", "deployments", "describe", "web-agent"))
	stream.awaitOutput(" revision 2, agent:2, 0 of 4 updated, 4 on the previous revision\n")
	h.mustRun("environments", "pause", "web-agent")
	r.awaitOutput("the environment is paused")
	h.mustRun("environments", "resume", "web-agent")
	r.awaitOutput("no longer paused")
	h.mustRun("deployments", "promote", "web-agent")
	assert.Equal(t, 0, r.awaitExit())
	assert.Contains(t, r.err.String(), "  4 of 4 updated\n")
	assert.Contains(t, h.run("deployments", "promote", "web-agent").err,
		"environment web-agent has no deployment in progress")
}

// A restart replaces tasks by others of the same revision.
func TestRestart_CountsReplacedTasks(t *testing.T) {
	h := newHarness(t)
	h.prepareCluster(2)
	h.mustRun("environments", "create", "web-agent", "--task-definition", "agent", "--cluster", "default",
		"--max-unavailable", "1")
	require.Equal(t, 0, h.run("deployments", "create", "web-agent", "--watch").code)
	h.sim.SetFaults(ecssim.Faults{StartFailures: 1})
	r := h.start("restart", "web-agent", "--watch")
	r.awaitOutput("  0 of 2 replaced, 1 of the previous deployment, 1 failed\n")
	h.sim.SetFaults(ecssim.Faults{})
	assert.Equal(t, 0, r.awaitExit())
	assert.Contains(t, r.err.String(), "  2 of 2 replaced\n")
	assert.NotContains(t, r.err.String(), "previous revision")
}

// A watched deployment survives an outage of the service.
func TestWatch_OutlivesAnOutage(t *testing.T) {
	h := newHarness(t)
	h.prepareCluster(1)
	h.mustRun(append([]string{"environments", "create", "web-agent", "--task-definition", "bad"}, oneBatch...)...)
	proxy := testenv.NewProxy(t, h.ds)
	r := h.start("--endpoint", proxy.Address(), "deployments", "create", "web-agent", "--watch")
	r.awaitOutput("failed on ")
	proxy.SetDisconnected(true)
	r.awaitOutput("; retrying")
	h.mustRun("deployments", "stop", "web-agent", "--type", "ABORT")
	proxy.SetDisconnected(false)
	assert.Equal(t, 4, r.awaitExit())
}

func TestDelete_WaitEndsWithTheEnvironment(t *testing.T) {
	h := newHarness(t)
	h.prepareCluster(1)
	h.mustRun(append([]string{"environments", "create", "web-agent", "--task-definition", "agent"}, oneBatch...)...)
	require.Equal(t, 0, h.run("deployments", "create", "web-agent", "--watch").code)
	h.sim.SetFaults(ecssim.Faults{Throttle: map[string]float64{"StopTask": 1}})
	r := h.start("environments", "delete", "web-agent", "--yes", "--stop-tasks", "--wait")
	testenv.Eventually(t, func() bool {
		var e models.Environment
		h.mustRunJSON(&e, "environments", "describe", "web-agent")
		return e.Status == "deleting"
	})
	select {
	case code := <-r.code:
		t.Errorf("the command exited before the environment was deleted: exit code %d", code)
	case <-time.After(0):
	}
	h.sim.SetFaults(ecssim.Faults{})
	assert.Equal(t, 0, r.awaitExit())
	assert.Equal(t, 1, h.run("environments", "describe", "web-agent").code)

	h.mustRun("environments", "delete", "web-agent", "--ignore-not-found", "--wait")
}

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

// atOnce is an environment whose instances all change at the same time, so that what fails fails soon.
var atOnce = []string{"--minimum-healthy-percent", "0", "--cluster", "default"}

// withBad adds instances, and a task definition "bad" whose tasks all fail to start.
func (w *world) withBad(instances int) {
	w.sim.AddInstances("default", instances)
	w.sim.RegisterTaskDefinition("bad", ecssim.WithCPU(64), ecssim.WithMemory(64))
	w.ok("sim", "faults", "set", `{"failToRun": {"bad": 1}}`)
	testenv.Eventually(w.t, func() bool {
		rows := strings.Split(w.blox("instances", "list", "--cluster", "default").out, "\n")
		return len(rows) == instances+2
	})
}

func TestWatch_ReportsAFailedDeployment(t *testing.T) {
	w := newWorld(t)
	w.withBad(4)
	w.ok(append([]string{"environments", "create", "web-agent", "--task-definition", "bad", "--circuit-breaker", "pause", "--circuit-breaker-threshold", "1"}, atOnce...)...)
	r := w.blox("deployments", "create", "web-agent", "--watch")
	assert.Equal(t, 3, r.code, r.err)
	assert.Regexp(t, `\n  failed on [0-9a-f]{32}: STOPPED: Task failed to start\n`, r.err)
	assert.Regexp(t, `\nFailed after [0-9.a-z]+\. .*Circuit breaker tripped: `, r.err)
	assert.Equal(t, "FAILED", table(r.out)[0][1])
	assert.Equal(t, 3, w.blox("deployments", "watch", "web-agent").code, "also afterwards")
	assert.Contains(t, w.ok("environments", "describe", "web-agent"), "Status:            paused\n")
}

func TestWatch_FollowsTheRollback(t *testing.T) {
	w := newWorld(t)
	w.withBad(4)
	w.ok(append([]string{"environments", "create", "web-agent", "--task-definition", "agent", "--circuit-breaker", "rollback", "--circuit-breaker-threshold", "1"}, atOnce...)...)
	require.Equal(t, 0, w.blox("deployments", "create", "web-agent", "--watch").code)
	w.ok("environments", "update", "web-agent", "--task-definition", "bad")
	r := w.blox("deployments", "create", "web-agent", "--watch", "-o", "json")
	assert.Equal(t, 5, r.code, r.err)
	assert.Regexp(t, `(?s)Deployment .* of web-agent: bad:1\n.*Failed after .*Rollback: deployment .* of web-agent: agent:1\n.*Completed in `, r.err)
	assert.Contains(t, r.out, `"rollbackOf": "`)
	assert.Contains(t, r.out, `"rolloutState": "COMPLETED"`)
}

func TestWatch_ReportsAStoppedDeployment(t *testing.T) {
	w := newWorld(t)
	w.withBad(2)
	w.ok(append([]string{"environments", "create", "web-agent", "--task-definition", "agent"}, atOnce...)...)
	require.Equal(t, 0, w.blox("deployments", "create", "web-agent", "--watch").code)
	w.ok("environments", "update", "web-agent", "--task-definition", "bad")

	over := w.blox("deployments", "create", "web-agent", "--watch", "--watch-for", "1ns")
	assert.Equal(t, 6, over.code, over.err)
	assert.Contains(t, over.err, `Still in progress after 1ns. The deployment continues; "blox deployments watch web-agent" watches it again.`)

	first := w.start("deployments", "watch", "web-agent")
	first.says("Deployment ")
	first.interrupt()
	assert.Equal(t, 130, first.end())
	assert.Contains(t, first.err.String(), `Interrupted. The deployment continues; "blox deployments watch web-agent" watches it again.`)

	aborted := w.start("deployments", "watch", "web-agent")
	aborted.says("failed on ")
	assert.Contains(t, w.ok("deployments", "stop", "web-agent", "--type", "abort"), "State:            STOPPED\n")
	assert.Equal(t, 4, aborted.end())
	assert.Contains(t, aborted.err.String(), "Stopped after ")
	assert.Contains(t, w.blox("deployments", "stop", "web-agent").err, "environment web-agent has no deployment in progress")

	used := w.blox("deployments", "create", "web-agent")
	assert.Equal(t, 1, used.code)
	assert.Contains(t, used.err, "nothing to deploy: revision 2 of environment web-agent was deployed before; deployment ")
	assert.Contains(t, used.err, " is STOPPED\n")
	assert.Contains(t, used.err, "--force-new-deployment\" deploys it again")
	w.ok("deployments", "create", "web-agent", "--force-new-deployment")
	stopped := w.start("deployments", "watch", "web-agent")
	stopped.says("failed on ")
	back := w.blox("deployments", "stop", "web-agent", "--watch")
	assert.Equal(t, 0, back.code, back.err)
	assert.Contains(t, back.err, "Rollback: ")
	assert.Equal(t, 5, stopped.end())
	assert.Contains(t, stopped.err.String(), "Rollback: ")
}

func TestWatch_AnnouncesCanaryAndPause(t *testing.T) {
	w := newWorld(t)
	w.withBad(4)
	w.ok(append([]string{"environments", "create", "web-agent", "--task-definition", "agent"}, atOnce...)...)
	require.Equal(t, 0, w.blox("deployments", "create", "web-agent", "--watch").code)
	w.sim.RegisterTaskDefinition("agent")
	w.ok("environments", "update", "web-agent", "--task-definition", "agent", "--canary-percent", "25")
	r := w.start("deployments", "create", "web-agent", "--watch")
	r.says("The deployment starts with a canary (25%), then waits for \"blox deployments promote web-agent\".\n")
	r.says("  1/4 running\n")
	w.ok("environments", "pause", "web-agent")
	r.says("the environment is paused")
	w.ok("environments", "resume", "web-agent")
	r.says("no longer paused")
	w.ok("deployments", "promote", "web-agent")
	assert.Equal(t, 0, r.end())
	assert.Contains(t, r.err.String(), "  4/4 running\n")
	assert.Contains(t, w.blox("deployments", "promote", "web-agent").err, "environment web-agent has no deployment in progress")
}

// A service that goes away while a deployment is watched is waited for.
func TestWatch_OutlivesAnOutage(t *testing.T) {
	w := newWorld(t)
	w.withBad(1)
	w.ok(append([]string{"environments", "create", "web-agent", "--task-definition", "bad"}, atOnce...)...)
	proxy := testenv.NewProxy(t, w.ds)
	r := w.start("--endpoint", proxy.Address(), "deployments", "create", "web-agent", "--watch")
	r.says("failed on ")
	proxy.SetDisconnected(true)
	r.says("; retrying")
	w.ok("deployments", "stop", "web-agent", "--type", "ABORT")
	proxy.SetDisconnected(false)
	assert.Equal(t, 4, r.end())
}

func TestDelete_WaitEndsWithTheEnvironment(t *testing.T) {
	w := newWorld(t)
	w.withBad(1)
	w.ok(append([]string{"environments", "create", "web-agent", "--task-definition", "agent"}, atOnce...)...)
	require.Equal(t, 0, w.blox("deployments", "create", "web-agent", "--watch").code)
	w.sim.SetFaults(ecssim.Faults{Throttle: map[string]float64{"StopTask": 1}})
	r := w.start("environments", "delete", "web-agent", "--stop-tasks", "--wait")
	testenv.Eventually(t, func() bool {
		var e models.Environment
		w.json(&e, "environments", "describe", "web-agent")
		return e.Status == "deleting"
	})
	select {
	case code := <-r.code:
		t.Errorf("it has not waited: exit code %d", code)
	case <-time.After(0):
	}
	w.sim.SetFaults(ecssim.Faults{})
	assert.Equal(t, 0, r.end())
	assert.Equal(t, 1, w.blox("environments", "describe", "web-agent").code)

	w.ok("environments", "delete", "web-agent", "--wait")
}

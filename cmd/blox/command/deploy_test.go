package command_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestDeploy_ChangesDeploysRestartsAndRollsBack(t *testing.T) {
	h := newHarness(t)
	h.prepareCluster(2)
	h.sim.RegisterTaskDefinition("agent")
	h.mustRun("environments", "create", "logs", "--cluster", "default", "--task-definition", "agent:1")
	assert.Contains(t, h.run("restart", "logs").err, "environment logs was never deployed")
	require.Equal(t, 0, h.run("deploy", "logs", "--watch").code)
	deployed := h.run("deploy", "logs", "--task-definition", "agent:2", "--watch")
	require.Equal(t, 0, deployed.code, deployed.err)
	assert.Contains(t, deployed.out, "  COMPLETED  agent:2  ")
	again := h.run("deploy", "logs", "--task-definition", "agent:2")
	assert.Equal(t, 1, again.code)
	assert.Contains(t, again.err, "blox: nothing to deploy: deployment ")

	// A newer revision that is not deployed stays so.
	h.mustRun("environments", "update", "logs", "--drain-order", "3")
	before := h.sim.Counters().Calls["StartTask"]["succeeded"]
	restarted := h.run("restart", "logs", "--watch")
	require.Equal(t, 0, restarted.code, restarted.err)
	assert.Greater(t, h.sim.Counters().Calls["StartTask"]["succeeded"], before, "the same revision is started again")
	assert.Equal(t, "2 (newest: 3)", h.field("Revision", "environments", "describe", "logs"))

	planned := h.run("rollback", "logs", "--to-revision", "1", "--dry-run")
	require.Equal(t, 0, planned.code, planned.err)
	assert.Contains(t, planned.out, "stop")
	assert.Contains(t, planned.err, "agent:1 on logs, in ")
	assert.Equal(t, "2 (newest: 3)", h.field("Revision", "environments", "describe", "logs"), "nothing changes")
	assert.Equal(t, 2, h.run("rollback", "logs", "--dry-run", "--watch").code)
	back := h.run("rollback", "logs", "--to-revision", "1", "--watch")
	require.Equal(t, 0, back.code, back.err)
	assert.Equal(t, "1 (newest: 3)", h.field("Revision", "environments", "describe", "logs"))
	assert.Equal(t, 2, h.run("deploy", "logs", "--task-definition", "agent:1", "--revision", "1").code)

	actions := h.mustRun("events", "logs", "-o", "jsonpath={.items[*].action}")
	for _, want := range []string{"deploymentStarted", "deploymentCompleted", "taskStarted", "rollbackRequested"} {
		assert.Contains(t, actions, want+"\n")
	}
	assert.Equal(t, 2, h.run("events", "--limit", "0").code)
}

func TestVersion_NamesEveryComponent(t *testing.T) {
	h := newHarness(t)
	assert.Equal(t, "blox\ndaemon-scheduler\ncluster-state-service\n", h.mustRun("version", "-q"))
	assert.Len(t, tableRows(h.mustRun("version", "--client")), 1)
	h.environment["BLOX_ENDPOINT"] = "127.0.0.1:1"
	r := h.run("version")
	assert.Equal(t, 1, r.code)
	assert.Contains(t, r.out, "no connection to daemon-scheduler")
}

func TestContext_SelectsServices(t *testing.T) {
	h := newHarness(t)
	file := filepath.Join(t.TempDir(), "deep", "config.yml")
	h.environment["BLOX_CONFIG"] = file
	endpoint, css := h.environment["BLOX_ENDPOINT"], h.environment["BLOX_CSS_ENDPOINT"]
	delete(h.environment, "BLOX_ENDPOINT")
	delete(h.environment, "BLOX_CSS_ENDPOINT")

	h.mustRun("context", "set", "local", "--endpoint", endpoint, "--css-endpoint", css)
	h.mustRun("context", "set", "broken", "--endpoint", "http://127.0.0.1:1", "--ca", "ca.pem")
	assert.Equal(t, 0, h.run("environments", "list").code, "the first context is the current one")
	assert.Equal(t, "yes", tableRows(h.mustRun("context", "list", "--sort-by", "name"))[1][1])
	assert.Equal(t, 1, h.run("--context", "broken", "environments", "list").code)
	assert.Equal(t, 0, h.run("--context", "broken", "--endpoint", endpoint, "--ca", "", "environments", "list").code)
	h.mustRun("context", "use", "broken")
	assert.Equal(t, 1, h.run("environments", "list").code)
	h.environment["BLOX_CONTEXT"] = "local"
	assert.Equal(t, 0, h.run("environments", "list").code)
	delete(h.environment, "BLOX_CONTEXT")
	h.mustRun("context", "delete", "broken")

	r := h.run("--context", "gone", "environments", "list")
	assert.Equal(t, 2, r.code)
	assert.Contains(t, r.err, `--context: context "gone" does not exist; accepted: local`)
	assert.Equal(t, 1, h.run("context", "use", "gone").code)
	info, err := os.Stat(file)
	require.NoError(t, err)
	assert.EqualValues(t, 0o600, info.Mode().Perm(), "only its owner may read it")
	require.NoError(t, os.WriteFile(file, []byte("contexts: {a: {endpont: x}}"), 0o600))
	assert.Contains(t, h.run("environments", "list").err, "field endpont not found")
}

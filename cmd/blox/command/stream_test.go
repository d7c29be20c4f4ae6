package command_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"

	"github.com/blox/blox/internal/testenv"
	"github.com/blox/blox/internal/tlsconfig"
	"github.com/blox/blox/swagger/cluster-state-service/v1/models"
)

func TestStream_PrintsChanges(t *testing.T) {
	h := newHarness(t)
	texts := h.start("stream", "tasks")
	jsons := h.start("stream", "tasks", "-o", "json", "--heartbeat", "1")
	yamls := h.start("stream", "tasks", "-o", "yaml", "--heartbeat", "1")
	instances := h.start("stream", "instances", "--cluster", "default")
	environments := h.start("stream", "environments", "--deleted")
	jsons.awaitOutput(`"entityVersion":`) // the stream is connected
	yamls.awaitOutput("  entityVersion: \"")
	require.Equal(t, 0, h.run("sim", "instances", "add").code)
	instances.awaitOutput("ACTIVE         ")
	instances.awaitOutput("ECS agent connected, CPU 2048/2048, memory 7680/7680\n")
	// A stream starts at the current version when it connects, so the change repeats until the stream reports it.
	until := func(r *process, text string, do func()) {
		t.Helper()
		reported := func() bool {
			do()
			return strings.Contains(r.out.String(), text)
		}
		testenv.Eventually(t, reported, "%q is not in %s %s", text, r.out, r.err)
	}
	h.mustRun("environments", "create", "web-agent", "--cluster", "default", "--task-definition", "agent")
	until(environments, "paused     web-agent", func() {
		h.mustRun("environments", "pause", "web-agent")
		h.mustRun("environments", "resume", "web-agent")
	})
	h.mustRun("environments", "delete", "web-agent", "--yes")
	environments.awaitOutput("(deleted)  web-agent\n")
	until(texts, "RUNNING        ", func() { h.sim.StartFargateTask("default", "agent") })
	assert.Regexp(t, `(?m)^RUNNING        [0-9a-f]{32}  agent:1 on - in default$`, texts.out.String())
	for _, r := range []*process{texts, jsons, yamls, instances, environments} {
		r.interrupt()
		assert.Equal(t, 0, r.awaitExit(), "Ctrl-C ends a stream with success: %s", r.err)
		assert.Empty(t, r.err.String())
	}
	for _, line := range strings.Split(strings.TrimSpace(jsons.out.String()), "\n") {
		var task models.Task
		assert.NoError(t, json.Unmarshal([]byte(line), &task), line)
	}
	for decoder := yaml.NewDecoder(strings.NewReader(yamls.out.String())); ; {
		var document map[string]any
		if decoder.Decode(&document) != nil {
			break
		}
		assert.Contains(t, document, "metadata")
	}

	// --from replays all changes since a version.
	replayed := h.start("stream", "tasks", "--from", "1")
	replayed.awaitOutput("RUNNING        ")
	replayed.interrupt()
	assert.Equal(t, 0, replayed.awaitExit())
	wrong := h.run("stream", "tasks", "--from", "999999")
	assert.Equal(t, 1, wrong.code)
	assert.Contains(t, wrong.err, "Entity version is out of range\n")
	assert.Contains(t, wrong.err, "without --from")
}

func TestStream_ReportsWhyTheServiceEndedIt(t *testing.T) {
	h := newHarnessWithoutServices(t)
	stop := h.startClusterState(tlsconfig.Files{})
	testenv.Eventually(t, func() bool { return h.run("clusters", "list").code == 0 })
	r := h.start("stream", "tasks", "--heartbeat", "1", "-o", "json")
	r.awaitOutput("entityVersion")
	stop()
	assert.Equal(t, 1, r.awaitExit())
	assert.Regexp(t, `Resume without a gap: blox stream tasks --from \d+\n`, r.err.String())
}

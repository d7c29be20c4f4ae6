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
	w := newWorld(t)
	people, programs, yamls := w.start("stream", "tasks"), w.start("stream", "tasks", "-o", "json", "--heartbeat", "1"), w.start("stream", "tasks", "-o", "yaml", "--heartbeat", "1")
	instances, environments := w.start("stream", "instances", "--cluster", "default"), w.start("stream", "environments", "--deleted")
	programs.says(`{"metadata":{"entityVersion":`) // they are connected
	yamls.says("---\nmetadata:\n  entityVersion: \"")
	require.Equal(t, 0, w.blox("sim", "instances", "add").code)
	instances.says("ACTIVE         ")
	instances.says("agent connected, CPU 2048/2048, memory 7680/7680\n")
	// A stream begins where it is connected: something happens again and again until each has seen it.
	until := func(r *running, text string, do func()) {
		t.Helper()
		testenv.Eventually(t, func() bool { do(); return strings.Contains(r.out.String(), text) }, "%q is not in %s %s", text, r.out, r.err)
	}
	w.ok("environments", "create", "web-agent", "--cluster", "default", "--task-definition", "agent")
	until(environments, "paused     web-agent", func() { w.ok("environments", "pause", "web-agent"); w.ok("environments", "resume", "web-agent") })
	w.ok("environments", "delete", "web-agent")
	environments.says("(deleted)  web-agent\n")
	until(people, "RUNNING        ", func() { w.sim.StartFargateTask("default", "agent") })
	assert.Regexp(t, `(?m)^RUNNING        [0-9a-f]{32}  agent:1 on - in default$`, people.out.String())
	for _, r := range []*running{people, programs, yamls, instances, environments} {
		r.interrupt()
		assert.Equal(t, 0, r.end(), "Ctrl-C is how a stream ends: %s", r.err)
		assert.Empty(t, r.err.String())
	}
	for _, line := range strings.Split(strings.TrimSpace(programs.out.String()), "\n") {
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

	// From a version on, everything is told again.
	again := w.start("stream", "tasks", "--from", "1")
	again.says("RUNNING        ")
	again.interrupt()
	assert.Equal(t, 0, again.end())
	wrong := w.blox("stream", "tasks", "--from", "999999")
	assert.Equal(t, 1, wrong.code)
	assert.Contains(t, wrong.err, "Entity version is out of range\n")
	assert.Contains(t, wrong.err, "without --from")
}

func TestStream_ReportsWhyTheServiceEndedIt(t *testing.T) {
	w := newAWS(t)
	stop := w.serveState(tlsconfig.Files{})
	testenv.Eventually(t, func() bool { return w.blox("clusters", "list").code == 0 })
	r := w.start("stream", "tasks", "--heartbeat", "1", "-o", "json")
	r.says("entityVersion")
	stop()
	assert.Equal(t, 1, r.end())
	assert.Regexp(t, `Resume without a gap: blox stream tasks --from \d+\n`, r.err.String())
}

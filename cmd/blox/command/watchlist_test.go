package command_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

// A watched list prints its rows, and afterwards those that change.
func TestList_WatchPrintsChanges(t *testing.T) {
	h := newHarness(t)
	h.prepareCluster(1)
	h.mustRun("environments", "create", "a", "--cluster", "default", "--task-definition", "agent")
	r := h.start("environments", "list", "--watch")
	r.awaitOutput("a     inactive  healthy  default  agent:1")
	h.mustRun("environments", "create", "b", "--cluster", "default", "--task-definition", "agent")
	r.awaitOutput("\nb     inactive  healthy  default  agent:1")
	h.mustRun("environments", "delete", "a", "--yes")
	r.awaitOutput("\na     (gone)")
	r.interrupt()
	assert.Equal(t, 0, r.awaitExit())
	assert.Empty(t, r.err.String())

	structured := h.run("tasks", "list", "--watch", "-o", "json")
	assert.Equal(t, 2, structured.code)
	assert.Contains(t, structured.err, `--watch prints rows: use -o table, wide or name, or "blox stream"`)
	assert.Equal(t, 1, h.run("deployments", "list", "gone", "--watch").code, "a permanent error ends it")
}

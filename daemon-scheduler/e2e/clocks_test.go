package e2e

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/blox/blox/internal/ecssim"
	"github.com/blox/blox/internal/testenv"
)

// A leader whose clock was an hour ahead has announced a start and has left. Its successor settles the start by its own
// clock.
func TestLaunch_OfALeaderWhoseClockWasAheadIsSettled(t *testing.T) {
	t.Parallel()
	w := newSystem(t)
	instance := w.sim.AddInstances("prod", 1)[0]
	w.refuse("StartTask", "ExpiredTokenException")
	css, _ := w.startCSS("127.0.0.1:0")
	d := w.startScheduler(css)
	id := d.deploy(d.createEnvironment("logs"))
	testenv.Eventually(t, func() bool { return w.refusedStarts("ExpiredTokenException") > 0 })
	d.stop()
	w.sim.SetFaults(ecssim.Faults{})
	assert.Empty(t, w.launchKeys())
	record, err := json.Marshal(map[string]any{
		"Deployment": id, "TaskDefinition": w.agent, "State": "open", "Attempts": 1,
		"NotAfter": time.Now().Add(time.Hour).UTC(),
	})
	require.NoError(t, err)
	w.putRecord("ecs/launch/logs/"+instance, string(record))

	w.startScheduler(css, "--start-confirm-timeout", "1s")
	w.awaitOneTaskEach(id, instance)
	w.assertNoDuplicates()
}

package e2e

import (
	"context"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/blox/blox/internal/harness"
	"github.com/blox/blox/internal/testenv/short"
)

// copyCommand opens an action, chooses an option unless that is empty, and returns the command that the page shows.
func (p *tab) copyCommand(action, choice string) string {
	p.t.Helper()
	p.openAction(action)
	if choice != "" {
		p.choose(choice)
	}
	p.await(confirmReady)
	command := p.textOf("dialog-command")
	p.click("#dialog-copy")
	p.await(`["Copied", "Selected"].includes(document.getElementById("dialog-copy").innerText)`)
	p.click("#dialog-cancel")
	return command
}

// The commands that the page shows do what its buttons do, as a shell runs them.
func TestPageActions_HaveCommands(t *testing.T) {
	short.Skip(t, "builds a program")
	t.Parallel()
	bin := t.TempDir()
	require.NoError(t, harness.Build(t.Context(), bin, "cmd/blox"))
	run := func(command string) {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		shell := exec.CommandContext(ctx, "sh", "-c", bin+"/"+command)
		shell.Env = []string{"HOME=" + bin}
		output, err := shell.CombinedOutput()
		require.NoError(t, err, "%s: %s", command, output)
	}
	f, p := newPageRollout(t, 3)
	run(p.copyCommand("pause", ""))
	assert.True(t, f.getEnvironment("logs").Paused)
	p.await(`!document.getElementById("action-resume").hidden`)
	run(p.copyCommand("resume", ""))
	assert.False(t, f.getEnvironment("logs").Paused)

	id := f.deployPatch(`{"taskDefinition":"agent:2","deploymentConfiguration":{"canary":{"steps":[
		{"count":1},{"count":2},{"count":3}]}}}`)
	p.await(containsText("rollout-text", "Canary step 1 of 3"))
	run(p.copyCommand("promote", ""))
	p.await(containsText("rollout-text", "Canary step 2 of 3"))
	abort := p.copyCommand("stop", "ABORT")
	run(p.copyCommand("promote", "full"))
	f.awaitState(id, "COMPLETED")
	p.await(containsText("rollout-text", "The rollout of agent:2 is completed"))
	run(p.copyCommand("rollback", ""))
	f.awaitState(f.newestDeployment(), "COMPLETED")
	assert.EqualValues(t, 1, f.getEnvironment("logs").EffectiveRevision)
	p.await(containsText("rollout-text", "The rollout of agent:1 is completed"))

	run(p.copyCommand("deploy", "2"))
	p.await(containsText("rollout-text", "Canary step 1 of 3"))
	id = f.newestDeployment()
	run(p.copyCommand("stop", "ABORT"))
	assert.Equal(t, "STOPPED", f.getDeployment("logs", id).RolloutState)
	assert.True(t, strings.HasPrefix(abort, "blox deployments stop logs "), abort)
}

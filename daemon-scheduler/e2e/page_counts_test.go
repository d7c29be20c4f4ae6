package e2e

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/blox/blox/internal/ecssim"
	"github.com/blox/blox/internal/testenv"
)

// shownCounts returns the counts of the selected environment that the page shows, by label.
func (p *tab) shownCounts() map[string]string {
	p.t.Helper()
	return evaluate[map[string]string](p, `Object.fromEntries([...document.querySelectorAll("#counts div")]
		.map((c) => [c.querySelector("dt").textContent, c.querySelector("dd").textContent]))`)
}

func (p *tab) awaitShownCounts(want map[string]string) {
	p.t.Helper()
	testenv.Eventually(p.t, func() bool { return assert.ObjectsAreEqual(want, p.shownCounts()) }, "not %v", want)
}

// During a rollout, the page shows how many instances are updated, and not that none of the new tasks runs.
func TestPage_ShowsCountsAndConditionsOfARollout(t *testing.T) {
	t.Parallel()
	d, instances, _ := startDeployed(t, 4)
	p := openTab(t, d.url+"/#env=logs")
	atRest := map[string]string{
		"desired": "4", "available": "4", "updated": "4",
	}
	p.awaitShownCounts(atRest)
	p.await(containsText("environments", "4 of 4 running"))

	require.NoError(t, d.sim.SetAgentConnected(instances[0], false))
	p.await(containsText("reason-rows", "The ECS agent on this instance has been disconnected since 20"))
	testenv.Eventually(t, func() bool { return p.shownCounts()["unreachable"] == "1" }) // by another stream
	require.NoError(t, d.sim.SetAgentConnected(instances[0], true))
	p.awaitShownCounts(atRest)

	d.sim.RegisterTaskDefinition("agent", ecssim.WithCPU(32), ecssim.WithMemory(64))
	d.deploy(d.patch("logs", `{"taskDefinition":"agent","deploymentConfiguration":{"canary":{"percent":50}}}`))
	p.awaitShownCounts(map[string]string{
		"desired": "4", "available": "4", "updated": "2",
	})
	p.awaitCounts(d, map[string]int{"running": 2, "outdated": 2})
	p.await(containsText("environments", "2 of 4 updated"))
	const since = `/WaitingForPromotion\s+\d\d:\d\d:\d\d\s+CanaryNotPromoted\s+The deployment/`
	p.await(since + `.test(document.getElementById("conditions").innerText)`)
	d.mustSend("POST", "/v1/environments/logs/pause", "", nil)
	p.await(containsText("conditions", "Paused"))
	e := d.getEnvironment("logs")
	assert.Equal(t, "DAEMON", e.EnvironmentType)
	assert.EqualValues(t, 2, *e.UpdatedCount)
	testenv.Eventually(t, func() bool { return *d.getEnvironment("logs").AvailableCount == 4 })
	assert.Zero(t, *e.UnreachableCount)
	assert.Zero(t, *e.MisscheduledCount)
	testenv.Eventually(t, func() bool {
		return d.metric("blox_ds_environment_instances", `environment="logs"`, `state="outdated"`) == 2
	})
}

// The page shows why tasks fail to start: ECS's stop code, and the reasons of containers.
func TestPage_ShowsTheReasonsOfContainers(t *testing.T) {
	t.Parallel()
	d, _, _ := startDeployed(t, 2)
	p := openTab(t, d.url+"/#env=logs")
	d.sim.RegisterTaskDefinition("agent", ecssim.WithCPU(32), ecssim.WithMemory(64))
	d.sim.SetFaults(ecssim.Faults{FailToRun: map[string]float64{"agent": 1}})
	d.deploy(d.patch("logs", `{"taskDefinition":"agent"}`))
	p.await(containsText("reason-rows", "Task failed to start (TaskFailedToStart; container") + " && " +
		containsText("reason-rows", "CannotPullContainerError"))
}

package e2e

import (
	"fmt"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/blox/blox/internal/ecssim"
	"github.com/blox/blox/internal/testenv"
)

// rect returns the position of an element's edges: top, right, bottom, left.
func (p *tab) rect(selector string) (edges [4]float64) {
	p.t.Helper()
	list := evaluate[[]float64](p, fmt.Sprintf(`(() => { const r = document.querySelector(%q).getBoundingClientRect();
		return [r.top, r.right, r.bottom, r.left]; })()`, selector))
	copy(edges[:], list)
	return edges
}

func TestPage_Layout(t *testing.T) {
	t.Parallel()
	d, _, _ := startDeployed(t, 40)
	for n := range 8 {
		d.createEnvironment(fmt.Sprintf("zz-%d", n))
	}
	p := openTab(t, d.url+"/#env=logs")
	p.awaitCounts(d, map[string]int{"running": 40})

	t.Run("the header is aligned with the columns on wide screens", func(t *testing.T) {
		p.setViewport(1920, 900)
		p.await(`document.documentElement.clientWidth > 1800`)
		top, bottom := p.rect(".brand"), p.rect(".side")
		assert.InDelta(t, bottom[3], top[3], 0.6)
		assert.InDelta(t, p.rect("main")[1], p.rect(".links")[1], 0.6)
		p.setViewport(1280, 900)
	})
	t.Run("the focus ring does not cross the help", func(t *testing.T) {
		p.Do(chromedp.Focus(chromedp.CSS("#grid")), chromedp.KeyEvent(kb.ArrowRight))
		ring := evaluate[float64](p, `(() => { const s = getComputedStyle(document.getElementById("grid"));
			return parseFloat(s.outlineOffset) + parseFloat(s.outlineWidth); })()`)
		assert.InDelta(t, 7, ring, 0.1, "the ring is visible")
		p.Do(chromedp.Evaluate[chromedp.Void](`document.getElementById("detail").hidden = true`)) // it keeps the help away
		assert.Greater(t, p.rect("#grid-help")[0], p.rect("#grid")[2]+ring)
		p.Do(chromedp.Evaluate[chromedp.Void](`document.getElementById("detail").hidden = false`))
	})
	t.Run("the list on a phone shows the selected environment whole", func(t *testing.T) {
		p.setViewport(390, 844)
		for _, name := range []string{"zz-7", "zz-3", "logs"} {
			p.Do(chromedp.Evaluate[chromedp.Void](`location.hash = "#env=` + name + `"`))
			testenv.Eventually(t, func() bool {
				if evaluate[string](p, `document.querySelector("[aria-current=true] .title")?.innerText`) != name {
					return false
				}
				list, selected := p.rect("#environments"), p.rect("[aria-current=true]")
				return selected[0] >= list[0] && selected[2] <= list[2]
			}, "%s is cut", name)
		}
		p.setViewport(1280, 900)
	})
	require.Empty(t, p.ConsoleErrors())
}

// Failing environments come first, whatever their names are.
func TestPage_ShowsFailingEnvironmentsFirst(t *testing.T) {
	t.Parallel()
	d, _, _ := startDeployed(t, 2)
	d.sim.RegisterTaskDefinition("other", ecssim.WithCPU(32), ecssim.WithMemory(64))
	d.mustSend("POST", "/v1/environments", `{"name":"zz","instanceGroup":{"cluster":"prod"},"taskDefinition":"other",`+
		`"deploymentConfiguration":{"deploymentCircuitBreaker":{"enable":true,"threshold":1}}}`, nil)
	d.sim.SetFaults(ecssim.Faults{StartFailures: 1, StartFailureReason: "RESOURCE:MEMORY"})
	id := d.deploy(d.getEnvironment("zz"))
	testenv.Eventually(t, func() bool { return d.getDeployment("zz", id).RolloutState == "FAILED" })
	p := openTab(t, d.url)
	const names = `[...document.querySelectorAll("#environments .title")].map((e) => e.textContent).join()`
	p.await(names + ` === "zz,logs"`)
	assert.Equal(t, "zz", p.textOf("environment-name"))
}

// The counts belong to the instances in the grid, also if the stream of the overview is behind. No number has the name
// of another one.
func TestPage_ShowsOneNumberForOneThing(t *testing.T) {
	t.Parallel()
	d, instances, _ := startDeployed(t, 6)
	p := openTab(t, d.url+"/#env=logs")
	p.awaitShownCounts(map[string]string{"desired": "6", "available": "6", "updated": "6"})
	p.Do(chromedp.Evaluate[chromedp.Void](`blox.state.streams.overview.connection.stop()`))
	d.sim.RegisterTaskDefinition("agent", ecssim.WithCPU(32), ecssim.WithMemory(64))
	d.deploy(d.patch("logs", `{"taskDefinition":"agent","deploymentConfiguration":{"canary":{"percent":50}}}`))
	p.awaitCounts(d, map[string]int{"running": 3, "outdated": 3})
	p.awaitShownCounts(map[string]string{"desired": "6", "available": "6", "updated": "3"})
	p.await(containsText("environments", "3 of 6 updated"))

	// A draining instance still runs its task, but it is not desired: never "6 of 5".
	d.mustSend("POST", "/v1/environments/logs/deployments/"+*d.listDeployments("logs")[0].ID+"/promote", "", nil)
	p.awaitCounts(d, map[string]int{"running": 6})
	d.startTask(instances[0], "workload") // holds the drain
	require.NoError(t, d.sim.DrainInstance(instances[0]))
	p.awaitCounts(d, map[string]int{"running": 5, "draining": 1})
	p.await(containsText("environments", "6 running, 5 desired"))
	assert.NotContains(t, p.textOf("environments"), "6 of 5")

	labels := evaluate[[]string](p, `[...document.querySelectorAll("#counts dt, #legend button span")]
		.map((e) => e.textContent.toLowerCase())`)
	unique := map[string]bool{}
	for _, label := range labels {
		assert.False(t, unique[label], "%s stands twice", label)
		unique[label] = true
	}
}

package e2e

import (
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const groupLabels = `[...document.querySelectorAll("#group-labels p")].map((p) => p.innerText).join("|")`

func TestPage_GroupsInstances(t *testing.T) {
	t.Parallel()
	w := newSystem(t)
	instances := w.sim.AddInstances("prod", 8) // the simulator spreads them over three zones
	w.setAttribute(instances[0], "stack", "blue")
	w.setAttribute(instances[1], "stack", "green")
	d := w.startServices()
	d.awaitReady()
	d.awaitCompleted("logs", d.deploy(d.createEnvironment("logs")))
	p := openTab(t, d.url+"/#env=logs")
	p.awaitCounts(d, map[string]int{"running": 8})
	assert.Empty(t, evaluate[string](p, groupLabels))

	p.Do(chromedp.SetValue(chromedp.CSS("#group-by"), "attribute:ecs.availability-zone"),
		chromedp.Evaluate[chromedp.Void](`document.getElementById("group-by").dispatchEvent(new Event("change"))`))
	const zones = "us-east-1a 3 of 3 running|us-east-1b 3 of 3 running|us-east-1c 2 of 2 running"
	p.await(groupLabels + ` === "` + zones + `"`)
	assert.Equal(t, "#env=logs&group=attribute:ecs.availability-zone", evaluate[string](p, `location.hash`))
	require.NoError(t, w.sim.DrainInstance(instances[2])) // in us-east-1c
	w.sim.AddInstances("prod", 1)                         // the ninth, in us-east-1c
	p.await(groupLabels + ` === "us-east-1a 3 of 3 running|us-east-1b 3 of 3 running|us-east-1c 2 of 3 running"`)

	// The arrow keys go from group to group, and the pointer finds the cells.
	const position = `blox.grid.selected`
	p.Do(chromedp.Focus(chromedp.CSS("#grid")), chromedp.KeyEvent(kb.Home), chromedp.KeyEvent(kb.ArrowDown))
	assert.Equal(t, 3, evaluate[int](p, position), "the first of us-east-1b")
	p.Do(chromedp.KeyEvent(kb.ArrowRight), chromedp.KeyEvent(kb.ArrowDown))
	assert.Equal(t, 7, evaluate[int](p, position))
	p.Do(chromedp.KeyEvent(kb.ArrowDown))
	assert.Equal(t, 7, evaluate[int](p, position), "there is no row below")
	p.Do(chromedp.KeyEvent(kb.ArrowUp), chromedp.KeyEvent(kb.ArrowUp))
	assert.Equal(t, 1, evaluate[int](p, position))
	p.await(containsText("detail", "us-east-1a"))
	assert.Contains(t, evaluate[string](p, `document.querySelector(".cell:not([hidden])").getAttribute("aria-label")`),
		"us-east-1a, i-")
	p.Do(chromedp.Evaluate[chromedp.Void](`document.getElementById("canvas").scrollIntoView({ block: "center" })`))
	at := evaluate[[]float64](p, `(() => { const b = document.getElementById("canvas").getBoundingClientRect(),
		{ x, y } = blox.grid.cellLayout.position(8); return [b.left + x + 5, b.top + y + 5]; })()`)
	p.Do(chromedp.MouseClickXY(at[0], at[1]))
	assert.Equal(t, 8, evaluate[int](p, position))

	// The address has the choice, also of any other attribute.
	p.Do(chromedp.Navigate(d.url + "/?#env=logs&group=attribute:stack"))
	p.await(groupLabels + ` === "blue 1 of 1 running|green 1 of 1 running|(none) 6 of 7 running"`)
	assert.Equal(t, "stack", evaluate[string](p, `document.getElementById("group-attribute").value`))
	p.Do(chromedp.Evaluate[chromedp.Void](`document.getElementById("group-attribute").select()`))
	p.typeText("#group-attribute", "ecs.os-type\r")
	p.await(groupLabels + ` === "linux 8 of 9 running"`)
	w.sim.RegisterTaskDefinition("agent")
	d.deploy(d.patch("logs", `{"taskDefinition":"agent","deploymentConfiguration":{"canary":{"percent":50}}}`))
	p.await(groupLabels + ` === "linux 4 of 9 updated"`) // the others run, too
	assert.Equal(t, "#env=logs&group=attribute:ecs.os-type", evaluate[string](p, `location.hash`))
	p.Do(chromedp.Navigate(d.url + "/?x#env=logs&group=<script>"))
	p.awaitCounts(d, map[string]int{"running": 4, "outdated": 4, "draining": 1})
	assert.Empty(t, evaluate[string](p, groupLabels), "the API would refuse that")
	assert.Empty(t, p.ConsoleErrors())
}

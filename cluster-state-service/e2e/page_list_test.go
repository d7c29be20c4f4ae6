package e2e

import (
	"fmt"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/blox/blox/internal/ecssim"
	"github.com/blox/blox/internal/testenv"
)

// With 5,000 instances, the page loads and draws what the user scrolls through, and follows all changes of that.
func TestPage_LoadsOfALongListWhatItShows(t *testing.T) {
	t.Parallel()
	n, count := 5000, "5,000"
	if testenv.RaceEnabled { // still several pages
		n, count = 1000, "1,000"
	}
	w := newSystem(t, ecssim.Config{})
	instances := w.sim.AddInstances("prod", n)
	c := w.start()
	c.ready()
	p := openPage(t, c.url, "#/instances")
	p.awaitCount(count)
	elements := func() int { return testenv.Evaluate[int](p.Chromium, `document.querySelectorAll(".list-row").length`) }
	lists := func() (n int) {
		for _, request := range p.Requests() {
			if strings.Contains(request, "/v1/instances?") {
				n++
			}
		}
		return n
	}
	assert.Less(t, elements(), 60)
	assert.Equal(t, 1, lists(), "the first page")

	// End scrolls to the last loaded row, which loads the next page.
	p.Run(`document.getElementById("list").focus()`)
	p.Do(chromedp.KeyEvent(kb.End))
	p.Await(`document.getElementById("list").ariaRowCount > 300`)
	assert.Less(t, elements(), 60)
	// Focus on a filter scrolls to the top; the first row is drawn after that.
	p.Run(`document.querySelector("#selects select").focus()`)

	// Changes of rows on the screen show.
	shown := p.awaitValue(`document.querySelector('.list-row[aria-rowindex="2"]')?.dataset.key`)
	arn := shown[strings.Index(shown, "/")+1:]
	require.Contains(t, instances, arn)
	require.NoError(t, c.sim.DrainInstance(arn))
	p.Await(fmt.Sprintf(`document.getElementById("row-" + %q)?.innerText.includes("DRAINING")`, shown))

	// A filter is the server's work.
	p.visit("#/instances?status=DRAINING")
	p.awaitCount("1")
	require.NoError(t, c.sim.ActivateInstance(arn))
	p.awaitText("empty-title", "No container instance matches the filters")
	assert.Empty(t, p.ConsoleErrors())
}

func TestPage_IsUsableByKeyboardAndOnAPhone(t *testing.T) {
	t.Parallel()
	c, instances, _ := newExplorable(t)
	p := openPage(t, c.url, "#/tasks")
	p.awaitCount("4")
	const active = `document.getElementById(document.getElementById("list").getAttribute("aria-activedescendant"))`

	t.Run("keyboard", func(t *testing.T) {
		for range 40 { // from the top of the page
			if p.value(`document.activeElement.id`) == "list" {
				break
			}
			p.Do(chromedp.KeyEvent(kb.Tab))
		}
		require.Equal(t, "list", p.value(`document.activeElement.id`), "the tab key reaches the list")
		assert.Equal(t, "2", p.value(active+`.ariaRowIndex`), "the first row after the head")
		p.Do(chromedp.KeyEvent(kb.End))
		assert.Equal(t, "5", p.value(active+`.ariaRowIndex`))
		p.Do(chromedp.KeyEvent(kb.ArrowUp), chromedp.KeyEvent(kb.Enter))
		p.Await(`document.querySelector("#detail-body h2") !== null && document.querySelector("#detail-body h2").innerText === ` +
			active + `.querySelector(".main").innerText`)
		p.Do(chromedp.KeyEvent(kb.Escape))
		p.Await(`document.getElementById("detail").hidden && document.activeElement.id === "list"`)
		p.Do(chromedp.KeyEvent("/"))
		assert.Equal(t, "search", p.value(`document.activeElement.id`))
	})
	t.Run("names and labels", func(t *testing.T) {
		p.Run(`document.querySelector(".list-row").click()`)
		p.Await(`document.querySelector("#detail-body dl") !== null`)
		unnamed := testenv.Evaluate[[]string](p.Chromium, `[...document.querySelectorAll("button, input, select, a, [role], nav, aside")]
			.filter((e) => e.offsetParent && !e.textContent.trim() && !e.getAttribute("aria-label") &&
				!e.getAttribute("aria-labelledby") && !e.labels?.length && !e.matches("[role=gridcell]"))
			.map((e) => e.outerHTML.slice(0, 80))`)
		assert.Empty(t, unnamed)
		assert.Equal(t, "en", p.value(`document.documentElement.lang`))
	})
	for _, size := range []int64{360, 390, 820} {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			p.SetViewport(size, 844)
			for _, fragment := range []string{
				"#/clusters", "#/instances", "#/stopped", "#/instances?open=" + instances[0], p.value(`location.hash`),
			} {
				p.visit(fragment)
				p.Await(`document.getElementById("loading").hidden`)
				p.Await(`document.getElementById("detail").hidden || document.querySelector("#detail-body dl") !== null`)
				p.Await(fmt.Sprintf(`document.documentElement.clientWidth === %d && document.documentElement.scrollWidth <= %[1]d`, size))
				wide := testenv.Evaluate[[]string](p.Chromium, fmt.Sprintf(`[...document.querySelectorAll("body *")]
					.filter((e) => e.offsetParent && !e.closest(".list-row, .tabs") && e.getBoundingClientRect().right > %d)
					.map((e) => e.outerHTML.slice(0, 120))`, size+1))
				assert.Empty(t, wide, fragment)
			}
		})
	}
	assert.Empty(t, p.ConsoleErrors())
}

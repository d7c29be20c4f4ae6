package e2e

import (
	"fmt"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestPage_IsAccessible(t *testing.T) {
	t.Parallel()
	d, _, _ := startDeployed(t, 40)
	p := openTab(t, d.url)
	p.awaitCounts(d, map[string]int{"running": 40})

	t.Run("keyboard", func(t *testing.T) {
		const active = `document.getElementById(document.getElementById("grid").getAttribute("aria-activedescendant"))`
		const label, position = active + `?.getAttribute("aria-label")`, `Number(` + active + `?.getAttribute("aria-posinset"))`
		for range 40 { // from the top of the page
			if evaluate[string](p, `document.activeElement.id`) == "grid" {
				break
			}
			p.Do(chromedp.KeyEvent(kb.Tab))
			assert.True(t,
				evaluate[bool](p, `document.activeElement === document.body || document.activeElement.matches(":focus-visible")`))
		}
		require.Equal(t, "grid", evaluate[string](p, `document.activeElement.id`), "the tab key reaches the grid")
		assert.Equal(t, 1, evaluate[int](p, position))
		p.Do(chromedp.KeyEvent(kb.ArrowRight), chromedp.KeyEvent(kb.ArrowRight))
		assert.Equal(t, 3, evaluate[int](p, position))
		p.Do(chromedp.KeyEvent(kb.ArrowDown))
		assert.Equal(t, 3+evaluate[int](p, `blox.grid.columns`), evaluate[int](p, position))
		p.Do(chromedp.KeyEvent(kb.End), chromedp.KeyEvent(kb.ArrowRight))
		assert.Equal(t, 40, evaluate[int](p, position))
		p.Do(chromedp.KeyEvent(kb.Home))
		assert.Equal(t, 1, evaluate[int](p, position))
		assert.Contains(t, evaluate[string](p, label), "Running")
		p.await(containsText("detail", "Running"))
		assert.Equal(t, 1, evaluate[int](p, `document.querySelectorAll(".cell:not([hidden])").length`))
	})
	t.Run("pointer", func(t *testing.T) {
		p.Do(chromedp.Evaluate[chromedp.Void](`document.getElementById("canvas").scrollIntoView({ block: "center" })`))
		box := evaluate[[]float64](p, `(() => { const b = document.getElementById("canvas").getBoundingClientRect(); `+
			`return [b.left, b.top, blox.grid.side]; })()`)
		p.Do(chromedp.MouseClickXY(box[0]+4.5*box[2], box[1]+box[2]/2))
		assert.Equal(t, 4, evaluate[int](p, `blox.grid.selected`))
		name := evaluate[string](p, `blox.grid.items[4].containerInstance.split("/").at(-1)`)
		p.await(containsText("detail", name))
	})
	t.Run("names and labels", func(t *testing.T) {
		assert.Empty(t, evaluate[[]string](p, `[...document.querySelectorAll("button, input, a, [role], section, nav")]
			.filter((e) => !e.hidden && e.offsetParent && !e.textContent.trim() && !e.getAttribute("aria-label") &&
				!e.getAttribute("aria-labelledby") && !e.labels?.length && !e.getAttribute("aria-hidden"))
			.map((e) => e.outerHTML.slice(0, 80))`))
		assert.Equal(t, "en", evaluate[string](p, `document.documentElement.lang`))
		assert.Equal(t, 1, evaluate[int](p, `document.querySelectorAll("h1:not(#no-environments h1)").length`))
	})
	t.Run("phone", func(t *testing.T) {
		p.setViewport(360, 740)
		p.await(`document.documentElement.clientWidth === 360 && document.documentElement.scrollWidth <= 360`)
		assert.Empty(t, evaluate[[]string](p, `[...document.querySelectorAll("body *")].filter((e) => e.offsetParent && `+
			`e.getBoundingClientRect().right > 361).map((e) => e.outerHTML.slice(0, 80))`))
		p.setViewport(1280, 900)
	})
	t.Run("light and dark scheme", func(t *testing.T) {
		backgrounds := map[string]bool{}
		for _, scheme := range []string{"light", "dark"} {
			p.setMediaFeature("prefers-color-scheme", scheme)
			p.await(`matchMedia("(prefers-color-scheme: ` + scheme + `)").matches`)
			backgrounds[evaluate[string](p, `getComputedStyle(document.body).backgroundColor`)] = true
			for pair, minContrast := range map[[2]string]float64{
				{"text", "background"}: 4.5, {"text", "card"}: 4.5, {"muted", "background"}: 4.5, {"muted", "card"}: 4.5,
				{"muted", "soft"}:  4.5,
				{"accent", "card"}: 4.5, {"accent", "background"}: 4.5, {"accent", "soft"}: 4.5, {"accent-text", "accent"}: 4.5,
				{"good", "good-soft"}: 4.5, {"bad", "bad-soft"}: 4.5, {"warn", "warn-soft"}: 4.5, {"good", "card"}: 4.5,
				{"bad", "card"}: 4.5, {"warn", "card"}: 4.5,
				{"running", "card"}: 3, {"starting", "card"}: 3, {"outdated", "card"}: 3, {"missing", "card"}: 3,
				{"failing", "card"}:  3,
				{"draining", "card"}: 3, {"disconnected", "card"}: 3, {"excluded", "card"}: 3,
			} {
				assert.GreaterOrEqual(t, p.contrast(pair[0], pair[1]), minContrast, "%s: %s on %s", scheme, pair[0], pair[1])
			}
			// The grid uses the scheme's colours.
			p.await(`(() => { const c = new OffscreenCanvas(1, 1).getContext("2d"), s = Math.round(blox.grid.side * blox.grid.scale / 3);
				c.drawImage(blox.grid.canvas, -s, -s);
				const hex = "#" +
					[...c.getImageData(0, 0, 1, 1).data].slice(0, 3).map((v) => v.toString(16).padStart(2, "0")).join("");
				return hex === getComputedStyle(document.documentElement).getPropertyValue("--running").trim(); })()`)
		}
		assert.Len(t, backgrounds, 2)
	})
	assert.Empty(t, p.ConsoleErrors())
}

// contrast returns the contrast ratio of two of the page's colours, from 1 to 21, as WCAG 2 defines it.
func (p *tab) contrast(one, other string) float64 {
	p.t.Helper()
	return evaluate[float64](p, fmt.Sprintf(`(() => {
		const light = (name) => {
			const hex = getComputedStyle(document.documentElement).getPropertyValue("--" + name).trim().slice(1);
			const [r, g, b] = [0, 2, 4].map((at) => parseInt(hex.slice(at, at + 2),
				16) / 255).map((v) => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
			return 0.2126 * r + 0.7152 * g + 0.0722 * b;
		};
		const [a, b] = [light(%q), light(%q)].sort((x, y) => y - x);
		return (a + 0.05) / (b + 0.05);
	})()`, one, other))
}

package e2e

import (
	"testing"

	"github.com/chromedp/chromedp"

	"github.com/blox/blox/internal/testenv"
)

// tab is a page in a real browser.
type tab struct {
	*testenv.Chromium
	t *testing.T
}

func openTab(t *testing.T, url string) *tab {
	t.Helper()
	p := &tab{testenv.Browser(t), t}
	p.setViewport(1280, 900)
	p.Do(chromedp.Navigate(url))
	return p
}

func (p *tab) setViewport(width, height int64)    { p.SetViewport(width, height) }
func (p *tab) setMediaFeature(name, value string) { p.SetMediaFeature(name, value) }
func (p *tab) await(expression string)            { p.Await(expression) }
func evaluate[V any](p *tab, expression string) V { return testenv.Evaluate[V](p.Chromium, expression) }

// textOf returns the visible text of the element with the id.
func (p *tab) textOf(id string) string {
	p.t.Helper()
	return evaluate[string](p, `document.getElementById("`+id+`").innerText`)
}

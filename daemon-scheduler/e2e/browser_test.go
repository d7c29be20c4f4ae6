package e2e

import (
	"testing"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"

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

func (p *tab) setViewport(width, height int64) {
	p.t.Helper()
	p.Do(chromedp.EmulateViewport(width, height))
}

// setMediaFeature sets the value that media queries of the name match.
func (p *tab) setMediaFeature(name, value string) {
	p.t.Helper()
	_, err := chromedp.Call(p.Context, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
		Features: []*emulation.MediaFeature{{Name: name, Value: value}},
	})
	require.NoError(p.t, err)
}

// evaluate returns the expression's value in the page.
func evaluate[V any](p *tab, expression string) V {
	p.t.Helper()
	return testenv.Query(p.Chromium, chromedp.Evaluate[V](expression))
}

// await waits until the expression is true in the page.
func (p *tab) await(expression string) {
	p.t.Helper()
	testenv.Eventually(p.t, func() bool { return evaluate[bool](p, expression) }, "%s is not true", expression)
}

// textOf returns the visible text of the element with the id.
func (p *tab) textOf(id string) string {
	p.t.Helper()
	return evaluate[string](p, `document.getElementById("`+id+`").innerText`)
}

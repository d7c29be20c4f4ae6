package testenv

import (
	"os"
	"path/filepath"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"
)

// Evaluate returns the value of a JavaScript expression in the tab.
func Evaluate[V any](b *Chromium, expression string) V {
	b.tb.Helper()
	return Query(b, chromedp.Evaluate[V](expression))
}

// Run evaluates an expression for its effect.
func (b *Chromium) Run(expression string) {
	b.tb.Helper()
	b.Do(chromedp.Evaluate[chromedp.Void](expression))
}

// Await waits until the expression is true in the tab.
func (b *Chromium) Await(expression string) {
	b.tb.Helper()
	Eventually(b.tb, func() bool { return Evaluate[bool](b, expression) }, "%s is not true", expression)
}

// SetViewport sets the size of the tab's window in CSS pixels.
func (b *Chromium) SetViewport(width, height int64) {
	b.tb.Helper()
	b.Do(chromedp.EmulateViewport(width, height))
}

// SetMediaFeature sets the value that media queries of the name match.
func (b *Chromium) SetMediaFeature(name, value string) {
	b.tb.Helper()
	_, err := chromedp.Call(b.Context, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
		Features: []*emulation.MediaFeature{{Name: name, Value: value}},
	})
	require.NoError(b.tb, err)
}

// Screenshot writes what the window shows to a file, in PNG.
func (b *Chromium) Screenshot(path string) {
	b.tb.Helper()
	image := Query(b, chromedp.CaptureScreenshot())
	require.NoError(b.tb, os.MkdirAll(filepath.Dir(path), 0o755))
	require.NoError(b.tb, os.WriteFile(path, image, 0o600))
}

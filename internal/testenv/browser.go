package testenv

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"

	"github.com/blox/blox/internal/testenv/short"
)

// Chromium is a headless browser with one tab. It records the requests of the tab and the errors on its console.
type Chromium struct {
	Context context.Context // chromedp's context of the tab; ends with the test

	tb            testing.TB
	mu            sync.Mutex
	requests      []string
	consoleErrors []string
}

// Browser starts a headless Chromium with its own profile and stops it with the test. If the machine has no Chromium,
// the test is skipped; with CI=true it fails. With -short the test is skipped as well.
func Browser(tb testing.TB, more ...chromedp.ExecAllocatorOption) *Chromium {
	tb.Helper()
	short.Skip(tb, "starts a browser")
	path := chromium()
	if path == "" {
		const missing = "no Chromium or Chrome on the PATH"
		if os.Getenv("CI") == "true" {
			require.FailNow(tb, missing)
		}
		tb.Skip(missing)
	}
	home, err := os.MkdirTemp("", "chromium") // short: it holds a socket
	require.NoError(tb, err)
	// chromedp adds --no-sandbox for root.
	options := append(slices.Clone(chromedp.DefaultExecAllocatorOptions[:]), chromedp.ExecPath(path),
		chromedp.Env("HOME="+home, "XDG_CONFIG_HOME="+home, "XDG_CACHE_HOME="+home, "TMPDIR="+home),
		chromedp.Flag("no-proxy-server", true),
		chromedp.WindowSize(1280, 1024))
	process, kill := chromedp.NewExecAllocator(context.Background(), append(options, more...)...)
	tab, _ := chromedp.NewContext(process)
	tb.Cleanup(func() {
		inTime, cancel := context.WithTimeout(tab, timeout)
		defer cancel()
		_ = chromedp.Cancel(inTime) // kill follows
		kill()
		Eventually(tb, func() bool { return os.RemoveAll(home) == nil }, "the browser still writes to %s", home)
	})

	b := &Chromium{Context: tab, tb: tb}
	require.NoError(tb, chromedp.Listen(tab, b.record))
	enable[network.EnableParams](b, network.Enable)
	enable[cdp.Empty](b, runtime.Enable)
	enable[cdp.Empty](b, log.Enable)
	return b
}

func enable[P any](b *Chromium, domain cdp.Command[P, cdp.Empty]) {
	b.tb.Helper()
	var defaults P
	_, err := chromedp.Call(b.Context, domain, defaults)
	require.NoError(b.tb, err)
}

// Do performs steps in the tab. The test fails if a step fails, or if all steps together take over three minutes.
func (b *Chromium) Do(steps ...chromedp.Action[chromedp.Void]) {
	b.tb.Helper()
	ctx, cancel := context.WithTimeout(b.Context, timeout)
	defer cancel()
	require.NoError(b.tb, chromedp.Do(ctx, steps...), "console errors: %q", b.ConsoleErrors())
}

// Query returns the result of an action, as in Query(b, chromedp.Title()). The test fails if the result takes over 30
// s.
func Query[T any](b *Chromium, what chromedp.Action[T]) T {
	b.tb.Helper()
	ctx, cancel := context.WithTimeout(b.Context, timeout)
	defer cancel()
	value, err := chromedp.Run(ctx, what)
	require.NoError(b.tb, err, "console errors: %q", b.ConsoleErrors())
	return value
}

// Requests returns the URLs that the tab requested, in order, including data: and blob: URLs.
func (b *Chromium) Requests() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.requests)
}

// ConsoleErrors returns the warnings and errors on the console: uncaught exceptions, failed requests, and violations of
// the Content-Security-Policy.
func (b *Chromium) ConsoleErrors() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.consoleErrors)
}

func (b *Chromium) record(event any) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch e := event.(type) {
	case *network.EventRequestWillBeSent:
		b.requests = append(b.requests, e.Request.URL)
	case *network.EventWebSocketCreated:
		b.requests = append(b.requests, e.URL)
	case *runtime.EventExceptionThrown:
		text := e.ExceptionDetails.Text
		if e.ExceptionDetails.Exception != nil {
			text += " " + e.ExceptionDetails.Exception.Description
		}
		b.consoleErrors = append(b.consoleErrors, text)
	case *log.EventEntryAdded:
		if e.Entry.Level == log.EntryLevelWarning || e.Entry.Level == log.EntryLevelError {
			b.consoleErrors = append(b.consoleErrors, fmt.Sprintf("%s: %s (%s)", e.Entry.Source, e.Entry.Text, e.Entry.URL))
		}
	case *runtime.EventConsoleAPICalled:
		if e.Type == runtime.ConsoleAPICalledTypeWarning || e.Type == runtime.ConsoleAPICalledTypeError ||
			e.Type == runtime.ConsoleAPICalledTypeAssert {
			var words []string
			for _, argument := range e.Args {
				words = append(words, string(argument.Value)+argument.Description)
			}
			b.consoleErrors = append(b.consoleErrors, "console: "+strings.Join(words, " "))
		}
	}
}

// chromium returns the path of the browser, or "".
func chromium() string {
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	return ""
}

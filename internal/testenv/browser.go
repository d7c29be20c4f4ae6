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
)

// Chromium is a headless browser with one tab, which remembers what the tab asked for and what the browser complained
// of.
type Chromium struct {
	Context context.Context // chromedp's, of the tab; it ends with the test

	tb         testing.TB
	mu         sync.Mutex
	requests   []string
	complaints []string
}

// Browser is a fresh headless Chromium, with a profile of its own, which ends with the test. Where there is none the
// test is skipped; with CI=true it fails.
func Browser(tb testing.TB, more ...chromedp.ExecAllocatorOption) *Chromium {
	tb.Helper()
	path := chromium()
	if path == "" {
		const missing = "no Chromium or Chrome on the PATH, so that the page is not tested in a browser"
		if os.Getenv("CI") == "true" {
			require.FailNow(tb, missing)
		}
		tb.Skip(missing)
	}
	home, err := os.MkdirTemp("", "chromium") // where it would leave files of its own; its socket's path must be short
	require.NoError(tb, err)
	options := append(slices.Clone(chromedp.DefaultExecAllocatorOptions[:]), chromedp.ExecPath(path), // --no-sandbox for root is chromedp's
		chromedp.Env("HOME="+home, "XDG_CONFIG_HOME="+home, "XDG_CACHE_HOME="+home, "TMPDIR="+home), chromedp.Flag("no-proxy-server", true),
		chromedp.WindowSize(1280, 1024))
	process, kill := chromedp.NewExecAllocator(context.Background(), append(options, more...)...)
	tab, _ := chromedp.NewContext(process)
	tb.Cleanup(func() {
		inTime, cancel := context.WithTimeout(tab, patience)
		defer cancel()
		_ = chromedp.Cancel(inTime) // what does not close is killed
		kill()
		Eventually(tb, func() bool { return os.RemoveAll(home) == nil }, "the browser still writes to %s", home)
	})

	b := &Chromium{Context: tab, tb: tb}
	require.NoError(tb, chromedp.Listen(tab, b.note))
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

// Do takes steps in the tab. The test fails with the first that fails, or when they take over 30 s together.
func (b *Chromium) Do(steps ...chromedp.Action[chromedp.Void]) {
	b.tb.Helper()
	ctx, cancel := context.WithTimeout(b.Context, patience)
	defer cancel()
	require.NoError(b.tb, chromedp.Do(ctx, steps...), "complaints: %q", b.Complaints())
}

// Read is what the tab answers, as in Read(b, chromedp.Title()). The test fails when it does not within 30 s.
func Read[T any](b *Chromium, what chromedp.Action[T]) T {
	b.tb.Helper()
	ctx, cancel := context.WithTimeout(b.Context, patience)
	defer cancel()
	value, err := chromedp.Run(ctx, what)
	require.NoError(b.tb, err, "complaints: %q", b.Complaints())
	return value
}

// Requests are the URLs that the tab has asked for, in that order, data: and blob: ones included.
func (b *Chromium) Requests() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.requests)
}

// Complaints are what the console shows as a warning or an error: exceptions that nobody caught, requests that failed,
// what the Content-Security-Policy forbade.
func (b *Chromium) Complaints() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.complaints)
}

func (b *Chromium) note(event any) {
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
		b.complaints = append(b.complaints, text)
	case *log.EventEntryAdded:
		if e.Entry.Level == log.EntryLevelWarning || e.Entry.Level == log.EntryLevelError {
			b.complaints = append(b.complaints, fmt.Sprintf("%s: %s (%s)", e.Entry.Source, e.Entry.Text, e.Entry.URL))
		}
	case *runtime.EventConsoleAPICalled:
		if e.Type == runtime.ConsoleAPICalledTypeWarning || e.Type == runtime.ConsoleAPICalledTypeError || e.Type == runtime.ConsoleAPICalledTypeAssert {
			var words []string
			for _, argument := range e.Args {
				words = append(words, string(argument.Value)+argument.Description)
			}
			b.complaints = append(b.complaints, "console: "+strings.Join(words, " "))
		}
	}
}

// chromium is the path of the browser; "" for none.
func chromium() string {
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	return ""
}

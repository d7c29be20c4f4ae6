package e2e

import (
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"sync"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/blox/blox/internal/testenv"
)

// front is a proxy before a scheduler that may answer the page's changes itself.
type front struct {
	*httptest.Server
	mu     sync.Mutex
	answer http.HandlerFunc // for POST and PATCH; nil: the scheduler's
	keys   []string         // Idempotency-Keys of these requests
}

func newFront(t *testing.T, d *scheduler) *front {
	t.Helper()
	to, err := url.Parse(d.url)
	require.NoError(t, err)
	transport := &http.Transport{DisableKeepAlives: true}
	proxy := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(to); r.Out.Host = r.In.Host }, FlushInterval: -1,
		Transport: transport,
	}
	f := &front{}
	f.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		f.mu.Lock()
		answer := f.answer
		if r.Method != http.MethodGet {
			f.keys = append(f.keys, r.Header.Get("Idempotency-Key"))
		}
		f.mu.Unlock()
		if r.Method != http.MethodGet && answer != nil {
			answer(w, r)
			return
		}
		proxy.ServeHTTP(w, r)
	}))
	t.Cleanup(func() { f.CloseClientConnections(); f.Close() })
	return f
}

func (f *front) setAnswer(answer http.HandlerFunc) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.answer = answer
}

func (f *front) sentKeys() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.keys
}

func TestPageActions_ShowErrors(t *testing.T) {
	t.Parallel()
	d, _, _ := startDeployed(t, 2)
	f := newFront(t, d)
	p := openTab(t, f.URL+"/#env=logs")
	p.awaitCounts(d, map[string]int{"running": 2})

	// An error of the API itself: the environment has changed since the plan was made.
	p.openAction("deploy")
	p.choose("1")
	d.patch("logs", `{"drainOrder":1}`)
	p.click("#dialog-confirm")
	p.await(containsText("dialog-error", "400 Bad Request") + " && " +
		containsText("dialog-error", "DeploymentTokenOutdated") + " && " +
		containsText("dialog-error", "GET the environment again for its current deploymentToken.") + " && " +
		containsText("dialog-error", "Request "))
	assert.Len(t, d.listDeployments("logs"), 1)
	assert.False(t, evaluate[bool](p, containsText("dialog-error", "may have executed")))
	assert.Equal(t, "Plan again", p.textOf("dialog-confirm"))
	p.click("#dialog-confirm")
	p.await(`document.getElementById("dialog-error").hidden && document.getElementById("dialog-confirm").innerText === ` +
		`"Deploy agent:1" && ` + confirmReady)
	p.confirm()
	assert.Len(t, d.listDeployments("logs"), 2)
}

// A server with roles, or a proxy before it, refuses a change.
func TestPageActions_ShowMissingRights(t *testing.T) {
	t.Parallel()
	d, _, _ := startDeployed(t, 2)
	f := newFront(t, d)
	p := openTab(t, f.URL+"/#env=logs")
	p.awaitCounts(d, map[string]int{"running": 2})
	for _, tc := range []struct {
		status            int
		contentType, body string
		want              []string
	}{
		{
			http.StatusForbidden, "application/problem+json",
			`{"status":403,"code":"Forbidden","title":"Forbidden","detail":"The role viewer may not pause","hint":"Ask an operator."}`,
			[]string{"403 Forbidden: the server does not permit this change.", "The role viewer may not pause", "Ask an operator."},
		},
		{
			http.StatusUnauthorized, "text/html", "<h1>login</h1>",
			[]string{"401 Not authenticated", "<h1>login</h1>"},
		},
	} {
		f.setAnswer(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", tc.contentType)
			w.WriteHeader(tc.status)
			_, _ = w.Write([]byte(tc.body))
		})
		p.openAction("pause")
		p.click("#dialog-confirm")
		for _, text := range tc.want {
			p.await(containsText("dialog-error", text))
		}
		assert.False(t, evaluate[bool](p, containsText("dialog-error", "may have executed")))
		p.click("#dialog-cancel")
	}
	assert.False(t, d.getEnvironment("logs").Paused)
}

// A page does not know whether a request without an answer was executed. It says so, and repeats it with the same key
// if the user wants that.
func TestPageActions_RepeatALostRequestWithItsKey(t *testing.T) {
	t.Parallel()
	d, _, _ := startDeployed(t, 2)
	f := newFront(t, d)
	p := openTab(t, f.URL+"/#env=logs")
	p.awaitCounts(d, map[string]int{"running": 2})
	asked, answer := make(chan struct{}), make(chan struct{})
	f.setAnswer(func(w http.ResponseWriter, _ *http.Request) {
		d.mustSend("POST", "/v1/environments/logs/pause", "", nil)
		close(asked)
		<-answer
		w.Header().Set("Content-Length", "100") // Chromium itself repeats a request without any answer
		_, _ = w.Write([]byte("{"))
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	})
	p.openAction("pause")
	p.click("#dialog-confirm")
	<-asked
	p.await(`["dialog-confirm", "dialog-cancel"].every((id) => document.getElementById(id).disabled)`)
	p.Do(chromedp.Evaluate[chromedp.Void](`document.getElementById("dialog-confirm").click()`)) // nothing
	f.setAnswer(nil)
	close(answer)
	p.await(containsText("dialog-error", "No response") + " && " +
		containsText("dialog-error", "Blox may have executed the request."))
	assert.Equal(t, "Send again", p.textOf("dialog-confirm"))
	assert.Len(t, f.sentKeys(), 1, "nothing is repeated by itself")
	p.confirm()
	keys := f.sentKeys()
	require.Len(t, keys, 2)
	assert.Regexp(t, "^[0-9a-f]{32}$", keys[0])
	assert.Equal(t, keys[0], keys[1])
	assert.True(t, d.getEnvironment("logs").Paused)

	p.openAction("resume")
	p.confirm()
	assert.NotContains(t, keys, f.sentKeys()[2], "another action has another key")
}

// Only the service's own page may change something.
func TestPageActions_OfOtherOriginsAreRefused(t *testing.T) {
	t.Parallel()
	d, _, id := startDeployed(t, 2)
	other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		_, _ = w.Write([]byte("<!doctype html><title>another site</title>"))
	}))
	t.Cleanup(other.Close)
	p := openTab(t, other.URL)
	token := d.getEnvironment("logs").DeploymentToken
	for _, path := range []string{
		"/pause", "/resume", "/rollback", "/rollback?revision=1", "/deployments?deploymentToken=" + token,
		"/deployments/" + id + "/promote", "/deployments/" + id + "/stop?type=ABORT",
	} {
		p.Do(chromedp.Evaluate[chromedp.Void](
			`window.done = false; fetch("` + d.url + `/v1/environments/logs` + path + `", { method: "POST", mode: "no-cors" })` +
				`.finally(() => { window.done = true; })`))
		p.await(`window.done`)
	}
	assert.False(t, d.getEnvironment("logs").Paused)
	assert.Len(t, d.listDeployments("logs"), 1)
	testenv.Eventually(t, func() bool {
		return d.metric("blox_ds_http_requests_total", `method="POST"`, `code="403"`) == 7
	}, "not every request was refused")

	own := openTab(t, d.url+"/#env=logs")
	own.openAction("pause")
	own.confirm()
	assert.True(t, d.getEnvironment("logs").Paused, "the page itself may")
}

func TestPage_WithoutActions(t *testing.T) {
	t.Parallel()
	w := newSystem(t)
	w.sim.AddInstances("prod", 2)
	d := w.startServices("--read-only-ui", "--explorer-url", "https://explorer.example.com/blox")
	d.awaitReady()
	d.awaitCompleted("logs", d.deploy(d.createEnvironment("logs")))
	p := openTab(t, d.url+"/#env=logs")
	p.awaitCounts(d, map[string]int{"running": 2})
	p.await(`blox.state.config.explorerURL === "https://explorer.example.com/blox"`)
	p.await(`!document.getElementById("explorer").hidden`)
	assert.Empty(t, p.offeredActions())
	assert.False(t, evaluate[bool](p, `document.getElementById("actions").checkVisibility()`))
	d.mustSend("POST", "/v1/environments/logs/pause", "", nil) // the API stays as it is
	p.await(containsText("conditions", "Paused"))
	assert.Empty(t, p.offeredActions())

	p.Do(chromedp.Evaluate[chromedp.Void](`blox.grid.selectIndex(0)`))
	links := evaluate[[]string](p, `[...document.querySelectorAll("#detail a")].map((a) => decodeURIComponent(a.href))`)
	item := evaluate[[]string](p, `[blox.grid.items[0].containerInstance, blox.grid.items[0].task]`)
	assert.Equal(t, []string{
		"https://explorer.example.com/blox/#instance=" + item[0], "https://explorer.example.com/blox/#task=" + item[1],
	}, links)
	assert.Empty(t, p.ConsoleErrors())
}

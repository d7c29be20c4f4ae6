package local

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/blox/blox/internal/testenv"
	cssv1 "github.com/blox/blox/swagger/cluster-state-service/v1"
	dsv1 "github.com/blox/blox/swagger/daemon-scheduler/v1"
)

// The page at /docs works in a browser, also behind a proxy that serves it below another path.
func TestDocs_ShowAndTryEveryOperation(t *testing.T) {
	l := startLocal(t)
	l.deploy("web-agent")
	l.awaitOneTaskEach(3)
	for name, service := range map[string]struct {
		url, get string
		spec     []byte
		want     string // in the response that the page shows
	}{
		"cluster-state-service": {l.css, "ListInstances", cssv1.JSON, "container-instance/"},
		"daemon-scheduler":      {l.ds, "listEnvironments", dsv1.JSON, "web-agent"},
	} {
		proxied := proxyBelow(t, service.url, "/team/blox")
		for under, base := range map[string]string{"": service.url, " behind a proxy": proxied} {
			t.Run(name+under, func(t *testing.T) {
				browser := testenv.Browser(t)
				browser.Do(chromedp.Navigate(base+"/docs"), chromedp.WaitVisible(chromedp.CSS(".opblock")))
				assert.Equal(t, name, testenv.Query(browser, chromedp.Title()))
				want, streams := operations(t, service.spec)
				shown := testenv.Query(browser, chromedp.Evaluate[[]string](
					`[...document.querySelectorAll(".opblock")].map(e => e.id.split("-").at(-1))`))
				assert.ElementsMatch(t, want, shown)

				operation := "[id^=operations-][id$=-" + service.get + "]"
				browser.Do(chromedp.Click(chromedp.CSS(operation+" .opblock-summary-control")),
					chromedp.Click(chromedp.CSS(operation+" .try-out__btn")),
					chromedp.Click(chromedp.CSS(operation+" .execute")),
					chromedp.WaitVisible(chromedp.CSS(operation+" .live-responses-table .highlight-code")))
				shownText := func(selector string) string {
					return testenv.Query(browser, chromedp.Text(chromedp.CSS(operation+" .live-responses-table "+selector)))
				}
				assert.Contains(t, shownText("tbody .response-col_status"), "200")
				assert.Contains(t, shownText(".highlight-code"), service.want)

				for _, stream := range streams { // a stream has no end, so the page cannot try it
					operation := "[id^=operations-][id$=-" + stream + "]"
					browser.Do(chromedp.Click(chromedp.CSS(operation+" .opblock-summary-control")),
						chromedp.WaitVisible(chromedp.CSS(operation+" .opblock-section-header")),
						chromedp.WaitNotPresent(chromedp.CSS(operation+" .try-out__btn")))
				}

				assert.Empty(t, browser.ConsoleErrors())
				for _, url := range browser.Requests() {
					assert.True(t, strings.HasPrefix(url, base+"/") || strings.HasPrefix(url, "data:"), url)
				}
			})
		}
	}
}

// proxyBelow serves the target below a path, as a proxy of several services does, and returns the URL.
func proxyBelow(t *testing.T, target, path string) string {
	t.Helper()
	parsed, err := url.Parse(target)
	require.NoError(t, err)
	proxy := httputil.NewSingleHostReverseProxy(parsed)
	transport := &http.Transport{}
	proxy.Transport = transport
	server := httptest.NewServer(http.StripPrefix(path, proxy))
	t.Cleanup(func() { server.Close(); transport.CloseIdleConnections() })
	return server.URL + path
}

// operations returns the IDs of all operations and of all streams.
func operations(t *testing.T, spec []byte) (all, streams []string) {
	t.Helper()
	var described struct {
		Paths map[string]map[string]struct{ OperationID string }
	}
	require.NoError(t, json.Unmarshal(spec, &described))
	for path, methods := range described.Paths {
		for _, operation := range methods {
			all = append(all, operation.OperationID)
			if strings.HasPrefix(path, "/stream/") {
				streams = append(streams, operation.OperationID)
			}
		}
	}
	return all, streams
}

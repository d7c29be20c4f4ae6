package e2e

import (
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// newAuthenticatingProxy returns the URL of a proxy that adds a token to each request, as a proxy with a login does; ""
// adds none.
func newAuthenticatingProxy(t *testing.T, d *scheduler, token string) string {
	t.Helper()
	to, err := url.Parse(d.url)
	require.NoError(t, err)
	proxy := httptest.NewServer(&httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(to)
			r.Out.Host = r.In.Host
			if token != "" {
				r.Out.Header.Set("Authorization", "Bearer "+token)
			}
		},
		FlushInterval: -1, Transport: &http.Transport{DisableKeepAlives: true, TLSClientConfig: d.tls},
	})
	t.Cleanup(func() { proxy.CloseClientConnections(); proxy.Close() })
	return proxy.URL
}

// The page shows what a client's role does not permit. Without credentials, it says so.
func TestPage_ShowsWhatARoleDoesNotPermit(t *testing.T) {
	t.Parallel()
	s := newAccessSystem(t)
	s.sim.AddInstances("prod", 2)
	s.write("css.yml", tokens("ds=operator"))
	s.write("css.token", "ds-token\n")
	s.write("ds.yml", tokens("vera=viewer", "otto=operator", "ada=admin"))
	s.startCSS()
	d := s.startScheduler()
	d.awaitReadyAs("ada")
	admin := d.as("ada")
	admin.awaitCompleted("logs", admin.deploy(admin.createEnvironment("logs")))

	p := openTab(t, newAuthenticatingProxy(t, d, "vera-token")+"/#env=logs")
	p.awaitCounts(admin, map[string]int{"running": 2})
	p.openAction("pause")
	p.click("#dialog-confirm")
	p.await(containsText("dialog-error", "403 Forbidden: the server does not permit this change.") + " && " +
		containsText("dialog-error", "Forbidden") + " && " + containsText("dialog-error", "operator"))
	assert.False(t, admin.getEnvironment("logs").Paused)

	p.Do(chromedp.Navigate(newAuthenticatingProxy(t, d, "otto-token") + "/#env=logs"))
	p.awaitCounts(admin, map[string]int{"running": 2})
	p.openAction("pause")
	p.confirm()
	assert.True(t, admin.getEnvironment("logs").Paused)

	p.Do(chromedp.Navigate(newAuthenticatingProxy(t, d, "") + "/"))
	p.await(containsText("banner", "Not authenticated.") + " && " + containsText("banner", "401"))

	for address, readOnly := range map[string]string{d.url: `"readOnly":false`, s.readOnly: `"readOnly":true`} {
		reader := *d
		reader.url = address
		answer, body := reader.send("GET", "/page/config.json", "")
		assert.Equal(t, http.StatusOK, answer.StatusCode)
		assert.Contains(t, body, readOnly, "the page has no actions at the address for reads")
	}
}

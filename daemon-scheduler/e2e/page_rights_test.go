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

	"github.com/blox/blox/internal/access"
	"github.com/blox/blox/internal/testenv"
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

// visibleActions is JavaScript for the number of buttons of actions.
const visibleActions = `document.querySelectorAll("#actions > button:not([hidden])").length`

// The page offers no action that a client's role does not permit. Without credentials, it says so.
func TestPage_OffersWhatARolePermits(t *testing.T) {
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
	p.await(containsText("actions-role", "Actions need the role operator; yours is viewer."))
	assert.Equal(t, 0, evaluate[int](p, visibleActions))

	p.Do(chromedp.Navigate(newAuthenticatingProxy(t, d, "otto-token") + "/#env=logs"))
	p.awaitCounts(admin, map[string]int{"running": 2})
	p.openAction("pause")
	p.confirm()
	assert.True(t, admin.getEnvironment("logs").Paused)
	p.await(`document.getElementById("actions-role").hidden`)

	// A role can change while a dialog is open.
	p.openAction("resume")
	s.write("ds.yml", tokens("vera=viewer", "otto=viewer", "ada=admin"))
	testenv.Eventually(t, func() bool {
		answer, _ := d.as("otto").send("GET", "/v1/environments", "")
		return answer.Header.Get(access.HeaderRole) == "viewer"
	}, "the role stays")
	p.click("#dialog-confirm")
	p.await(containsText("dialog-error", "403 Forbidden: the server does not permit this change.") + " && " +
		containsText("dialog-error", "Forbidden") + " && " + containsText("dialog-error", "operator"))
	assert.True(t, admin.getEnvironment("logs").Paused)
	p.await(containsText("actions-role", "yours is viewer") + " && " + visibleActions + " === 0")

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

// The page of the API sends the token of its field, and stores it nowhere.
func TestPageDocs_SendsTheToken(t *testing.T) {
	t.Parallel()
	s := newAccessSystem(t)
	s.write("css.yml", tokens("ds=operator"))
	s.write("css.token", "ds-token\n")
	s.write("ds.yml", tokens("vera=viewer"))
	s.startCSS()
	d := s.startScheduler()
	d.awaitReadyAs("vera")
	p := openTab(t, newAuthenticatingProxy(t, d, "")+"/docs")
	const operation = `[...document.querySelectorAll(".opblock-get")].find((block) =>
		block.querySelector("[data-path]").dataset.path === "/environments")`
	p.await(operation + " !== undefined")
	p.Run(operation + `.querySelector(".opblock-summary-control").click()`)
	p.await(operation + `.querySelector(".try-out__btn") !== null`)
	p.Run(operation + `.querySelector(".try-out__btn").click()`)
	p.await(operation + `.querySelector(".execute") !== null`)
	status := operation + `.querySelector(".live-responses-table .response .response-col_status")?.innerText.trim()`
	p.Run(operation + `.querySelector(".execute").click()`)
	p.await(status + ` === "401"`)
	p.typeText("#token", "vera-token")
	p.Run(operation + `.querySelector(".execute").click()`)
	p.await(status + ` === "200"`)
	assert.Equal(t, 0, evaluate[int](p, "localStorage.length + sessionStorage.length"))
	p.Do(chromedp.Reload())
	p.await(`document.getElementById("token")?.value === ""`)
}

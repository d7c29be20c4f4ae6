package e2e

import (
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/blox/blox/internal/testenv"
)

// nginx with its defaults buffers responses, and a path prefix is unknown to the service.
func TestNginx_PassesOnStreamsAtOnce(t *testing.T) {
	t.Parallel()
	d := newSystem(t).startServices()
	d.awaitReady()
	proxied := *d
	proxied.url = testenv.Nginx(t, d.url, "/blox/ds")
	lines := proxied.streamEnvironments("")
	created := d.createEnvironment("logs")
	select {
	case line := <-lines:
		assert.Contains(t, line, created.DeploymentToken)
	case <-time.After(requestTimeout):
		require.Fail(t, "no line")
	}
}

func TestNginx_RedirectsAndPagesStayBelowThePrefix(t *testing.T) {
	t.Parallel()
	d := newSystem(t).startScheduler(unusedAddress)
	proxied := testenv.Nginx(t, d.url, "/blox/ds")
	client := http.Client{Transport: &http.Transport{}, Timeout: requestTimeout}
	defer client.CloseIdleConnections()
	for path, want := range map[string]string{
		"/v1/environments/?cluster=a": "/v1/environments?cluster=a",
		"/docs/":                      "/docs",
		"/docs/docs.js":               "/docs/docs.js",
		"/":                           "/",
		"/page/main.js":               "/page/main.js",
		"/page/main.js/":              "/page/main.js",
	} {
		answer, err := client.Get(proxied + path)
		require.NoError(t, err, path)
		body, err := io.ReadAll(answer.Body)
		answer.Body.Close()
		require.NoError(t, err, path)
		assert.Equal(t, http.StatusOK, answer.StatusCode, "%s: %s", path, body)
		assert.Equal(t, proxied+want, answer.Request.URL.String(), path)
	}
}

package e2e

import (
	"bufio"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// A slow browser receives the first changes together with the end of the snapshot.
func TestPage_SeparatesTheSnapshotFromChanges(t *testing.T) {
	t.Parallel()
	d, instances, _ := startDeployed(t, 3)
	to := newFront(t, d)
	changed := make(chan struct{})
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !strings.HasSuffix(r.URL.Path, "/instances") {
			to.Config.Handler.ServeHTTP(w, r)
			return
		}
		request, err := http.NewRequestWithContext(r.Context(), http.MethodGet, d.url+r.URL.String(), nil)
		assert.NoError(t, err)
		client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
		answer, err := client.Do(request)
		if !assert.NoError(t, err) {
			return
		}
		defer answer.Body.Close()
		lines, held := bufio.NewScanner(answer.Body), ""
		for seen := false; lines.Scan(); {
			line := lines.Text() + "\n"
			held += line
			switch {
			case strings.Contains(line, `"metadata"`) && !seen:
				seen = true
				close(changed)
			case seen && strings.Contains(line, `"DRAINING"`):
				_, _ = w.Write([]byte(held)) // all at once, and heartbeats follow later
				_ = http.NewResponseController(w).Flush()
				held = ""
			}
		}
	}))
	t.Cleanup(func() { proxy.CloseClientConnections(); proxy.Close() })
	p := openTab(t, proxy.URL+"/#env=logs")
	<-changed
	require.NoError(t, d.sim.DrainInstance(instances[0]))
	p.awaitCounts(d, map[string]int{"running": 2, "draining": 1})
	assert.Equal(t, 3, evaluate[int](p, `blox.grid.items.length`))
}

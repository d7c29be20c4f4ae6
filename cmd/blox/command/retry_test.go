package command_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/blox/blox/swagger/daemon-scheduler/v1/models"
)

// losingProxy is a proxy to daemon-scheduler that loses the response to every change that is executed.
func (h *harness) losingProxy(lose func(http.ResponseWriter)) (address string, lost *atomic.Int32) {
	h.t.Helper()
	target, err := url.Parse("http://" + h.ds)
	require.NoError(h.t, err)
	lost = &atomic.Int32{}
	proxy := httputil.NewSingleHostReverseProxy(target)
	proxy.ErrorHandler = func(w http.ResponseWriter, _ *http.Request, _ error) { lose(w) }
	proxy.ModifyResponse = func(answer *http.Response) error {
		if answer.Request.Method == http.MethodGet || answer.Header.Get("Idempotent-Replayed") != "" {
			return nil
		}
		lost.Add(1)
		return assert.AnError
	}
	server := httptest.NewServer(proxy)
	h.t.Cleanup(server.Close)
	return server.URL, lost
}

// A command whose response is lost sends its request again, which is executed once.
func TestRetry_OfAChangeWhoseResponseIsLost(t *testing.T) {
	h := newHarness(t)
	for name, lose := range map[string]func(http.ResponseWriter){
		"cut":     func(http.ResponseWriter) { panic(http.ErrAbortHandler) },
		"gateway": func(w http.ResponseWriter) { w.WriteHeader(http.StatusBadGateway) },
	} {
		address, lost := h.losingProxy(lose)
		through := func(args ...string) string { return h.mustRun(append([]string{"--endpoint", address}, args...)...) }
		through("environments", "create", name, "--cluster", "default", "--task-definition", "agent")
		through("environments", "update", name, "--drain-order", "1")
		through("deployments", "create", name)
		through("environments", "pause", name)
		assert.EqualValues(t, 4, lost.Load(), name)
		var list models.Deployments
		require.NoError(t, json.Unmarshal([]byte(through("deployments", "list", name, "-o", "json")), &list))
		assert.Len(t, list.Items, 1)
	}
}

package command_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/blox/blox/internal/testenv"
	"github.com/blox/blox/swagger/daemon-scheduler/v1/models"
)

func TestEvents_Filter(t *testing.T) {
	h := newHarness(t)
	h.prepareCluster(1)
	h.mustRun("environments", "create", "logs", "--cluster", "default", "--task-definition", "agent:1")
	h.mustRun("environments", "create", "metrics", "--cluster", "default", "--task-definition", "agent:1")
	h.mustRun("environments", "pause", "logs")
	events := func(args ...string) string {
		return h.mustRun(append([]string{"events", "-o", "jsonpath={.items[*].action}"}, args...)...)
	}
	testenv.Eventually(t, func() bool {
		return events() == "environmentCreated\nenvironmentCreated\nenvironmentPaused\n"
	})
	assert.Equal(t, "environmentPaused\n", events("logs", "--action", "environmentPaused,taskStarted"))
	assert.Equal(t, "environmentPaused\n", events("logs", "--limit", "1"))
	assert.Equal(t, "environmentCreated\n", events("metrics", "--actor", "127.*", "--since", "1h", "--cluster", "default"))
	assert.Empty(t, events("--until", "1h"))
	assert.NotRegexp(t, `environmentPaused +0`, h.mustRun("events", "logs"), "an event of no instance has no count")
	assert.Contains(t, h.mustRun("events", "logs", "-o", "wide"), "status: inactive -> paused")
	for flag, text := range map[string]string{
		"--since=yesterday": `--since "yesterday": must be a time such as 2026-01-31T13:00:00Z, or a duration such as 24h`,
		"--limit=10001":     "--limit 10001: must be 1 to 10000",
	} {
		r := h.run("events", flag)
		assert.Equal(t, 2, r.code)
		assert.Contains(t, r.err, text)
	}
	assert.Equal(t, 2, h.run("events", "--watch", "--until", "1h").code)
	r := h.run("events", "--action", "taskFaild")
	assert.Equal(t, 1, r.code)
	assert.Contains(t, r.err, "taskFailed")
}

// cutter passes requests to a service and can cut off all open responses.
type cutter struct {
	proxy *httputil.ReverseProxy
	mu    sync.Mutex
	cut   context.CancelFunc
	all   context.Context
}

func newCutter(target string) *cutter {
	c := &cutter{proxy: httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "http", Host: target})}
	c.proxy.FlushInterval = -1
	c.all, c.cut = context.WithCancel(context.Background())
	return c
}

func (c *cutter) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	c.mu.Lock()
	stop := context.AfterFunc(c.all, cancel)
	c.mu.Unlock()
	defer stop()
	defer func() { _ = recover() }() // the proxy aborts a response that is cut off
	c.proxy.ServeHTTP(w, r.WithContext(ctx))
}

func (c *cutter) cutAll() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.cut()
	c.all, c.cut = context.WithCancel(context.Background())
}

// Connections break again and again, also while events happen. Each event is printed once.
func TestEvents_WatchResumesWithoutLossOrRepetition(t *testing.T) {
	h := newHarness(t)
	h.mustRun("environments", "create", "logs", "--cluster", "default", "--task-definition", "agent:1")
	c := newCutter(h.ds)
	server := httptest.NewServer(c)
	defer server.Close()
	defer c.cutAll()
	direct := h.environment["BLOX_ENDPOINT"]
	h.environment["BLOX_ENDPOINT"] = server.URL
	watching := h.start("events", "logs", "--watch", "-o", "json")
	watching.awaitOutput("environmentCreated")
	h.environment["BLOX_ENDPOINT"] = direct
	const changes = 12
	for n := range changes {
		h.mustRun("environments", []string{"pause", "resume"}[n%2], "logs")
		c.cutAll()
	}
	printed := func() (actions []string) {
		decoder := json.NewDecoder(strings.NewReader(watching.out.String()))
		for {
			var e models.Event
			err := decoder.Decode(&e)
			if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
				return actions
			}
			require.NoError(t, err)
			actions = append(actions, *e.Action)
		}
	}
	testenv.Eventually(t, func() bool { return len(printed()) > changes }, "%s", watching.err)
	want := []string{"environmentCreated"}
	for range changes / 2 {
		want = append(want, "environmentPaused", "environmentResumed")
	}
	assert.Equal(t, want, printed())
	watching.interrupt()
	assert.Equal(t, 0, watching.awaitExit(), "%s", watching.err)
}

package informer

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/blox/blox/internal/testenv"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const prod = "arn:aws:ecs:eu-west-1:123456789012:cluster/prod"

func taskARN(id string) string { return "arn:aws:ecs:eu-west-1:123456789012:task/prod/" + id }

// task returns a task as the API shows it.
func task(id string, version int) string {
	return fmt.Sprintf(`{"metadata":{"entityVersion":"%d"},"entity":{"clusterARN":%q,"taskARN":%q,"containerInstanceARN":"",`+
		`"containers":[],"createdAt":"","desiredStatus":"RUNNING","lastStatus":"RUNNING","overrides":{"containerOverrides":[]},`+
		`"taskDefinitionARN":""}}`, version, prod, taskARN(id))
}

func deleted(id string, version int) string {
	return fmt.Sprintf(`{"metadata":{"entityVersion":"%d","deleted":true},"entity":{"clusterARN":%q,"taskARN":%q}}`,
		version, prod, taskARN(id))
}

func heartbeat(version int) string {
	return fmt.Sprintf(`{"metadata":{"entityVersion":"%d"}}`, version)
}

func listed(version int, tasks ...string) string {
	return fmt.Sprintf(`{"items":[%s],"metadata":{"entityVersion":"%d","reconciledAt":""}}`, strings.Join(tasks, ","), version)
}

// css is a fake cluster-state-service with scripted responses, and without instances. Each response serves one
// request; the last one serves all further requests.
type css struct {
	*httptest.Server
	mu       sync.Mutex
	lists    []string         // bodies
	streams  []func(s stream) // a stream is open until its function returns
	received []string         // path and query of the requests about tasks
}

// stream is an open stream.
type stream struct {
	w    http.ResponseWriter
	left context.Context // cancelled when the client leaves
}

func (s stream) send(lines ...string) {
	for _, line := range lines {
		_, _ = io.WriteString(s.w, line+"\n")
	}
	_ = http.NewResponseController(s.w).Flush()
}

// beats sends heartbeats until the client leaves.
func (s stream) beats(version int) {
	for s.left.Err() == nil {
		s.send(heartbeat(version))
		select {
		case <-s.left.Done():
		case <-time.After(10 * time.Millisecond):
		}
	}
}

func newCSS(t *testing.T, lists []string, streams ...func(stream)) *css {
	c := &css{lists: lists, streams: streams}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v1/instances", func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, listed(1))
	})
	mux.HandleFunc("GET /v1/stream/instances", func(w http.ResponseWriter, r *http.Request) {
		stream{w, r.Context()}.beats(1)
	})
	mux.HandleFunc("GET /v1/tasks", func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, next(c, r, &c.lists))
	})
	mux.HandleFunc("GET /v1/stream/tasks", func(w http.ResponseWriter, r *http.Request) {
		next(c, r, &c.streams)(stream{w, r.Context()})
	})
	c.Server = httptest.NewServer(mux)
	t.Cleanup(c.Close)
	return c
}

func next[A any](c *css, r *http.Request, answers *[]A) A {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.received = append(c.received, r.URL.String())
	answer := (*answers)[0]
	if len(*answers) > 1 {
		*answers = (*answers)[1:]
	}
	return answer
}

func (c *css) requests() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]string(nil), c.received...)
}

// requestsAre waits for exactly these requests for tasks. A number stands for a stream resumed with that version.
func (c *css) requestsAre(t *testing.T, want ...string) {
	t.Helper()
	for i, request := range want {
		if request != "list" {
			want[i] = "/v1/stream/tasks?deleted=true&entityVersion=" + request + "&heartbeat=5"
		} else {
			want[i] = "/v1/tasks"
		}
	}
	testenv.Eventually(t, func() bool { return len(c.requests()) >= len(want) })
	assert.Equal(t, want, c.requests())
}

// run runs an informer of the services until the test ends.
func run(t *testing.T, services ...*css) (*Informer, *changeLog) {
	t.Helper()
	cfg := Config{Log: testenv.Logger(t)}
	for _, s := range services {
		cfg.Endpoints = append(cfg.Endpoints, s.URL)
	}
	m, err := New(cfg)
	require.NoError(t, err)
	m.minDelay, m.auditInterval = time.Millisecond, time.Nanosecond
	changes := &changeLog{}
	t.Cleanup(m.Subscribe(changes.add))
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- m.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		assert.NoError(t, <-ended)
	})
	return m, changes
}

// changeLog records the changes of a subscriber.
type changeLog struct {
	mu  sync.Mutex
	all []Change
}

func (l *changeLog) add(c Change) {
	if c.OldTask != nil && *c.OldTask.Entity.TaskARN != c.ARN {
		panic("the old task has another ARN")
	}
	c.OldTask = nil
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all = append(l.all, c)
}

func (l *changeLog) are(t *testing.T, want ...Change) {
	t.Helper()
	for i := range want {
		want[i].ClusterARN, want[i].Kind, want[i].ARN = prod, KindTask, taskARN(want[i].ARN)
	}
	testenv.Eventually(t, func() bool {
		l.mu.Lock()
		defer l.mu.Unlock()
		return len(l.all) >= len(want)
	})
	l.mu.Lock()
	defer l.mu.Unlock()
	assert.Equal(t, want, l.all)
}

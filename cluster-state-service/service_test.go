package clusterstate_test

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sirupsen/logrus"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/goleak"

	clusterstate "github.com/blox/blox/cluster-state-service"
	"github.com/blox/blox/internal/ecssim"
	"github.com/blox/blox/internal/etcd/embedded"
	"github.com/blox/blox/internal/testenv"
	v1 "github.com/blox/blox/swagger/cluster-state-service/v1"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var theSpec = sync.OnceValues(func() (*testenv.Spec, error) { return testenv.NewSpec(v1.JSON) })

// world is a simulated ECS with its queue, a real etcd, and cluster-state-services between them.
type world struct {
	t      testing.TB
	sim    *ecssim.Sim
	aws    *httptest.Server
	etcd   *testenv.Server
	client *clientv3.Client
	spec   *testenv.Spec
}

func newWorld(t testing.TB, cfg ecssim.Config, etcd ...embedded.Options) *world {
	t.Helper()
	spec, err := theSpec()
	require.NoError(t, err)
	w := &world{t: t, sim: ecssim.New(cfg), etcd: testenv.EtcdServer(t, etcd...), spec: spec}
	w.client = w.etcd.Client()
	w.aws = httptest.NewServer(w.sim)
	t.Cleanup(func() { w.sim.Close(); w.aws.Close() })
	return w
}

// css is one running cluster-state-service.
type css struct {
	*world
	url  string
	stop func()
}

// start runs a cluster-state-service until the test ends or stop is called.
func (w *world) start() *css {
	w.t.Helper()
	return w.startAt(testenv.Address(w.t))
}

func (w *world) startAt(address string) *css {
	w.t.Helper()
	listener, err := net.Listen("tcp", address)
	require.NoError(w.t, err)
	environment := map[string]string{
		"AWS_REGION": "us-east-1", "AWS_ENDPOINT_URL": w.aws.URL, "AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test",
	}
	getenv := func(name string) string { return environment[name] }
	cfg, err := clusterstate.ParseConfig([]string{"--etcd-endpoint", w.etcd.Endpoints()[0], "--queue", "blox_queue"}, getenv, io.Discard)
	require.NoError(w.t, err)
	cfg.Listener = listener
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { assert.NoError(w.t, clusterstate.Run(ctx, cfg, quiet(w.t))) })
	c := &css{world: w, url: "http://" + listener.Addr().String(), stop: sync.OnceFunc(func() { cancel(); running.Wait() })}
	w.t.Cleanup(c.stop)
	return c
}

// quiet leaves out what is logged for every request.
func quiet(t testing.TB) logrus.FieldLogger {
	log := testenv.Logger(t)
	log.SetLevel(logrus.InfoLevel)
	return log
}

// ready waits until the service says that it is.
func (c *css) ready() *css {
	c.t.Helper()
	testenv.Eventually(c.t, func() bool {
		answer, err := http.Get(c.url + "/v1/ready")
		if err != nil {
			return false
		}
		defer answer.Body.Close()
		return answer.StatusCode == http.StatusOK
	}, "not ready")
	return c
}

// do sends a request and returns the answer with its body, read. Answers under /v1 are held against the specification.
func (c *css) do(method, path string) (*http.Response, string) {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, method, c.url+path, nil)
	require.NoError(c.t, err)
	client := http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	defer client.CloseIdleConnections()
	answer, err := client.Do(request)
	require.NoError(c.t, err)
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	require.NoError(c.t, err)
	return answer, string(body)
}

// get is a GET that the specification knows.
func (c *css) get(path string) (*http.Response, string) {
	c.t.Helper()
	answer, body := c.do(http.MethodGet, path)
	c.spec.Check(c.t, answer, []byte(body))
	return answer, body
}

// put stores a record as v0.3 would have, and returns its entity version.
func (w *world) put(key, value string) int64 {
	w.t.Helper()
	answer, err := w.client.Put(w.t.Context(), key, value)
	require.NoError(w.t, err)
	return answer.Header.Revision
}

// stream opens a stream; next returns its next line, and fails the test when there is none.
func (c *css) stream(path string) (header http.Header, next func() string, end func()) {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, c.url+path, nil)
	require.NoError(c.t, err)
	transport := &http.Transport{}
	answer, err := transport.RoundTrip(request)
	require.NoError(c.t, err)
	require.Equal(c.t, http.StatusOK, answer.StatusCode)
	end = sync.OnceFunc(func() { cancel(); answer.Body.Close(); transport.CloseIdleConnections() })
	c.t.Cleanup(end)
	lines := newLines(answer.Body)
	return answer.Header, func() string {
		c.t.Helper()
		line, err := lines.next()
		require.NoError(c.t, err)
		return line
	}, end
}

type lines struct {
	from io.Reader
	rest string
}

func newLines(from io.Reader) *lines { return &lines{from: from} }

func (l *lines) next() (string, error) {
	for buffer := make([]byte, 64<<10); ; {
		if line, rest, found := strings.Cut(l.rest, "\n"); found {
			l.rest = rest
			return line, nil
		}
		n, err := l.from.Read(buffer)
		l.rest += string(buffer[:n])
		if err != nil && n == 0 {
			return l.rest, err
		}
	}
}

package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sirupsen/logrus"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	clusterstate "github.com/blox/blox/cluster-state-service"
	"github.com/blox/blox/internal/testenv"
)

// requestTimeout is long, because only a failing test waits for it.
const requestTimeout = 3 * time.Minute

// css is one running cluster-state-service.
type css struct {
	*system
	url  string
	stop func()
}

// start runs a cluster-state-service until the test ends or stop is called.
func (w *system) start() *css {
	w.t.Helper()
	return w.startAt(testenv.FreeAddress(w.t))
}

// startAt is start with a listen address.
func (w *system) startAt(address string) *css {
	w.t.Helper()
	return w.run(address, "blox_queue")
}

// startWithStream is start with the Kinesis stream "events" in place of the queue.
func (w *system) startWithStream() *css {
	w.t.Helper()
	return w.run(testenv.FreeAddress(w.t), "kinesis://events")
}

func (w *system) run(address, queue string, flags ...string) *css {
	w.t.Helper()
	listener, err := net.Listen("tcp", address)
	require.NoError(w.t, err)
	environment := map[string]string{
		"AWS_REGION": w.region, "AWS_ENDPOINT_URL": w.aws.URL,
		"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test",
	}
	getenv := func(name string) string { return environment[name] }
	flags = append([]string{"--etcd-endpoint", w.etcd.Endpoints()[0]}, flags...)
	if queue != "" {
		flags = append(flags, "--queue", queue)
	}
	cfg, err := clusterstate.ParseConfig(flags, getenv, io.Discard)
	require.NoError(w.t, err)
	cfg.Listener = listener
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { assert.NoError(w.t, clusterstate.Run(ctx, cfg, quiet(w.t))) })
	c := &css{
		system: w, url: "http://" + listener.Addr().String(),
		stop: sync.OnceFunc(func() { cancel(); running.Wait() }),
	}
	w.t.Cleanup(c.stop)
	return c
}

// quiet returns a logger without the log lines of every request.
func quiet(t testing.TB) logrus.FieldLogger {
	log := testenv.Logger(t)
	log.SetLevel(logrus.InfoLevel)
	return log
}

// ready waits until the service reports ready.
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

// do sends a request and returns the response, whose status the specification has to declare, and its body.
func (c *css) do(method, path string) (*http.Response, string) {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), requestTimeout)
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
	if c.spec != nil {
		c.spec.CheckStatus(c.t, answer.Request, answer.StatusCode)
	}
	return answer, string(body)
}

// get sends a GET and checks the response against the specification.
func (c *css) get(path string) (*http.Response, string) {
	c.t.Helper()
	answer, body := c.do(http.MethodGet, path)
	c.spec.CheckResponse(c.t, answer, []byte(body))
	return answer, body
}

// stream opens a stream. next returns its next line, and fails the test if the stream has ended.
func (c *css) stream(path string) (header http.Header, next func() string, end func()) {
	c.t.Helper()
	answer, end := c.openStream(path)
	lines := newLines(answer.Body)
	return answer.Header, func() string {
		c.t.Helper()
		line, err := lines.next()
		require.NoError(c.t, err)
		return line
	}, end
}

// openStream opens a stream, which ends with the test at the latest.
func (c *css) openStream(path string) (answer *http.Response, end func()) {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), requestTimeout)
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, c.url+path, nil)
	require.NoError(c.t, err)
	transport := &http.Transport{}
	answer, err = transport.RoundTrip(request)
	require.NoError(c.t, err)
	require.Equal(c.t, http.StatusOK, answer.StatusCode)
	end = sync.OnceFunc(func() { cancel(); answer.Body.Close(); transport.CloseIdleConnections() })
	c.t.Cleanup(end)
	return answer, end
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

// served returns the last status of every record that the API returns, by ARN.
func (c *css) served() map[string]string {
	c.t.Helper()
	served := map[string]string{}
	for _, path := range []string{"/v1/tasks", "/v1/instances"} {
		answer, body := c.get(path)
		require.Equal(c.t, http.StatusOK, answer.StatusCode, body)
		var list struct {
			Items []struct {
				Entity struct{ TaskARN, ContainerInstanceARN, LastStatus, Status string }
			}
		}
		require.NoError(c.t, json.Unmarshal([]byte(body), &list))
		for _, i := range list.Items {
			if i.Entity.TaskARN != "" {
				served[i.Entity.TaskARN] = i.Entity.LastStatus
			} else {
				served[i.Entity.ContainerInstanceARN] = i.Entity.Status
			}
		}
	}
	return served
}

func (c *css) awaitConvergence() {
	c.t.Helper()
	testenv.Eventually(c.t, func() bool {
		return assert.ObjectsAreEqual(c.ecsState(), c.served())
	}, "the served state does not converge to ECS's")
}

// awaitSubscribers waits until n streams are open.
func (c *css) awaitSubscribers(n int) {
	c.t.Helper()
	testenv.Eventually(c.t, func() bool {
		_, body := c.do(http.MethodGet, "/metrics")
		return strings.Contains(body, fmt.Sprintf("blox_css_stream_subscribers{kind=\"task\"} %d\n", n))
	}, "not %d streams", n)
}

package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/blox/blox/internal/ecssim"
	"github.com/blox/blox/internal/testenv"
)

// state is a running process of cluster-state-service.
type state struct {
	*process
	url string
}

// startState runs cluster-state-service on an etcd and a simulated AWS until the test ends, or it is ended.
func startState(t *testing.T, etcd *testenv.Server, aws, queue string) *state {
	t.Helper()
	address := testenv.Address(t)
	environment := []string{"AWS_REGION=us-east-1", "AWS_ENDPOINT_URL=" + aws, "AWS_ACCESS_KEY_ID=x", "AWS_SECRET_ACCESS_KEY=x", "CSS_LOG_LEVEL=warn"}
	s := &state{url: "http://" + address, process: execute(t, environment, "cluster-state-service",
		"--bind", address, "--etcd-endpoint", etcd.Endpoints()[0], "--queue", queue)}
	testenv.Eventually(t, func() bool {
		status, _ := s.ask("/v1/ready")
		return status == http.StatusOK
	}, "cluster-state-service is not ready")
	return s
}

// ask is a GET; status is 0 while nobody answers.
func (s *state) ask(path string) (status int, body string) {
	s.t.Helper()
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	request, err := http.NewRequestWithContext(s.t.Context(), http.MethodGet, s.url+path, nil)
	require.NoError(s.t, err)
	answer, err := transport.RoundTrip(request)
	if err != nil {
		return 0, ""
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	require.NoError(s.t, err)
	return answer.StatusCode, string(text)
}

// metric is the value of a line of /metrics.
func (s *state) metric(name string) int {
	s.t.Helper()
	_, body := s.ask("/metrics")
	for line := range strings.Lines(body) {
		if value, found := strings.CutPrefix(line, name+" "); found {
			n, err := strconv.ParseFloat(strings.TrimSpace(value), 64)
			require.NoError(s.t, err)
			return int(n)
		}
	}
	return 0
}

func (s *state) streams() int {
	s.t.Helper()
	return s.metric(`blox_css_stream_subscribers{kind="task"}`) + s.metric(`blox_css_stream_subscribers{kind="instance"}`)
}

// Clients that are gone without a word, in the middle of whatever they were sent, leave nothing behind in a service that
// runs on and has always something to send.
func TestNothingIsLeftOfClientsThatVanish(t *testing.T) {
	etcd, sim := testenv.EtcdServer(t), ecssim.New(ecssim.Config{})
	aws := httptest.NewServer(sim)
	t.Cleanup(func() { sim.Close(); aws.Close() })
	const tasks, streams, others = 2000, 400, 200
	record := func(n, version int) clientv3.Op {
		arn := fmt.Sprintf("arn:aws:ecs:eu-west-1:123456789012:task/prod/1a2b3c4d5e6f47889900%012d", n)
		return clientv3.OpPut("ecs/task/prod/"+arn, string(testenv.Event(t, "task-ec2-running.json",
			"arn:aws:ecs:eu-west-1:123456789012:task/prod/1a2b3c4d5e6f47889900aabbccddeeff", arn, `"version": 3`, fmt.Sprintf(`"version": %d`, version))))
	}
	client := etcd.Client()
	put := func(ops ...clientv3.Op) {
		_, err := client.Txn(context.Background()).Then(ops...).Commit()
		assert.NoError(t, err)
	}
	for from := 0; from < tasks; from += 100 {
		var ops []clientv3.Op
		for n := range 100 {
			ops = append(ops, record(from+n, 1))
		}
		put(ops...)
	}
	s := startState(t, etcd, aws.URL, "blox_queue")
	sim.AddInstances("default", 1)

	ctx, calm := context.WithCancel(t.Context())
	var changing sync.WaitGroup
	changing.Go(func() {
		for n := 0; ctx.Err() == nil; n++ {
			put(record(n%tasks, n))
			select {
			case <-time.After(5 * time.Millisecond):
			case <-ctx.Done():
			}
		}
	})
	defer changing.Wait()
	defer calm()

	vanish := func(open []net.Conn) {
		for _, c := range open {
			assert.NoError(t, c.(*net.TCPConn).SetLinger(0)) // a reset, without a goodbye
			assert.NoError(t, c.Close())
		}
	}
	vanish([]net.Conn{s.dial("GET /v1/stream/tasks HTTP/1.1\r\n\r\n", 100), s.dial("GET /v1/tasks HTTP/1.1\r\n\r\n", 100)})
	before, same := 0, 0 // at rest: what is begun at the start has ended
	testenv.Eventually(t, func() bool {
		now := s.metric("go_goroutines")
		if same++; now != before {
			before, same = now, 0
		}
		return same == 10
	}, "the service does not come to rest")

	var open []net.Conn
	now, err := client.Get(t.Context(), "x")
	require.NoError(t, err)
	recent := strconv.FormatInt(now.Header.Revision, 10)
	for n := range streams {
		path := []string{"tasks", "tasks?entityVersion=" + recent, "tasks?heartbeat=1&deleted=true", "instances?heartbeat=1", "tasks?cluster=none"}[n%5]
		read := int64(100) // the head, and what comes with it
		if n%100 == 0 {
			path, read = "tasks?entityVersion=1", 100_000 // well into a replay of all that ever changed
		}
		open = append(open, s.dial("GET /v1/stream/"+path+" HTTP/1.1\r\n\r\n", read))
	}
	testenv.Eventually(t, func() bool { return s.streams() == streams }, "not all streams are open")
	assert.Greater(t, s.metric("go_goroutines"), before+streams, "they are what is counted")
	for n := range others {
		switch n % 4 {
		case 0:
			open = append(open, s.dial("GET /v1/tasks HTTP/1.1\r\n\r\n", 10_000)) // of two megabytes
		case 1:
			open = append(open, s.dial("GET /v1/tasks HTTP/1.1\r\nAccept-Encoding: gzip\r\n\r\n", 1000))
		case 2:
			open = append(open, s.dial("GET /v1/tasks HTTP/1.1\r\n\r\n", 0)) // leaves at once
		default:
			open = append(open, s.dial("GET /v1/ta", 0)) // leaves before it has asked
		}
	}
	vanish(open)
	testenv.Eventually(t, func() bool { return s.streams() == 0 }, "streams are left")
	var left int
	testenv.Eventually(t, func() bool { left = s.metric("go_goroutines"); return left <= before }, "goroutines are left")
	t.Logf("%d goroutines before, %d after", before, left)
	status, _ := s.ask("/v1/tasks")
	assert.Equal(t, http.StatusOK, status)
}

// dial sends a request, to which it adds the Host line, and reads that much of the answer.
func (s *state) dial(request string, read int64) net.Conn {
	s.t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(s.url, "http://"))
	require.NoError(s.t, err)
	require.NoError(s.t, conn.(*net.TCPConn).SetReadBuffer(4096))
	_, err = io.WriteString(conn, strings.Replace(request, "HTTP/1.1\r\n", "HTTP/1.1\r\nHost: blox\r\n", 1))
	require.NoError(s.t, err)
	_, err = io.CopyN(io.Discard, conn, read)
	require.NoError(s.t, err)
	return conn
}

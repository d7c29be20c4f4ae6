package e2e

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/blox/blox/internal/ecssim"
	"github.com/blox/blox/internal/etcd/embedded"
	"github.com/blox/blox/internal/testenv"
)

// Each dependency fails and returns, and no event is lost.
func TestService_RecoversFromOutages(t *testing.T) {
	w := newSystem(t, ecssim.Config{})
	c := w.start().ready()
	definition := w.sim.RegisterTaskDefinition("agent")
	w.sim.AddInstances("default", 1)
	c.awaitConvergence()

	w.sim.SetDown("sqs", true)
	instances := w.sim.AddInstances("default", 5)
	w.startTasks(definition, instances...)
	w.sim.SetDown("sqs", false)
	c.awaitConvergence()

	w.etcd.Stop()
	w.sim.AddInstances("default", 5)
	answer, body := c.get("/v1/tasks")
	assert.Equal(t, http.StatusServiceUnavailable, answer.StatusCode)
	assert.Equal(t, "etcd does not respond\n", body)
	answer, _ = c.get("/v1/ping")
	assert.Equal(t, http.StatusOK, answer.StatusCode)
	answer, body = c.get("/v1/ready")
	assert.Equal(t, http.StatusServiceUnavailable, answer.StatusCode)
	assert.Contains(t, body, "etcd does not respond")
	w.etcd.Start()
	c.ready().awaitConvergence()
}

// While etcd is out of space, events wait in the queue, reads continue, and readiness reports the reason.
func TestService_ReportsFullEtcd(t *testing.T) {
	w := newSystem(t, ecssim.Config{}, embedded.Options{Quota: 4 << 20})
	c := w.start().ready()
	w.fill()
	answer, body := c.get("/v1/ready")
	assert.Equal(t, http.StatusServiceUnavailable, answer.StatusCode, "before the first event")
	assert.Contains(t, body, "etcd is out of space")
	w.sendMessage(string(testenv.Event(t, "task-ec2-running.json")))
	testenv.Eventually(t, func() bool {
		answer, body := c.get("/v1/ready")
		return answer.StatusCode == http.StatusServiceUnavailable && strings.Contains(body, "etcd is out of space")
	})
	answer, _ = c.get("/v1/tasks")
	assert.Equal(t, http.StatusOK, answer.StatusCode)
	assert.Equal(t, 1, w.messageCount())
	w.freeSpace()
	c.ready()
	testenv.Eventually(t, func() bool { return c.served()[runningTask] == "RUNNING" })
}

// etcd stops, loses its data and starts empty at the same address. Streams end with an error, and the service
// reconciles with ECS at once.
func TestService_FollowsAWipedEtcd(t *testing.T) {
	w := newSystem(t, ecssim.Config{})
	c := w.start().ready()
	w.startTasks(w.sim.RegisterTaskDefinition("agent"), w.sim.AddInstances("default", 5)...)
	c.awaitConvergence()
	_, next, _ := c.stream("/v1/stream/tasks?heartbeat=60")

	w.etcd.Stop()
	w.etcd.Wipe()
	w.etcd.Start()
	assert.Contains(t, next(), "interrupted")
	testenv.Eventually(t, func() bool {
		got, err := w.client.Get(t.Context(), "ecs/task/", clientv3.WithPrefix(), clientv3.WithCountOnly())
		return err == nil && got.Count == 5
	}, "etcd lacks the tasks")
	c.ready().awaitConvergence()
	_, metrics := c.do(http.MethodGet, "/metrics")
	assert.Contains(t, metrics, "blox_css_etcd_data_replaced_total 1")
}

// fill exhausts etcd's quota.
func (w *system) fill() {
	w.t.Helper()
	var err error
	for n := 0; err == nil; n++ {
		_, err = w.client.Put(w.t.Context(), "filler/"+strconv.Itoa(n), strings.Repeat("x", 1<<20))
	}
	require.ErrorContains(w.t, err, "space")
}

// freeSpace follows the documented procedure: delete, compact, defragment, disarm.
func (w *system) freeSpace() {
	w.t.Helper()
	_, err := w.client.Delete(w.t.Context(), "filler/", clientv3.WithPrefix())
	require.NoError(w.t, err)
	now, err := w.client.Get(w.t.Context(), "x")
	require.NoError(w.t, err)
	_, err = w.client.Compact(w.t.Context(), now.Header.Revision, clientv3.WithCompactPhysical())
	require.NoError(w.t, err)
	_, err = w.client.Defragment(w.t.Context(), w.etcd.Endpoints()[0])
	require.NoError(w.t, err)
	_, err = w.client.AlarmDisarm(w.t.Context(), &clientv3.AlarmMember{})
	require.NoError(w.t, err)
}

func TestStop_EndsStreamsCleanly(t *testing.T) {
	w := newSystem(t, ecssim.Config{})
	c := w.start().ready()
	answer, err := http.Get(c.url + "/v1/stream/tasks")
	require.NoError(t, err)
	defer answer.Body.Close()
	c.stop()
	rest, err := io.ReadAll(answer.Body)
	assert.NoError(t, err, "a clean end")
	assert.Empty(t, rest)
	http.DefaultClient.CloseIdleConnections()
}

// A stopping service answers the requests that it has accepted.
func TestStop_AnswersRunningRequests(t *testing.T) {
	w := newSystem(t, ecssim.Config{})
	c := w.start().ready()
	var clients sync.WaitGroup
	var answered atomic.Int64
	for range 8 {
		clients.Go(func() {
			transport := &http.Transport{}
			defer transport.CloseIdleConnections()
			for {
				request, err := http.NewRequest(http.MethodGet, c.url+"/v1/tasks", nil)
				assert.NoError(t, err)
				answer, err := transport.RoundTrip(request)
				if err != nil { // the listener is closed
					return
				}
				body, _ := io.ReadAll(answer.Body)
				answer.Body.Close()
				assert.Equal(t, http.StatusOK, answer.StatusCode, "%s", body)
				answered.Add(1)
			}
		})
	}
	testenv.Eventually(t, func() bool { return answered.Load() > 100 })
	c.stop()
	clients.Wait()
}

// Of 1,000 stream clients, 100 never read. The others receive every line, and their streams end when they leave. The
// kernel buffers the lines of the 100; a test of httpstream has a client whose write blocks.
func TestStream_StalledClientsDelayNoOther(t *testing.T) {
	w := newSystem(t, ecssim.Config{})
	c := w.start().ready()
	const readers, stalled, changes = 900, 100, 50
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()

	address := strings.TrimPrefix(c.url, "http://")
	for range stalled {
		conn, err := net.Dial("tcp", address)
		require.NoError(t, err)
		defer conn.Close()
		require.NoError(t, conn.(*net.TCPConn).SetReadBuffer(1024))
		_, err = io.WriteString(conn, "GET /v1/stream/tasks HTTP/1.1\r\nHost: blox\r\n\r\n")
		require.NoError(t, err)
	}
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	var clients sync.WaitGroup
	var complete atomic.Int64
	for range readers {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, c.url+"/v1/stream/tasks", nil)
		require.NoError(t, err)
		answer, err := transport.RoundTrip(request)
		require.NoError(t, err)
		clients.Go(func() {
			defer answer.Body.Close()
			lines := newLines(answer.Body)
			for n := range changes {
				line, err := lines.next()
				if !assert.NoError(t, err) || !assert.Contains(t, line, fmt.Sprintf(`"startedBy":"change %d"`, n)) {
					return
				}
			}
			complete.Add(1)
		})
	}
	c.awaitSubscribers(readers + stalled)
	for n := range changes {
		w.putRecord("ecs/task/prod/"+runningTask, string(testenv.Event(t, "task-ec2-running.json",
			"66fee44a-63c3-494e-aa34-476f14b4c4e3", fmt.Sprintf("change %d", n))))
	}
	clients.Wait()
	assert.Equal(t, int64(readers), complete.Load())
	c.awaitSubscribers(stalled) // the readers' streams have ended
}

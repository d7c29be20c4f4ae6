package e2e

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/blox/blox/internal/ecssim"
	"github.com/blox/blox/internal/testenv"
)

// records writes task records to etcd.
type records struct {
	t    *testing.T
	etcd *clientv3.Client
}

func (r records) put(number, version int) clientv3.Op {
	const sample = "arn:aws:ecs:eu-west-1:123456789012:task/prod/1a2b3c4d5e6f47889900aabbccddeeff"
	arn := fmt.Sprintf("arn:aws:ecs:eu-west-1:123456789012:task/prod/1a2b3c4d5e6f47889900%012d", number)
	return clientv3.OpPut("ecs/task/prod/"+arn, string(testenv.Event(r.t, "task-ec2-running.json",
		sample, arn, `"version": 3`, fmt.Sprintf(`"version": %d`, version))))
}

func (r records) commit(ops ...clientv3.Op) {
	_, err := r.etcd.Txn(context.Background()).Then(ops...).Commit()
	assert.NoError(r.t, err)
}

// changeUntil changes the records one after another until ctx ends. It makes each change once a stream has
// received the one before it, so that streams keep up however slow the machine is.
func (r records) changeUntil(ctx context.Context, service string, count int) {
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, service+"/v1/stream/tasks", nil)
	assert.NoError(r.t, err)
	response, err := transport.RoundTrip(request)
	if !assert.NoError(r.t, err) {
		return
	}
	defer response.Body.Close()
	lines := bufio.NewReader(response.Body)
	for n := 0; ctx.Err() == nil; n++ {
		r.commit(r.put(n%count, n+2))
		if _, err := lines.ReadString('\n'); err != nil {
			assert.ErrorIs(r.t, err, context.Canceled, "the stream ends with the test alone")
			return
		}
	}
}

func vanish(t *testing.T, clients []*net.TCPConn) {
	for _, c := range clients {
		assert.NoError(t, c.SetLinger(0)) // Close resets the connection
		assert.NoError(t, c.Close())
	}
}

// Clients whose connections are reset in the middle of a response leave neither a stream nor a goroutine in a service
// that keeps running and always has something to send.
func TestService_ReleasesResourcesOfVanishedClients(t *testing.T) {
	etcd, sim := testenv.EtcdServer(t), ecssim.New(ecssim.Config{})
	aws := httptest.NewServer(sim)
	t.Cleanup(func() { sim.Close(); aws.Close() })
	var running sync.WaitGroup
	t.Cleanup(running.Wait)
	const tasks, reading = 2000, 300
	r := records{t, etcd.Client()}
	for from := 0; from < tasks; from += 100 {
		var ops []clientv3.Op
		for n := range 100 {
			ops = append(ops, r.put(from+n, 1))
		}
		r.commit(ops...)
	}
	s := startDebuggableProcess(t, etcd, aws.URL, "blox_queue")
	sim.AddInstances("default", 1)
	vanish(t, []*net.TCPConn{
		s.dial("GET /v1/stream/tasks HTTP/1.1\r\n\r\n", 100), s.dial("GET /v1/tasks HTTP/1.1\r\n\r\n", 100),
	})
	before := s.awaitIdle()

	// Clients that read stay connected for as long as the test needs to open them all.
	now, err := r.etcd.Get(t.Context(), "x")
	require.NoError(t, err)
	recent := strconv.FormatInt(now.Header.Revision, 10)
	streams := []string{
		"tasks", "tasks?entityVersion=" + recent, "tasks?heartbeat=1&deleted=true", "instances?heartbeat=1",
		"tasks?cluster=none", "tasks?snapshot=true&heartbeat=1", "tasks?snapshot=true&type=true&status=running&group=x",
	}
	var clients []*net.TCPConn
	for n := range reading {
		c := s.dial("GET /v1/stream/"+streams[n%len(streams)]+" HTTP/1.1\r\n\r\n", 100)
		running.Go(func() { _, _ = io.Copy(io.Discard, c) })
		clients = append(clients, c)
	}
	testenv.Eventually(t, func() bool { return s.openStreams() == reading }, "not all streams are open")
	assert.Greater(t, len(s.goroutines()), before+reading, "the goroutines of streams are counted")
	ctx, stopChanges := context.WithCancel(t.Context())
	defer stopChanges()
	running.Go(func() { r.changeUntil(ctx, s.url, tasks) })
	testenv.Eventually(t, func() bool { return s.openStreams() == reading+1 }, "changes are not streamed")

	clients = append(clients, s.dialStalledClients(streams)...)
	vanish(t, clients)
	awaitDecrease(t, 1, s.openStreams, "streams are left")
	stopChanges()
	left := awaitDecrease(t, before, func() int { return len(s.goroutines()) }, "goroutines are left")
	t.Logf("%d goroutines before, %d after", before, left)
	status, _, _ := s.get("/v1/tasks")
	assert.Equal(t, http.StatusOK, status)
}

// dialStalledClients opens connections whose clients do not read. The service may close some before they vanish.
func (s *serviceProcess) dialStalledClients(streams []string) (clients []*net.TCPConn) {
	const stalled, requests = 100, 200
	for n := range stalled {
		path, read := streams[n%len(streams)], int64(100)
		if n%25 == 0 {
			path, read = "tasks?entityVersion=1", 100_000 // in the middle of a replay of every change
		}
		clients = append(clients, s.dial("GET /v1/stream/"+path+" HTTP/1.1\r\n\r\n", read))
	}
	for n := range requests {
		request, read := "GET /v1/tasks HTTP/1.1\r\n\r\n", int64(10_000) // of two megabytes
		switch n % 4 {
		case 1:
			request, read = "GET /v1/tasks HTTP/1.1\r\nAccept-Encoding: gzip\r\n\r\n", 1000
		case 2:
			read = 0 // vanishes before the response
		case 3:
			request, read = "GET /v1/ta", 0 // vanishes before the end of its request
		}
		clients = append(clients, s.dial(request, read))
	}
	return clients
}

// awaitIdle returns the number of goroutines when all components have started and none is busy.
func (s *serviceProcess) awaitIdle() (goroutines int) {
	testenv.Eventually(s.t, func() bool {
		_, header, _ := s.get("/v1/instances")
		return header.Get("Blox-Reconciled-At") != ""
	}, "no reconciliation has finished")
	equal := 0
	testenv.Eventually(s.t, func() bool {
		now := len(s.goroutines())
		equal++
		if now != goroutines {
			goroutines, equal = now, 0
		}
		return equal == 10
	}, "the service does not become idle")
	return goroutines
}

// awaitDecrease returns when the count is at most the target. It waits for as long as the count decreases.
func awaitDecrease(t *testing.T, target int, count func() int, message string) int {
	t.Helper()
	left := count()
	for left > target {
		before := left
		testenv.Eventually(t, func() bool {
			left = count()
			return left < before
		}, "%s: %d, want %d", message, before, target)
	}
	return left
}

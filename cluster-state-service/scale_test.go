package clusterstate_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/blox/blox/cluster-state-service/state"
	"github.com/blox/blox/internal/ecssim"
	"github.com/blox/blox/internal/testenv"
)

// 50,000 events (10,000 under the race detector), a fifth of them twice and a fifth late: what is stored in the end is the
// simulator's truth, version by version, without the help of a comparison.
func TestStoreEqualsTheTruthAfterManyDisorderedEvents(t *testing.T) {
	w := newWorld(t, ecssim.Config{Seed: 7})
	c := w.start().ready() // the first comparison finds nothing, and the next is 20 minutes away
	w.sim.SetFaults(ecssim.Faults{Events: ecssim.EventFaults{Duplicate: 0.2, Reorder: 0.2}})
	definition := w.sim.RegisterTaskDefinition("agent")
	instances := w.sim.AddInstances("default", 100)
	events := 50_000
	if testenv.Race {
		events = 10_000
	}
	for w.sim.Counters().Events.Sent < events {
		for from := 0; from < len(instances); from += 10 {
			for _, task := range w.startTasks(definition, instances[from:from+10]...) {
				require.NoError(t, w.sim.KillTask(task, 0))
			}
		}
	}
	w.sim.SetFaults(ecssim.Faults{})
	for _, i := range instances { // lets the last held event go
		require.NoError(t, w.sim.SetAgentConnected(i, false))
	}
	truth := map[string]int64{}
	for _, task := range w.sim.Tasks("") {
		truth[task.ARN] = task.Version
	}
	for _, i := range w.sim.Instances("") {
		truth[i.ARN] = i.Version
	}
	for left := w.queued(); left > 0; left = w.queued() {
		testenv.Eventually(t, func() bool { return w.queued() < left }, "%d events are left in the queue", left)
	}
	assert.Equal(t, truth, w.storedVersions())
	assert.Equal(t, w.truth(), c.served())
}

// storedVersions is ECS's version of every record in etcd, by ARN.
func (w *world) storedVersions() map[string]int64 {
	w.t.Helper()
	stored := map[string]int64{}
	for _, kind := range []state.Kind{state.KindTask, state.KindInstance} {
		answer, err := w.client.Get(w.t.Context(), kind.Prefix(), clientv3.WithPrefix())
		require.NoError(w.t, err)
		for _, kv := range answer.Kvs {
			if kind == state.KindTask {
				task, err := state.DecodeTask(kv.Value)
				require.NoError(w.t, err)
				stored[task.ARN] = task.Version
			} else {
				i, err := state.DecodeInstance(kv.Value)
				require.NoError(w.t, err)
				stored[i.ARN] = i.Version
			}
		}
	}
	return stored
}

// 1,000 clients of a stream of which 100 never read: the others get every line, and nothing is left once all have gone.
func TestStalledStreamsHarmNobody(t *testing.T) {
	w := newWorld(t, ecssim.Config{})
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
	c.subscribers(readers + stalled)
	for n := range changes {
		w.put("ecs/task/prod/"+runningTask, string(testenv.Event(t, "task-ec2-running.json", "66fee44a-63c3-494e-aa34-476f14b4c4e3", fmt.Sprintf("change %d", n))))
	}
	clients.Wait()
	assert.Equal(t, int64(readers), complete.Load())
	c.subscribers(stalled) // the others were noticed to be gone
}

// subscribers waits until so many streams are open.
func (c *css) subscribers(n int) {
	c.t.Helper()
	testenv.Eventually(c.t, func() bool {
		_, body := c.do(http.MethodGet, "/metrics")
		return strings.Contains(body, fmt.Sprintf("blox_css_stream_subscribers{kind=\"task\"} %d\n", n))
	}, "not %d streams", n)
}

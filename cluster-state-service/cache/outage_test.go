package cache

import (
	"context"
	"fmt"
	"iter"
	"testing"
	"time"

	"github.com/sirupsen/logrus"
	logrustest "github.com/sirupsen/logrus/hooks/test"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/blox/blox/cluster-state-service/state"
	"github.com/blox/blox/internal/etcd"
	"github.com/blox/blox/internal/testenv"
)

// A heartbeat promises every change up to its revision. It never carries the revision of a history that its subscriber
// does not follow.
func TestHeartbeat_NeverSkipsChanges(t *testing.T) {
	server := testenv.EtcdServer(t)
	client := server.Client()
	write(t, client, "a", 1)
	proxy := testenv.NewProxy(t, server.Endpoints()[0])
	watchClient, err := etcd.New(etcd.Config{Endpoints: []string{proxy.Address()}}, nil)
	require.NoError(t, err)
	t.Cleanup(func() { watchClient.Close() })
	cache := startWithWatch(t, server, watchClient, 0)
	_, err = cache.WaitCurrent(t.Context())
	require.NoError(t, err)

	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	changes, err := cache.Watch(ctx, state.KindTask, WatchOptions{Heartbeat: 20 * time.Millisecond})
	require.NoError(t, err)
	var missed, beat int64
	for c, err := range changes {
		if err != nil {
			assert.ErrorIs(t, err, errInterrupted)
			break
		}
		require.True(t, c.Heartbeat, "%s", c.Line)
		beat = c.Revision
		if missed == 0 { // interrupt the watch, and compact the revisions that it misses
			proxy.SetDisconnected(true)
			missed = write(t, client, "a", 2)
			_, err := client.Compact(t.Context(), write(t, client, "b", 1))
			require.NoError(t, err)
			proxy.SetDisconnected(false)
		}
	}
	assert.NotZero(t, missed)
	assert.Less(t, beat, missed)
}

// A watch response larger than the history never makes a subscriber slow that had read everything before it.
func TestWatch_SurvivesLargeTransaction(t *testing.T) {
	server := testenv.EtcdServer(t)
	client := server.Client()
	cache := start(t, server, 3)
	_, err := cache.WaitCurrent(t.Context())
	require.NoError(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	changes, err := cache.Watch(ctx, state.KindTask, WatchOptions{})
	require.NoError(t, err)
	var puts []clientv3.Op
	for n := range 50 {
		puts = append(puts, clientv3.OpPut(keyOf(fmt.Sprint(n)), valueOf(fmt.Sprint(n), 1)))
	}
	_, err = client.Txn(t.Context()).Then(puts...).Commit()
	require.NoError(t, err)
	read := 0
	for _, err := range changes {
		require.NoError(t, err)
		if read++; read == len(puts) {
			break
		}
	}
	assert.Equal(t, len(puts), read)
}

// Clients that do not read their replayed changes occupy no replay slot.
func TestReplay_SlowSubscribersHoldNoSlot(t *testing.T) {
	server := testenv.EtcdServer(t)
	client := server.Client()
	first := write(t, client, "a", 1)
	for n := range 5 {
		write(t, client, "a", 2+n)
	}
	cache := start(t, server, 0)
	_, err := cache.WaitCurrent(t.Context())
	require.NoError(t, err)
	for range cap(cache.replaySlots) {
		changes, err := cache.Watch(t.Context(), state.KindTask, WatchOptions{From: first})
		require.NoError(t, err)
		next, stop := iter.Pull2(changes)
		defer stop()
		_, err, more := next() // the client stops reading here
		require.NoError(t, err)
		require.True(t, more)
	}
	assert.Len(t, lines(t, cache, first, 6), 6)
}

// A history longer than one replay batch arrives complete and in order.
func TestReplay_ReturnsLongHistoryInOrder(t *testing.T) {
	server := testenv.EtcdServer(t)
	client := server.Client()
	var first int64
	const transactions = 30
	for n := range transactions {
		var puts []clientv3.Op
		for id := range 100 {
			puts = append(puts, clientv3.OpPut(keyOf(fmt.Sprint(id)), valueOf(fmt.Sprint(id), n+1)))
		}
		answer, err := client.Txn(t.Context()).Then(puts...).Commit()
		require.NoError(t, err)
		if n == 0 {
			first = answer.Header.Revision
		}
	}
	cache := start(t, server, 0)
	_, err := cache.WaitCurrent(t.Context())
	require.NoError(t, err)
	live := write(t, client, "live", 1)
	got := lines(t, cache, first, 100*transactions+1)
	for n := range transactions {
		assert.Contains(t, got[100*n], fmt.Sprintf(" v%d @%d", n+1, first+int64(n)))
	}
	assert.Contains(t, got[100*transactions], fmt.Sprintf("@%d", live))
}

// If etcd is restored to an earlier state, the cache drops what it holds.
func TestCache_ReloadsWhenEtcdMovesBack(t *testing.T) {
	server := testenv.EtcdServer(t)
	client := server.Client()
	cache := start(t, server, 0)
	for n := range 20 {
		write(t, client, fmt.Sprint(n), 1)
	}
	s, err := cache.WaitCurrent(t.Context())
	require.NoError(t, err)
	require.Equal(t, 20, s.Tasks.Len())

	server.Stop()
	testenv.EtcdServerAt(t, server.Endpoints()[0]) // an empty etcd at the same address
	testenv.Eventually(t, func() bool {
		s, err := cache.WaitCurrent(t.Context())
		return err == nil && s.Tasks.Len() == 0
	}, "records that etcd lacks are still served")
	assert.Zero(t, cache.StoredVersion(state.Key{Kind: state.KindTask, Cluster: "prod", ARN: arnOf("1")}))
}

func TestCache_LogsRepeatedLossesOfItsWatchOnce(t *testing.T) {
	server := testenv.EtcdServer(t)
	cache := build(t, server, server.Client(), 0)
	log, lines := logrustest.NewNullLogger()
	cache.log = log
	run(t, cache)
	const losses = 4
	for n := range losses {
		testenv.Eventually(t, func() bool { return len(messages(lines, "cache loaded")) == n+1 })
		cache.mu.Lock()
		cancelWatch := cache.cancelWatch
		cache.mu.Unlock()
		cancelWatch()
	}
	testenv.Eventually(t, func() bool { return len(messages(lines, "cache loaded")) == losses+1 })
	assert.Less(t, len(messages(lines, "etcd watch lost; reloading the cache")), losses)
	assert.NotEmpty(t, messages(lines, "resumed following etcd"))
}

func messages(lines *logrustest.Hook, message string) (found []*logrus.Entry) {
	for _, line := range lines.AllEntries() {
		if line.Message == message {
			found = append(found, line)
		}
	}
	return found
}

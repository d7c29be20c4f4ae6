package cache

import (
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.etcd.io/etcd/api/v3/mvccpb"

	"github.com/blox/blox/daemon-scheduler/environment"
	"github.com/blox/blox/daemon-scheduler/store"
	"github.com/blox/blox/internal/broadcast"
	"github.com/blox/blox/internal/testenv"
)

// watch returns the changes of a cache as texts.
func watch(t *testing.T, c *Cache, heartbeat time.Duration) <-chan string {
	ctx, cancel := context.WithCancel(context.Background())
	changes, err := c.Watch(ctx, heartbeat)
	require.NoError(t, err)
	lines, ended := make(chan string, 100), make(chan struct{})
	go func() {
		defer close(ended)
		for c, err := range changes {
			switch e := c.Environment; {
			case err != nil:
				lines <- err.Error()
			case c.Heartbeat:
				lines <- "heartbeat"
			default:
				lines <- fmt.Sprintf("%s deleted=%v paused=%v in %s", e.Name, c.Deleted, e.Paused, e.Cluster)
			}
		}
	}()
	t.Cleanup(func() { cancel(); <-ended })
	return lines
}

func TestCache_WatchYieldsEveryChange(t *testing.T) {
	server := testenv.EtcdServer(t)
	before, _ := unread(t)
	_, err := before.Watch(t.Context(), 0)
	assert.ErrorIs(t, err, environment.ErrStoreUnavailable, "etcd has not been read yet")
	s, c := running(t, server.Client())
	require.NoError(t, s.Create(t.Context(), env("old")))
	testenv.Eventually(t, func() bool { return len(c.Names()) == 1 })
	lines := watch(t, c, 0)

	require.NoError(t, s.Create(t.Context(), env("logs")))
	assert.Equal(t, "logs deleted=false paused=false in arn:cluster/prod", <-lines)
	for range 2 { // the second changes nothing
		pause := func(e environment.Environment) (environment.Environment, error) { return e.Pause(time.Now()) }
		_, err := s.Update(t.Context(), "logs", pause)
		require.NoError(t, err)
	}
	assert.Equal(t, "logs deleted=false paused=true in arn:cluster/prod", <-lines)
	require.NoError(t, s.Delete(t.Context(), "logs"))
	assert.Equal(t, "logs deleted=true paused=false in arn:cluster/prod", <-lines)

	// The leader's own commits are among the changes.
	term := lead(t, s)
	stored, err := s.Get(t.Context(), "old")
	require.NoError(t, err)
	stored.Paused = true
	changes := store.Changes{Name: "old", Incarnation: stored.Incarnation, Environment: &stored}
	_, err = s.Commit(t.Context(), term, changes)
	require.NoError(t, err)
	assert.Equal(t, "old deleted=false paused=true in arn:cluster/prod", <-lines)

	// The list after an outage shows the changes during the outage.
	server.Stop()
	server.Start()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	require.NoError(t, s.Delete(ctx, "old"))
	assert.Equal(t, "old deleted=true paused=false in arn:cluster/prod", <-lines)
	assert.Equal(t, "heartbeat", <-watch(t, c, time.Millisecond))
}

// record encodes an environment as etcd holds it at a revision.
func record(t *testing.T, name string, revision int64) *mvccpb.KeyValue {
	value, err := json.Marshal(env(name))
	require.NoError(t, err)
	return &mvccpb.KeyValue{Key: []byte(store.EnvironmentKey(name)), Value: value, ModRevision: revision}
}

func TestBroadcaster_ReplaceSendsWhatReadersMissed(t *testing.T) {
	var b broadcaster
	b.init()
	subscription := b.history.Subscribe()
	defer subscription.Close()
	sent := func() (changes []*Change) {
		for {
			more, ok := subscription.Next()
			if !ok {
				return changes
			}
			changes = append(changes, more...)
		}
	}
	b.replace([]*mvccpb.KeyValue{record(t, "a", 1), record(t, "b", 2), record(t, "c", 3)}, 5)
	assert.Len(t, sent(), 3)
	malformed := &mvccpb.KeyValue{Key: []byte(store.EnvironmentKey("c")), Value: []byte("{"), ModRevision: 6}
	b.replace([]*mvccpb.KeyValue{record(t, "a", 1), record(t, "b", 6), malformed}, 7)
	changes := sent()
	require.Len(t, changes, 1, "a malformed record is skipped")
	assert.Equal(t, int64(6), changes[0].Version)
	b.replace([]*mvccpb.KeyValue{record(t, "a", 1)}, 9)
	changes = sent()
	require.Len(t, changes, 2)
	assert.True(t, changes[0].Deleted)
	assert.True(t, changes[1].Deleted)
}

func TestCache_WatchEndsForASlowReaderAlone(t *testing.T) {
	c, l := unread(t)
	l.Replace(nil, 1)
	changes, err := c.Watch(t.Context(), 0)
	require.NoError(t, err)
	fast := c.broadcaster.history.Subscribe()
	defer fast.Close()
	read := 0
	for i := range maxUnread + 10 {
		l.Replace([]*mvccpb.KeyValue{record(t, "logs", int64(i+2))}, int64(i+2))
		for {
			if _, ok := fast.Next(); !ok {
				break
			}
			read++
		}
	}
	assert.NoError(t, fast.Err())
	assert.Equal(t, maxUnread+10, read)
	for _, err = range changes {
		continue
	}
	assert.ErrorIs(t, err, broadcast.ErrSlow)
}

// A thousand clients may watch at once, so a reader must cost no more than a few pages of memory.
func TestCache_WatchIsCheap(t *testing.T) {
	c, l := unread(t)
	l.Replace(nil, 1)
	const readers = 100
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for range readers {
		_, err := c.Watch(t.Context(), 0)
		require.NoError(t, err)
	}
	runtime.ReadMemStats(&after)
	assert.Less(t, (after.TotalAlloc-before.TotalAlloc)/readers, uint64(32<<10), "bytes")
}

func TestChange_IsEncodedOnceForAllReaders(t *testing.T) {
	c, l := unread(t)
	l.Replace(nil, 1)
	encoded := 0
	encode := func(change environment.Change) []byte { encoded++; return []byte(change.Environment.Name) }
	first, err := c.Watch(t.Context(), 0)
	require.NoError(t, err)
	second, err := c.Watch(t.Context(), 0)
	require.NoError(t, err)
	l.Replace([]*mvccpb.KeyValue{record(t, "logs", 2)}, 2)
	for _, changes := range []iter.Seq2[*Change, error]{first, second} {
		for change, err := range changes {
			require.NoError(t, err)
			assert.Equal(t, "logs", string(change.Line(encode)))
			break
		}
	}
	assert.Equal(t, 1, encoded)
}

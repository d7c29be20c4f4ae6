package cache

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/blox/blox/cluster-state-service/state"
	"github.com/blox/blox/internal/broadcast"
	"github.com/blox/blox/internal/testenv"
)

// lines reads n changes and returns them as text.
func lines(t *testing.T, cache *Cache, from int64, n int) []string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	changes, err := cache.Watch(ctx, state.KindTask, WatchOptions{From: from})
	require.NoError(t, err)
	var got []string
	for c, err := range changes {
		require.NoError(t, err)
		if got = append(got, strings.TrimSuffix(string(c.Line), "\n")); len(got) == n {
			break
		}
	}
	require.Len(t, got, n)
	return got
}

func TestWatch_StartsNow(t *testing.T) {
	server := testenv.EtcdServer(t)
	client := server.Client()
	write(t, client, "before", 1)
	cache := start(t, server, 0)
	_, err := cache.WaitCurrent(t.Context())
	require.NoError(t, err)

	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	changes, err := cache.Watch(ctx, state.KindTask, WatchOptions{})
	require.NoError(t, err)
	first := write(t, client, "a", 1)
	second := write(t, client, "a", 2)
	_, err = client.Delete(t.Context(), keyOf("a"))
	require.NoError(t, err)
	want := []string{
		fmt.Sprintf("%s v1 @%d\n", arnOf("a"), first), fmt.Sprintf("%s v2 @%d\n", arnOf("a"), second),
		fmt.Sprintf("%s deleted @%d\n", arnOf("a"), second+1),
	}
	for c, err := range changes {
		require.NoError(t, err)
		assert.Equal(t, want[0], string(c.Line))
		assert.Equal(t, len(want) == 1, c.Deleted)
		if want = want[1:]; len(want) == 0 {
			break
		}
	}
	assert.Empty(t, want)
}

// A client may come before the cache is loaded. Its stream starts then, and does not end with the load.
func TestWatch_StartsWhenTheCacheIsLoaded(t *testing.T) {
	server := testenv.EtcdServer(t)
	client := server.Client()
	write(t, client, "before", 1)
	cache := build(t, server, client, 0)
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	started := make(chan error, 1)
	var first string
	go func() {
		changes, err := cache.Watch(ctx, state.KindTask, WatchOptions{})
		started <- err
		if err == nil {
			for c, err := range changes {
				first = string(c.Line)
				started <- err
				return
			}
		}
	}()
	select {
	case err := <-started:
		t.Fatalf("the stream starts before the load: %v", err)
	case <-time.After(50 * time.Millisecond): // a stream that starts too early is seen, at the latest, by its end
	}
	run(t, cache)
	require.NoError(t, <-started)
	revision := write(t, client, "a", 1)
	require.NoError(t, <-started)
	assert.Equal(t, fmt.Sprintf("%s v1 @%d\n", arnOf("a"), revision), first)
}

func TestWatch_FailsIfTheCacheCannotBeLoaded(t *testing.T) {
	cache := build(t, testenv.EtcdServer(t), nil, 0) // it does not run
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	_, err := cache.Watch(ctx, state.KindTask, WatchOptions{})
	assert.ErrorIs(t, err, context.DeadlineExceeded)
}

// A stream shows the same changes whether the history holds them or etcd replays them.
func TestWatch_StartsAtRevision(t *testing.T) {
	server := testenv.EtcdServer(t)
	client := server.Client()
	var revisions []int64
	var want []string
	add := func(n int) {
		revision := write(t, client, "a", n)
		revisions = append(revisions, revision)
		want = append(want, fmt.Sprintf("%s v%d @%d", arnOf("a"), n, revision))
	}
	for n := range 5 { // before the cache is loaded
		add(n)
	}
	all := start(t, server, 0)
	few := start(t, server, 3)
	for _, cache := range []*Cache{all, few} {
		_, err := cache.WaitCurrent(t.Context())
		require.NoError(t, err)
	}
	for n := range 10 {
		add(5 + n)
	}
	for _, cache := range []*Cache{all, few} {
		_, err := cache.WaitCurrent(t.Context())
		require.NoError(t, err)
		for i := range revisions {
			assert.Equal(t, want[i:], lines(t, cache, revisions[i], len(want)-i), "from %d", revisions[i])
		}
	}
}

func TestReplay_EndsWithoutFurtherEvent(t *testing.T) {
	server := testenv.EtcdServer(t)
	client := server.Client()
	first := write(t, client, "a", 1)
	_, err := client.Put(t.Context(), "ecs/instance/other", "x") // the last revision changes no task
	require.NoError(t, err)
	cache := start(t, server, 0)
	_, err = cache.WaitCurrent(t.Context())
	require.NoError(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	changes, err := cache.Watch(ctx, state.KindTask, WatchOptions{From: first})
	require.NoError(t, err)
	seen := 0
	for c, err := range changes {
		require.NoError(t, err)
		if seen++; seen == 2 {
			assert.Contains(t, string(c.Line), "v2", "live changes follow")
			break
		}
		write(t, client, "a", 2)
	}
	assert.Equal(t, 2, seen)
}

func TestWatch_RejectsRevisionOutOfRange(t *testing.T) {
	server := testenv.EtcdServer(t)
	client := server.Client()
	first := write(t, client, "a", 1)
	last := write(t, client, "a", 2)
	cache := start(t, server, 0)
	_, err := cache.Watch(t.Context(), state.KindTask, WatchOptions{From: last + 1})
	assert.ErrorIs(t, err, state.ErrVersionOutOfRange, "in the future")
	_, err = client.Compact(t.Context(), last)
	require.NoError(t, err)
	_, err = cache.Watch(t.Context(), state.KindTask, WatchOptions{From: first})
	assert.ErrorIs(t, err, state.ErrVersionOutOfRange, "compacted")
	assert.Len(t, lines(t, cache, last, 1), 1)
}

func TestHeartbeat_CarriesResumableRevision(t *testing.T) {
	server := testenv.EtcdServer(t)
	client := server.Client()
	write(t, client, "a", 1)
	cache := start(t, server, 0)
	_, err := cache.WaitCurrent(t.Context())
	require.NoError(t, err)
	answer, err := client.Put(t.Context(), "others/key", "x")
	require.NoError(t, err)
	s, err := cache.WaitCurrent(t.Context())
	require.NoError(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	changes, err := cache.Watch(ctx, state.KindTask, WatchOptions{Heartbeat: 10 * time.Millisecond})
	require.NoError(t, err)
	for c, err := range changes {
		require.NoError(t, err)
		assert.True(t, c.Heartbeat)
		assert.Equal(t, s.Revision, c.Revision)
		assert.GreaterOrEqual(t, c.Revision, answer.Header.Revision)
		break
	}
}

// A heartbeat promises completeness, so none is sent while etcd is unavailable.
func TestHeartbeat_StopsWhileEtcdIsUnavailable(t *testing.T) {
	server := testenv.EtcdServer(t)
	cache := start(t, server, 0)
	_, err := cache.WaitCurrent(t.Context())
	require.NoError(t, err)
	server.Stop()
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	changes, err := cache.Watch(ctx, state.KindTask, WatchOptions{Heartbeat: time.Millisecond})
	require.NoError(t, err)
	for c, err := range changes {
		require.NoError(t, err)
		assert.Fail(t, "heartbeat without etcd", "%+cache", c)
	}

	server.Start()
	ctx, cancel = context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	testenv.Eventually(t, func() bool {
		changes, err := cache.Watch(ctx, state.KindTask, WatchOptions{Heartbeat: time.Millisecond})
		require.NoError(t, err)
		for c, err := range changes { // an error: the history ended with the old watch
			return err == nil && c.Heartbeat
		}
		return false
	})
}

func TestWatch_TerminatesSlowSubscriber(t *testing.T) {
	server := testenv.EtcdServer(t)
	client := server.Client()
	cache := start(t, server, 2)
	_, err := cache.WaitCurrent(t.Context())
	require.NoError(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	changes, err := cache.Watch(ctx, state.KindTask, WatchOptions{})
	require.NoError(t, err)
	for n := range 10 {
		write(t, client, "a", n)
		_, err = cache.WaitCurrent(t.Context()) // so that each change is a segment of its own
		require.NoError(t, err)
	}
	var ended error
	for _, ended = range changes {
	}
	assert.ErrorIs(t, ended, broadcast.ErrSlow)
}

// If etcd cancels the watch, for example after compaction, the cache reloads and ends the streams of the old history
// with an error.
func TestWatch_EndsWhenCacheReloads(t *testing.T) {
	server := testenv.EtcdServer(t)
	client := server.Client()
	write(t, client, "a", 1)
	cache := start(t, server, 0)
	s, err := cache.WaitCurrent(t.Context())
	require.NoError(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	changes, err := cache.Watch(ctx, state.KindTask, WatchOptions{})
	require.NoError(t, err)
	cache.restart(s) // as loadAndWatch does after a failed watch
	var ended error
	for _, ended = range changes {
	}
	assert.ErrorIs(t, ended, errInterrupted)
	next := write(t, client, "a", 2)
	assert.Len(t, lines(t, cache, next, 1), 1)
}

func TestWatch_EndsCleanlyWithService(t *testing.T) {
	server := testenv.EtcdServer(t)
	cache := build(t, server, server.Client(), 0)
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { assert.NoError(t, cache.Run(ctx)) })
	_, err := cache.WaitCurrent(t.Context())
	require.NoError(t, err)
	changes, err := cache.Watch(t.Context(), state.KindTask, WatchOptions{})
	require.NoError(t, err)
	cancel()
	for range changes {
		assert.Fail(t, "no change was made")
	}
	running.Wait()
}

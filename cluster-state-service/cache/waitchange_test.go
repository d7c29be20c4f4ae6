package cache

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/blox/blox/cluster-state-service/state"
	"github.com/blox/blox/internal/testenv"
)

func anyChange(Change) bool { return true }

func TestWaitChange_ReturnsAStateThatContainsTheChange(t *testing.T) {
	server := testenv.EtcdServer(t)
	client := server.Client()
	write(t, client, "a", 1)
	cache := start(t, server, 0)
	s, err := cache.WaitCurrent(t.Context())
	require.NoError(t, err)
	earlier, err := cache.WaitChange(t.Context(), state.KindTask, s.Revision-1, anyChange)
	require.NoError(t, err)
	assert.Equal(t, s.Revision, earlier.Revision, "a change that happened already")

	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	found := make(chan int64, 1)
	go func() {
		s, err := cache.WaitChange(ctx, state.KindTask, s.Revision, func(c Change) bool { return c.Key.ARN == arnOf("b") })
		assert.NoError(t, err)
		found <- s.Tasks.Get(keyOf("b")).Version
	}()
	_, err = client.Put(ctx, "ecs/instance/other", "x")
	require.NoError(t, err)
	for version := 1; ; version++ {
		write(t, client, "a", version+1)
		revision := write(t, client, "b", version)
		select {
		case got := <-found:
			assert.LessOrEqual(t, got, int64(version))
			return
		case <-time.After(100 * time.Millisecond): // WaitChange may have begun after the write
			require.Less(t, version, 1000, "revision %d is not found", revision)
		}
	}
}

func TestWaitChange_ReturnsThePresentStateAtTheEnd(t *testing.T) {
	server := testenv.EtcdServer(t)
	write(t, server.Client(), "a", 1)
	cache := start(t, server, 0)
	s, err := cache.WaitCurrent(t.Context())
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	same, err := cache.WaitChange(ctx, state.KindTask, s.Revision, anyChange)
	require.NoError(t, err)
	assert.Equal(t, s.Revision, same.Revision)

	results := make(chan error, 1)
	go func() {
		_, err := cache.WaitChange(t.Context(), state.KindTask, s.Revision, anyChange)
		results <- err
	}()
	testenv.Eventually(t, func() bool { // the watch's interruption ends the wait, too
		cache.reload()
		select {
		case err := <-results:
			assert.NoError(t, err)
			return true
		default:
			return false
		}
	})
}

func TestRecent_ReadsFromEtcdOnlyForANewerState(t *testing.T) {
	server := testenv.EtcdServer(t)
	client := server.Client()
	write(t, client, "a", 1)
	cache := start(t, server, 0)
	first, err := cache.Recent(t.Context(), time.Hour) // nothing is known yet, so it reads
	require.NoError(t, err)
	require.NotNil(t, first.Tasks.Get(keyOf("a")))
	server.Stop()
	same, err := cache.Recent(t.Context(), time.Hour)
	require.NoError(t, err)
	assert.Equal(t, first.Revision, same.Revision)
	_, err = cache.Recent(t.Context(), time.Nanosecond)
	assert.ErrorIs(t, err, state.ErrStoreUnavailable)
}

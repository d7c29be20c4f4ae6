package cache

import (
	"context"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/blox/blox/cluster-state-service/state"
	"github.com/blox/blox/internal/testenv"
)

// auditedCache is a running cache of two tasks and a malformed one, and its metrics.
func auditedCache(t *testing.T) (*Cache, *prometheus.Registry) {
	t.Helper()
	server := testenv.EtcdServer(t)
	client := server.Client()
	write(t, client, "a", 1)
	write(t, client, "b", 1)
	for _, key := range []string{keyOf("malformed"), "ecs/task/malformed"} {
		_, err := client.Put(t.Context(), key, "no JSON")
		require.NoError(t, err)
	}
	cache, metrics := build(t, server, server.Client(), 0), prometheus.NewRegistry()
	cache.metrics = newMetrics(cache, metrics)
	run(t, cache)
	_, err := cache.WaitCurrent(t.Context())
	require.NoError(t, err)
	return cache, metrics
}

func TestAudit_FindsNoDifferenceInARightCache(t *testing.T) {
	cache, metrics := auditedCache(t)
	require.NoError(t, cache.audit(t.Context()))
	assert.Zero(t, testenv.Metric(t, metrics, "blox_css_cache_audit_differences_total"))
	assert.False(t, cache.differs.Load())
}

func TestAudit_ReloadsACacheThatDiffers(t *testing.T) {
	for name, corrupt := range map[string]func(Index[state.TaskSummary]){
		"lacks a task":        func(x Index[state.TaskSummary]) { x.Delete(keyOf("a")) },
		"lacks the last task": func(x Index[state.TaskSummary]) { x.Delete(keyOf("b")) },
		"holds an old task": func(x Index[state.TaskSummary]) {
			old := *x.Get(keyOf("a"))
			old.Revision--
			x.Put(&old)
		},
		"has another digest than its tasks": func(x Index[state.TaskSummary]) { x.sums.versions.Add("a", 1) },
		"holds a deleted task": func(x Index[state.TaskSummary]) {
			deleted := *x.Get(keyOf("a"))
			deleted.Key = keyOf("z")
			x.Put(&deleted)
		},
	} {
		t.Run(name, func(t *testing.T) {
			cache, metrics := auditedCache(t)
			ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
			defer cancel()
			changes, err := cache.Watch(ctx, state.KindTask, WatchOptions{})
			require.NoError(t, err)
			right := cache.Snapshot()
			corrupted := *right
			corrupted.Tasks = right.Tasks.Clone()
			corrupt(corrupted.Tasks)
			cache.snapshot.Store(&corrupted)

			require.NoError(t, cache.audit(ctx))
			assert.Equal(t, 1.0, testenv.Metric(t, metrics, "blox_css_cache_audit_differences_total"))
			var ended error
			for _, ended = range changes {
			}
			require.ErrorIs(t, ended, errInterrupted, "clients of the wrong cache list again")
			repaired, err := cache.WaitCurrent(ctx)
			require.NoError(t, err)
			assert.Equal(t, 2, repaired.Tasks.Len())
			for _, id := range []string{"a", "b"} {
				assert.Equal(t, right.Tasks.Get(keyOf(id)).Revision, repaired.Tasks.Get(keyOf(id)).Revision)
			}
			require.NoError(t, cache.audit(ctx))
			assert.Equal(t, 1.0, testenv.Metric(t, metrics, "blox_css_cache_audit_differences_total"))
		})
	}
}

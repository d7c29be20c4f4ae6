package cache

import (
	"context"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/blox/blox/internal/etcd"
	"github.com/blox/blox/internal/testenv"
)

// The lag counts revisions that a read has seen and the watch has not delivered.
func TestMetrics_ReportLag(t *testing.T) {
	server := testenv.EtcdServer(t)
	client := server.Client()
	proxy := testenv.NewProxy(t, server.Endpoints()[0])
	watchClient, err := etcd.New(etcd.Config{Endpoints: []string{proxy.Address()}}, nil)
	require.NoError(t, err)
	t.Cleanup(func() { watchClient.Close() })
	cache, metrics := build(t, server, watchClient, 0), prometheus.NewRegistry()
	cache.metrics = newMetrics(cache, metrics)
	run(t, cache)
	gauge := func(name string) float64 { return testenv.Metric(t, metrics, name) }
	_, err = cache.WaitCurrent(t.Context())
	require.NoError(t, err)
	assert.Zero(t, gauge("blox_css_cache_lag_revisions"))

	proxy.SetDisconnected(true)
	var last int64
	for n := range 3 {
		last = write(t, client, "a", n)
	}
	testenv.Eventually(t, func() bool {
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		_, err := cache.WaitCurrent(ctx)
		assert.Error(t, err, "the cache cannot reach that revision")
		return gauge("blox_css_cache_lag_revisions") == 3
	})
	proxy.SetDisconnected(false)
	testenv.Eventually(t, func() bool {
		return gauge("blox_css_cache_revision") == float64(last) && gauge("blox_css_cache_lag_revisions") == 0
	})
}

package etcd_test

import (
	"context"
	"strings"
	"sync"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/assert"

	"github.com/blox/blox/internal/etcd"
	"github.com/blox/blox/internal/etcd/embedded"
	"github.com/blox/blox/internal/testenv"
)

// measured returns the metrics of one measurement of an etcd.
func measured(t *testing.T, server *testenv.Server) *prometheus.Registry {
	t.Helper()
	registry := prometheus.NewRegistry()
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { assert.NoError(t, etcd.NewMonitor(testenv.Logger(t), registry).Run(ctx, server.Client())) })
	testenv.Eventually(t, func() bool { return testenv.Metric(t, registry, "etcd_database_quota_bytes") > 0 })
	cancel()
	running.Wait()
	return registry
}

func TestUsage_ReportsAFullEtcd(t *testing.T) {
	const quota = 1 << 20
	server := testenv.EtcdServer(t, embedded.Options{Quota: quota})
	registry := measured(t, server)
	assert.Equal(t, float64(quota), testenv.Metric(t, registry, "etcd_database_quota_bytes"))
	assert.Positive(t, testenv.Metric(t, registry, "etcd_database_size_bytes"))
	assert.Zero(t, testenv.Metric(t, registry, "etcd_out_of_space"))

	client := server.Client()
	testenv.Eventually(t, func() bool {
		_, err := client.Put(limited(t), "ecs/task/a", strings.Repeat("x", 100_000))
		return err != nil
	})
	registry = measured(t, server)
	assert.Equal(t, 1.0, testenv.Metric(t, registry, "etcd_out_of_space"))
}

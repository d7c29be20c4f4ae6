package etcd_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/blox/blox/internal/etcd"
	"github.com/blox/blox/internal/testenv"
)

// monitored returns a running monitor and its client.
func monitored(t *testing.T, server *testenv.Server) (*etcd.Monitor, *clientv3.Client, *prometheus.Registry) {
	t.Helper()
	registry := prometheus.NewRegistry()
	m := etcd.NewMonitor(testenv.Logger(t), registry)
	client, err := etcd.New(etcd.Config{Endpoints: server.Endpoints()}, testenv.Logger(t), m)
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { assert.NoError(t, m.Run(ctx, client)) })
	t.Cleanup(func() { cancel(); running.Wait(); _ = client.Close() })
	testenv.Eventually(t, func() bool {
		got, err := client.Get(t.Context(), "ecs/data-id")
		return err == nil && len(got.Kvs) == 1
	}, "etcd has no id")
	return m, client, registry
}

func writeMany(t *testing.T, server *testenv.Server, n int) {
	t.Helper()
	client := server.Client()
	for i := range n {
		_, err := client.Put(limited(t), fmt.Sprint("ecs/task/", i), "1")
		require.NoError(t, err)
	}
}

func TestMonitor_DetectsAWipedEtcd(t *testing.T) {
	for name, c := range map[string]struct{ before, after int }{
		"whose revision is lower":                {before: 20},
		"whose revision has overtaken the old's": {after: 20},
	} {
		t.Run(name, func(t *testing.T) {
			server := testenv.EtcdServer(t)
			writeMany(t, server, c.before)
			m, _, registry := monitored(t, server)
			data, cancel := m.Context(t.Context())
			defer cancel()
			server.Stop()
			assert.NoError(t, data.Err(), "an outage alone replaces nothing")
			server.Wipe()
			server.Start()
			writeMany(t, server, c.after)
			select {
			case <-data.Done():
			case <-limited(t).Done():
			}
			assert.ErrorIs(t, context.Cause(data), etcd.ErrDataReplaced)
			assert.Equal(t, int64(1), m.Generation())
			metrics, err := registry.Gather()
			require.NoError(t, err)
			require.Equal(t, "etcd_data_replaced_total", metrics[0].GetName())
			assert.InDelta(t, 1, metrics[0].GetMetric()[0].GetCounter().GetValue(), 0)
			next, cancel := m.Context(t.Context())
			defer cancel()
			assert.NoError(t, next.Err())
		})
	}
}

// An etcd that restarts with its data is the same, and so is one whose member lags.
func TestMonitor_AcceptsARestartedEtcd(t *testing.T) {
	server := testenv.EtcdServer(t)
	m, client, _ := monitored(t, server)
	writeMany(t, server, 5)
	watch := client.Watch(limited(t), "ecs/", clientv3.WithPrefix(), clientv3.WithCreatedNotify())
	require.True(t, (<-watch).Created)
	for range 2 {
		server.Stop()
		server.Start()
		writeMany(t, server, 5)
		testenv.Eventually(t, func() bool { return put(t, client, 5*time.Second) == nil })
	}
	assert.Zero(t, m.Generation())
}

// A nil monitor detects nothing, which suits programs that hold no copy of etcd.
func TestMonitor_MayBeNil(t *testing.T) {
	var m *etcd.Monitor
	ctx, cancel := m.Context(t.Context())
	assert.NoError(t, ctx.Err())
	cancel()
	assert.ErrorIs(t, ctx.Err(), context.Canceled)
	assert.Zero(t, m.Generation())
}

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

// The lag shows what etcd has told a read of, and the watch has yet to bring.
func TestLag(t *testing.T) {
	server := testenv.EtcdServer(t)
	client := server.Client()
	way := testenv.NewProxy(t, server.Endpoints()[0])
	watching, err := etcd.New(etcd.Config{Endpoints: []string{way.Address()}}, nil)
	require.NoError(t, err)
	t.Cleanup(func() { watching.Close() })
	v, metrics := build(t, server, watching, 0), prometheus.NewRegistry()
	v.metrics = newMetrics(v, metrics)
	runView(t, v)
	gauge := func(name string) float64 {
		families, err := metrics.Gather()
		require.NoError(t, err)
		for _, f := range families {
			if f.GetName() == name {
				return f.GetMetric()[0].GetGauge().GetValue()
			}
		}
		t.Fatal(name)
		return 0
	}
	_, err = v.WaitCurrent(t.Context())
	require.NoError(t, err)
	assert.Zero(t, gauge("blox_view_lag"))

	way.Cut(true)
	var last int64
	for n := range 3 {
		last = write(t, client, "a", n)
	}
	testenv.Eventually(t, func() bool {
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		_, err := v.WaitCurrent(ctx)
		assert.Error(t, err, "the view cannot get there")
		return gauge("blox_view_lag") == 3
	})
	way.Cut(false)
	testenv.Eventually(t, func() bool { return gauge("blox_view_revision") == float64(last) && gauge("blox_view_lag") == 0 })
}

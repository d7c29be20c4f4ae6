package etcd_test

import (
	"context"
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

const lease = 15 * time.Second

// lead runs Lead until stop is called; led is closed once it leads.
func lead(t *testing.T, server *testenv.Server, name string) (led chan struct{}, stop func() error) {
	t.Helper()
	client := server.Client()
	ctx, cancel := context.WithCancel(t.Context())
	led = make(chan struct{})
	ended := make(chan error, 1)
	go func() {
		ended <- etcd.Campaign(ctx, client, "ecs/lock/test", name, lease, func(
			ctx context.Context, term etcd.Leadership,
		) error {
			assert.NotEmpty(t, term.Key)
			assert.Positive(t, term.Revision)
			assert.True(t, term.Until().After(time.Now()))
			close(led)
			<-ctx.Done()
			return nil
		})
	}()
	stop = sync.OnceValue(func() error { cancel(); return <-ended })
	t.Cleanup(func() { _ = stop() })
	return led, stop
}

func TestCampaign_NextLeaderStartsAtOnce(t *testing.T) {
	server := testenv.EtcdServer(t)
	first, stopFirst := lead(t, server, "first")
	<-first
	second, _ := lead(t, server, "second")
	select {
	case <-second:
		assert.Fail(t, "two lead")
	default:
	}
	assert.NoError(t, stopFirst())
	<-second // long before the first one's lease would have ended
}

// Candidates and leaders end when their context does, even while etcd is unavailable.
func TestCampaign_EndsWithoutEtcd(t *testing.T) {
	server := testenv.EtcdServer(t)
	first, stopFirst := lead(t, server, "first")
	<-first
	_, stopSecond := lead(t, server, "second")
	watcher := server.Client()
	testenv.Eventually(t, func() bool {
		leases, err := watcher.Leases(t.Context())
		return err == nil && len(leases.Leases) == 2
	})
	server.Stop()
	assert.ErrorIs(t, stopSecond(), context.Canceled)
	assert.NoError(t, stopFirst())
}

// A candidate waits for long, in a history that etcd has compacted when the candidate connects again.
func TestCampaign_WaitsThroughCompactions(t *testing.T) {
	server := testenv.EtcdServer(t)
	first, stopFirst := lead(t, server, "first")
	<-first
	before := watchers(t)
	second, stopSecond := lead(t, server, "second")
	testenv.Eventually(t, func() bool { return watchers(t) > before }, "the candidate does not wait")
	writeMany(t, server, 10)
	client := server.Client()
	now, err := client.Get(t.Context(), "x")
	require.NoError(t, err)
	_, err = client.Compact(t.Context(), now.Header.Revision)
	require.NoError(t, err)
	server.Stop()
	server.Start()
	assert.NoError(t, stopFirst())
	select {
	case <-second:
	case <-time.After(time.Minute):
		assert.Fail(t, "the second does not lead")
	}
	assert.NoError(t, stopSecond())
}

// watchers returns the number of watchers of all etcds of this process.
func watchers(t *testing.T) (n float64) {
	t.Helper()
	metrics, err := prometheus.DefaultGatherer.Gather()
	require.NoError(t, err)
	for _, m := range metrics {
		if m.GetName() == "etcd_debugging_mvcc_watcher_total" {
			n += m.GetMetric()[0].GetGauge().GetValue()
		}
	}
	return n
}

// The lease's end, by this machine's clock, moves on while etcd answers, and when it does not the work's context ends
// then.
func TestCampaign_LeaseLastsAsLongAsEtcdConfirms(t *testing.T) {
	server := testenv.EtcdServer(t)
	client := server.Client()
	terms := make(chan etcd.Leadership, 1)
	done := make(chan error, 1)
	go func() {
		done <- etcd.Campaign(t.Context(), client, "ecs/lock/test", "only", 2*time.Second, func(
			ctx context.Context, term etcd.Leadership,
		) error {
			terms <- term
			<-ctx.Done()
			return ctx.Err()
		})
	}()
	term := <-terms
	first := term.Until()
	testenv.Eventually(t, func() bool { return term.Until().After(first) })
	server.Stop()
	assert.ErrorIs(t, <-done, etcd.ErrLeaseLost)
	testenv.Eventually(t, func() bool { return !time.Now().Before(term.Until()) }, "it goes on without etcd")
}

// ForceLeadership leads at once and deposes the earlier leader.
func TestForceLeadership_ReplacesTheLeader(t *testing.T) {
	server := testenv.EtcdServer(t)
	first, _ := lead(t, server, "first")
	<-first
	client := server.Client()
	err := etcd.ForceLeadership(t.Context(), client, "ecs/lock/test", "second", lease, func(
		ctx context.Context, term etcd.Leadership,
	) error {
		held, err := client.Get(ctx, "ecs/lock/test/", clientv3.WithPrefix())
		if assert.NoError(t, err) && assert.Len(t, held.Kvs, 1) {
			assert.Equal(t, "second", string(held.Kvs[0].Value))
			assert.Equal(t, term.Key, string(held.Kvs[0].Key))
			assert.Equal(t, term.Revision, held.Kvs[0].CreateRevision)
		}
		return err
	})
	assert.NoError(t, err)
}

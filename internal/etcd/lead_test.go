package etcd_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

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
		ended <- etcd.Lead(ctx, client, "ecs/lock/test", name, lease, func(ctx context.Context, key string, revision int64) error {
			assert.NotEmpty(t, key)
			assert.Positive(t, revision)
			close(led)
			<-ctx.Done()
			return nil
		})
	}()
	stop = sync.OnceValue(func() error { cancel(); return <-ended })
	t.Cleanup(func() { _ = stop() })
	return led, stop
}

func TestTheNextOneLeadsAtOnce(t *testing.T) {
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

// Whoever waits or leads ends when it is told to, also while etcd is away.
func TestLeadEndsWithoutEtcd(t *testing.T) {
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

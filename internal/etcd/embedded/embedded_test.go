package embedded

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func start(t *testing.T, options Options) (*Embedded, *clientv3.Client, context.Context) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	t.Cleanup(cancel)
	options.UnsafeNoFsync = true
	e, err := Start(ctx, t.TempDir(), options)
	require.NoError(t, err)
	t.Cleanup(e.Close)
	client, err := e.Client()
	require.NoError(t, err)
	t.Cleanup(func() { _ = client.Close() })
	return e, client, ctx
}

func TestStart_RunsTwoSideBySide(t *testing.T) {
	a, clientA, ctx := start(t, Options{})
	b, clientB, _ := start(t, Options{})
	assert.NotEqual(t, a.Endpoints(), b.Endpoints())

	_, err := clientA.Put(ctx, "ecs/task/a", "1")
	require.NoError(t, err)
	got, err := clientB.Get(ctx, "ecs/task/a")
	require.NoError(t, err)
	assert.Empty(t, got.Kvs)
}

func TestClose_EndsOpenWatches(t *testing.T) {
	e, client, ctx := start(t, Options{})
	watch := client.Watch(ctx, "ecs/", clientv3.WithPrefix(), clientv3.WithCreatedNotify())
	require.True(t, (<-watch).Created)

	closed := make(chan struct{})
	go func() { e.Close(); close(closed) }()
	select {
	case <-closed:
	case <-time.After(e.server.Server.Cfg.ReqTimeout()):
		t.Error("Close waited for a watch, which has no end of its own")
		<-closed
	}
	e.Close() // once more does nothing
	refused, cancel := context.WithTimeout(ctx, 50*time.Millisecond)
	defer cancel()
	_, err := client.Get(refused, "ecs/task/a")
	assert.Error(t, err, "a closed etcd answered")
}

func TestStart_KeepsQuota(t *testing.T) {
	_, client, ctx := start(t, Options{Quota: 1 << 20})
	var err error
	for err == nil { // etcd compares the size of its file, which grows when it commits to disk
		_, err = client.Put(ctx, "ecs/task/a", strings.Repeat("x", 100_000))
	}
	assert.ErrorIs(t, err, rpctypes.ErrNoSpace)
}

func TestStart_ReportsAddressInUse(t *testing.T) {
	e, _, ctx := start(t, Options{})
	_, err := Start(ctx, t.TempDir(), Options{Address: e.Address()})
	assert.ErrorContains(t, err, "address already in use")
}

func TestStart_EndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	e, err := Start(ctx, t.TempDir(), Options{UnsafeNoFsync: true})
	if err == nil {
		e.Close() // it was quicker than the select, which is no failure
		return
	}
	assert.ErrorIs(t, err, context.Canceled)
}

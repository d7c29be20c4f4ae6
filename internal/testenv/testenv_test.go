package testenv

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestEtcdServer_KeepsDataAndAddressAcrossRestart(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), timeout)
	defer cancel()
	server := EtcdServer(t)
	client := server.Client()
	endpoints := server.Endpoints()
	put, err := client.Put(ctx, "ecs/task/a", "1")
	require.NoError(t, err)
	watch := client.Watch(ctx, "ecs/", clientv3.WithPrefix(), clientv3.WithRev(put.Header.Revision+1))

	server.Stop()
	short, cancelShort := context.WithTimeout(ctx, 50*time.Millisecond)
	_, err = client.Get(short, "ecs/task/a")
	cancelShort()
	require.Error(t, err, "a stopped etcd answered")

	server.Start()
	assert.Equal(t, endpoints, server.Endpoints())
	got, err := client.Get(ctx, "ecs/task/a")
	require.NoError(t, err)
	require.Len(t, got.Kvs, 1)
	assert.Equal(t, "1", string(got.Kvs[0].Value))

	_, err = client.Put(ctx, "ecs/task/a", "2")
	require.NoError(t, err)
	assert.Equal(t, "2", string((<-watch).Events[0].Kv.Value), "the watch continues")
}

func TestEventually_RetriesUntilTrue(t *testing.T) {
	asked := 0
	Eventually(t, func() bool { asked++; return asked == 3 }, "asked %d times", asked)
	assert.Equal(t, 3, asked)
}

func TestGolden_FailsOnDifference(t *testing.T) {
	Golden(t, "golden.txt", []byte("what a client sees\n"))

	other := &failing{TB: t}
	Golden(other, "golden.txt", []byte("something else\n"))
	assert.Equal(t, !*update, other.failed, "a difference is a failure")
}

func TestLogger_LogsFromDebug(t *testing.T) {
	Logger(t).Debug("shown with -v")
	assert.Equal(t, "debug", Logger(t).GetLevel().String())
}

// failing records a failure instead of failing the test.
type failing struct {
	testing.TB
	failed bool
}

func (f *failing) Errorf(string, ...any) { f.failed = true }

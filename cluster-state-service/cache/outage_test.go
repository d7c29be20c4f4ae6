package cache

import (
	"context"
	"fmt"
	"iter"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/blox/blox/cluster-state-service/state"
	"github.com/blox/blox/internal/etcd"
	"github.com/blox/blox/internal/testenv"
)

// A heartbeat says that all up to its revision has been shown: never one of a log that its reader does not follow.
func TestAHeartbeatNeverClaimsWhatWasNotShown(t *testing.T) {
	server := testenv.EtcdServer(t)
	client := server.Client()
	write(t, client, "a", 1)
	p := testenv.NewProxy(t, server.Endpoints()[0])
	watching, err := etcd.New(etcd.Config{Endpoints: []string{p.Address()}}, nil)
	require.NoError(t, err)
	t.Cleanup(func() { watching.Close() })
	v := startWith(t, server, watching, 0)
	_, err = v.WaitCurrent(t.Context())
	require.NoError(t, err)

	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	changes, err := v.Watch(ctx, state.KindTask, 0, 20*time.Millisecond)
	require.NoError(t, err)
	var missed, beat int64
	for c, err := range changes {
		if err != nil {
			assert.ErrorIs(t, err, errInterrupted)
			break
		}
		require.True(t, c.Heartbeat, "%s", c.Line)
		beat = c.Revision
		if missed == 0 { // the watch is cut, and what it would have told is compacted
			p.Cut(true)
			missed = write(t, client, "a", 2)
			_, err := client.Compact(t.Context(), write(t, client, "b", 1))
			require.NoError(t, err)
			p.Cut(false)
		}
	}
	assert.NotZero(t, missed)
	assert.Less(t, beat, missed)
}

// What is written while the view is loaded for the first time is in the snapshot, not in the log: who came before is told.
func TestAStreamOpenedBeforeTheFirstLoadMissesNothingInSilence(t *testing.T) {
	server := testenv.EtcdServer(t)
	client := server.Client()
	v := build(t, server, server.Client(), 0)
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	changes, err := v.Watch(ctx, state.KindTask, 0, 0)
	require.NoError(t, err)
	write(t, client, "a", 1)
	runView(t, v)
	told := false
	for _, err := range changes {
		assert.ErrorIs(t, err, errInterrupted)
		told = true
	}
	assert.True(t, told)
}

// However much one answer of the watch holds, who had read everything before it is not slow.
func TestOneLargeTransactionCutsNobody(t *testing.T) {
	server := testenv.EtcdServer(t)
	client := server.Client()
	v := start(t, server, 3)
	_, err := v.WaitCurrent(t.Context())
	require.NoError(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	changes, err := v.Watch(ctx, state.KindTask, 0, 0)
	require.NoError(t, err)
	var puts []clientv3.Op
	for n := range 50 {
		puts = append(puts, clientv3.OpPut(keyOf(fmt.Sprint(n)), valueOf(fmt.Sprint(n), 1)))
	}
	_, err = client.Txn(t.Context()).Then(puts...).Commit()
	require.NoError(t, err)
	read := 0
	for _, err := range changes {
		require.NoError(t, err)
		if read++; read == len(puts) {
			break
		}
	}
	assert.Equal(t, len(puts), read)
}

// Clients that do not read what is replayed to them keep no other waiting.
func TestSlowReplaysHarmNobody(t *testing.T) {
	server := testenv.EtcdServer(t)
	client := server.Client()
	first := write(t, client, "a", 1)
	for n := range 5 {
		write(t, client, "a", 2+n)
	}
	v := start(t, server, 0)
	_, err := v.WaitCurrent(t.Context())
	require.NoError(t, err)
	for range cap(v.replayed) {
		changes, err := v.Watch(t.Context(), state.KindTask, first, 0)
		require.NoError(t, err)
		next, stop := iter.Pull2(changes)
		defer stop()
		_, err, more := next() // and reads no further
		require.NoError(t, err)
		require.True(t, more)
	}
	assert.Len(t, lines(t, v, first, 6), 6)
}

// A history longer than one turn of a replay comes whole and in order.
func TestALongReplay(t *testing.T) {
	server := testenv.EtcdServer(t)
	client := server.Client()
	var first int64
	const transactions = 30
	for n := range transactions {
		var puts []clientv3.Op
		for id := range 100 {
			puts = append(puts, clientv3.OpPut(keyOf(fmt.Sprint(id)), valueOf(fmt.Sprint(id), n+1)))
		}
		answer, err := client.Txn(t.Context()).Then(puts...).Commit()
		require.NoError(t, err)
		if n == 0 {
			first = answer.Header.Revision
		}
	}
	v := start(t, server, 0)
	_, err := v.WaitCurrent(t.Context())
	require.NoError(t, err)
	live := write(t, client, "live", 1)
	got := lines(t, v, first, 100*transactions+1)
	for n := range transactions {
		assert.Contains(t, got[100*n], fmt.Sprintf(" v%d @%d", n+1, first+int64(n)))
	}
	assert.Contains(t, got[100*transactions], fmt.Sprintf("@%d", live))
}

// An etcd that was put back to an earlier state must not be shadowed by what was read before.
func TestEtcdThatWentBackIsReadAnew(t *testing.T) {
	server := testenv.EtcdServer(t)
	client := server.Client()
	v := start(t, server, 0)
	for n := range 20 {
		write(t, client, fmt.Sprint(n), 1)
	}
	s, err := v.WaitCurrent(t.Context())
	require.NoError(t, err)
	require.Equal(t, 20, s.Tasks.Len())

	server.Stop()
	testenv.EtcdServerAt(t, server.Endpoints()[0]) // an empty one in its place
	testenv.Eventually(t, func() bool {
		s, err := v.WaitCurrent(t.Context())
		return err == nil && s.Tasks.Len() == 0
	}, "what etcd does not have is still served")
	assert.Zero(t, v.StoredVersion(state.Key{Kind: state.KindTask, Cluster: "prod", ARN: arnOf("1")}))
}

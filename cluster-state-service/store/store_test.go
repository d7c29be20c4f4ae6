package store

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/goleak"

	"github.com/blox/blox/cluster-state-service/state"
	"github.com/blox/blox/internal/etcd/embedded"
	"github.com/blox/blox/internal/testenv"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// nothingStored is a cache without records: every write of a stored key loses its first transaction.
func nothingStored(state.Key) state.StoredVersion { return state.StoredVersion{} }

func task(id string, version int64) state.Record {
	arn := "arn:aws:ecs:eu-west-1:123456789012:task/prod/" + id
	return state.Record{
		Key: state.Key{Kind: state.KindTask, Cluster: "prod", ARN: arn}, Version: version,
		Value: fmt.Appendf(nil, `{"detail":{"taskArn":%q,"clusterArn":%q,"version":%d}}`,
			arn, "arn:aws:ecs:eu-west-1:123456789012:cluster/prod", version),
	}
}

func stored(t *testing.T, client *clientv3.Client, key string) (value string, revision int64) {
	t.Helper()
	answer, err := client.Get(t.Context(), key)
	require.NoError(t, err)
	if len(answer.Kvs) == 0 {
		return "", 0
	}
	return string(answer.Kvs[0].Value), answer.Kvs[0].ModRevision
}

func TestRecord_KeepsNewestVersion(t *testing.T) {
	client := testenv.Etcd(t)
	s := New(client, nothingStored, nil)
	require.NoError(t, s.Record(t.Context(), []state.Record{task("a", 2)}))
	_, first := stored(t, client, task("a", 2).Key.String())
	for _, late := range []int64{1, 2} {
		require.NoError(t, s.Record(t.Context(), []state.Record{task("a", late)}))
		value, revision := stored(t, client, task("a", 2).Key.String())
		assert.Equal(t, string(task("a", 2).Value), value, "version %d", late)
		assert.Equal(t, first, revision, "nothing was written")
	}
	require.NoError(t, s.Record(t.Context(), []state.Record{task("a", 3)}))
	value, _ := stored(t, client, task("a", 3).Key.String())
	assert.Equal(t, string(task("a", 3).Value), value)
}

func TestRecord_KeepsNewestVersionWithAnyOutdatedCache(t *testing.T) {
	client := testenv.Etcd(t)
	initial := []state.Record{task("a", 5), task("b", 5), task("c", 5)}
	require.NoError(t, New(client, nothingStored, nil).Record(t.Context(), initial))
	cached := map[state.Key]state.StoredVersion{
		task("a", 0).Key: {Version: 1, Revision: 1},  // stale
		task("c", 0).Key: {Version: 1, Revision: 99}, // from another etcd
		task("d", 0).Key: {Version: 1, Revision: 98}, // deleted since
		task("e", 0).Key: {Version: 9, Revision: 97}, // newer, so the record is dropped
	}
	s := New(client, func(k state.Key) state.StoredVersion { return cached[k] }, nil)
	require.NoError(t, s.Record(t.Context(), []state.Record{
		task("a", 6), task("b", 4), task("c", 7), task("d", 2), task("e", 8),
	}))
	for id, version := range map[string]int64{"a": 6, "b": 5, "c": 7, "d": 2} {
		value, _ := stored(t, client, task(id, 0).Key.String())
		assert.Equal(t, string(task(id, version).Value), value)
	}
	value, _ := stored(t, client, task("e", 0).Key.String())
	assert.Empty(t, value)
}

func TestRecord_SplitsLargeBatches(t *testing.T) {
	client := testenv.Etcd(t)
	s := New(client, nothingStored, nil)
	var records []state.Record
	for i := range 350 {
		records = append(records, task(fmt.Sprint("small", i), 1))
	}
	for i := range 5 { // together above etcd's limit
		r := task(fmt.Sprint("large", i), 1)
		r.Value = []byte(strings.Replace(string(r.Value), `{"detail"`, `{"x":"`+strings.Repeat("x", 400<<10)+`","detail"`, 1))
		records = append(records, r)
	}
	require.NoError(t, s.Record(t.Context(), records))
	answer, err := client.Get(t.Context(), "ecs/task/", clientv3.WithPrefix(), clientv3.WithCountOnly())
	require.NoError(t, err)
	assert.Equal(t, int64(355), answer.Count)
}

func TestRecord_DropsLateEventsOfRemovedEntities(t *testing.T) {
	client := testenv.Etcd(t)
	s := New(client, nothingStored, nil)
	require.NoError(t, s.Record(t.Context(), []state.Record{task("a", 1), task("b", 1)}))
	_, revision := stored(t, client, task("a", 1).Key.String())
	lead(t, s, func(ctx context.Context, h state.FencingToken) {
		done, err := s.ApplyCorrections(ctx, h, []state.Correction{{Key: task("a", 0).Key, Revision: revision}})
		require.NoError(t, err)
		assert.Equal(t, 1, done)
	})
	// The event of b loses a race, so the second transaction rereads. The first one has its guard alone.
	for _, records := range [][]state.Record{{task("a", 2)}, {task("a", 3), task("b", 2)}} {
		require.NoError(t, s.Record(t.Context(), records))
		value, _ := stored(t, client, task("a", 0).Key.String())
		assert.Empty(t, value, "a late event does not restore the record")
	}
	value, _ := stored(t, client, task("b", 0).Key.String())
	assert.Equal(t, string(task("b", 2).Value), value, "other records of the batch are written")
}

// Corrections remove absent records; meanwhile ingest stores late events.
func TestLead_RunsOneLeaderAtATime(t *testing.T) {
	client := testenv.Etcd(t)
	s := New(client, nothingStored, nil)
	var mu sync.Mutex
	var order []string
	leading := 0
	var replicas sync.WaitGroup
	for i := range 5 {
		replicas.Go(func() {
			name := fmt.Sprint("replica", i)
			assert.NoError(t, s.Lead(t.Context(), testLock, name, func(context.Context, state.FencingToken) error {
				mu.Lock()
				leading++
				assert.Equal(t, 1, leading)
				mu.Unlock()
				mu.Lock()
				leading--
				order = append(order, fmt.Sprint("replica", i))
				mu.Unlock()
				return nil
			}))
		})
	}
	replicas.Wait() // ends within one lease: each leader releases the lock
	assert.Len(t, order, 5)
}

// Replicas record the same events in any order, twice. The newest version of each task remains.
func TestRecord_LosesNothingWhenReplicasRace(t *testing.T) {
	client := testenv.Etcd(t)
	const tasks, versions = 20, 10
	var replicas sync.WaitGroup
	for r := range 4 {
		replicas.Go(func() {
			random := rand.New(rand.NewPCG(uint64(r), 1))
			s := New(client, nothingStored, nil)
			for range versions {
				var batch []state.Record
				for _, n := range random.Perm(tasks)[:10] {
					batch = append(batch, task(fmt.Sprint(n), 1+random.Int64N(versions)))
				}
				assert.NoError(t, s.Record(t.Context(), batch))
			}
		})
	}
	replicas.Go(func() {
		s := New(client, nothingStored, nil)
		for n := range tasks {
			assert.NoError(t, s.Record(t.Context(), []state.Record{task(fmt.Sprint(n), versions)}))
		}
	})
	replicas.Wait()
	for n := range tasks {
		value, _ := stored(t, client, task(fmt.Sprint(n), 0).Key.String())
		assert.Equal(t, string(task(fmt.Sprint(n), versions).Value), value)
	}
}

// slowKV delays every transaction and counts them.
type slowKV struct {
	clientv3.KV
	delay time.Duration
	txns  int
}

func (kv *slowKV) Txn(ctx context.Context) clientv3.Txn {
	kv.txns++
	select {
	case <-time.After(kv.delay):
	case <-ctx.Done():
	}
	return kv.KV.Txn(ctx)
}

// Every loser of a race costs nothing on a slow etcd: the transaction that lost has read all of them.
func TestRecord_RereadsAllLosersInOneTransaction(t *testing.T) {
	server := testenv.EtcdServer(t)
	var first, second []state.Record
	for n := range 50 {
		first = append(first, task(fmt.Sprint(n), int64(1+n%2)))
		second = append(second, task(fmt.Sprint(n), 2))
	}
	require.NoError(t, New(server.Client(), nothingStored, nil).Record(t.Context(), first))

	client := server.Client()
	kv := &slowKV{KV: client.KV, delay: 150 * time.Millisecond} // 50 reads would exceed opTimeout
	client.KV = kv
	require.NoError(t, New(client, nothingStored, nil).Record(t.Context(), second))
	assert.Equal(t, 2, kv.txns, "one transaction that loses and one that writes")
	for _, r := range second {
		value, _ := stored(t, client, r.Key.String())
		assert.Equal(t, string(r.Value), value)
	}
}

func TestCompact_SucceedsTwice(t *testing.T) {
	client := testenv.Etcd(t)
	s := New(client, nothingStored, nil)
	require.NoError(t, s.Record(t.Context(), []state.Record{task("a", 1)}))
	require.NoError(t, s.Record(t.Context(), []state.Record{task("a", 2)}))
	_, now := stored(t, client, task("a", 0).Key.String())
	require.NoError(t, s.Compact(t.Context(), now))
	require.NoError(t, s.Compact(t.Context(), now), "again")
	_, err := client.Get(t.Context(), "x", clientv3.WithRev(now-1))
	assert.Error(t, err)
}

const testLock = "ecs/lock/test"

// lead calls work while it holds the lock.
func lead(t *testing.T, s *Store, work func(context.Context, state.FencingToken)) {
	t.Helper()
	require.NoError(t, s.Lead(t.Context(), testLock, "test", func(ctx context.Context, token state.FencingToken) error {
		work(ctx, token)
		return nil
	}))
}

// No event may arrive for long after a rejected write, so OutOfSpace itself checks etcd.
func TestOutOfSpace_ClearsWithoutEvents(t *testing.T) {
	etcd := testenv.EtcdServer(t, embedded.Options{Quota: 4 << 20})
	client := etcd.Client()
	s := New(client, nothingStored, nil)
	assert.False(t, s.OutOfSpace(t.Context()))
	var err error
	for n := 0; err == nil; n++ {
		_, err = client.Put(t.Context(), fmt.Sprintf("filler/%d", n), strings.Repeat("x", 1<<20))
	}
	require.ErrorContains(t, err, "space")
	require.ErrorContains(t, s.Record(t.Context(), []state.Record{task("a", 1)}), "space")
	assert.True(t, s.OutOfSpace(t.Context()))

	deleted, err := client.Delete(t.Context(), "filler/", clientv3.WithPrefix())
	require.NoError(t, err)
	_, err = client.Compact(t.Context(), deleted.Header.Revision, clientv3.WithCompactPhysical())
	require.NoError(t, err)
	_, err = client.Defragment(t.Context(), etcd.Endpoints()[0])
	require.NoError(t, err)
	assert.True(t, s.OutOfSpace(t.Context()), "the alarm is still on")
	_, err = client.AlarmDisarm(t.Context(), &clientv3.AlarmMember{})
	require.NoError(t, err)
	assert.False(t, s.OutOfSpace(t.Context()))
	_, revision := stored(t, client, state.ReconcilePrefix)
	assert.Zero(t, revision, "the check writes nothing")
}

package events

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/goleak"

	"github.com/blox/blox/daemon-scheduler/environment"
	"github.com/blox/blox/daemon-scheduler/store"
	"github.com/blox/blox/internal/testenv"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// running returns a store that runs until the test ends.
func running(t *testing.T, client *clientv3.Client) *Store {
	s := NewStore(store.New(client, testenv.Logger(t)), testenv.Logger(t))
	ctx, cancel := context.WithCancel(context.Background())
	var group sync.WaitGroup
	group.Go(func() { assert.NoError(t, s.Run(ctx)) })
	t.Cleanup(func() { cancel(); group.Wait() })
	testenv.Eventually(t, func() bool { _, err := s.List(); return err == nil })
	return s
}

func event(reason string, at int) environment.Event {
	return environment.Event{
		LastSeenAt: time.Unix(int64(at), 0).UTC(), Action: environment.EventTaskStopped, Environment: "logs",
		Reason: reason, Count: 1,
	}
}

// put writes a batch, and awaits its copy.
func put(t *testing.T, s *Store, b *Batch, list ...environment.Event) {
	t.Helper()
	b.Events = append(b.Events, list...)
	require.NoError(t, s.Record(t.Context(), b))
	testenv.Eventually(t, func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		return s.newest >= b.Revision
	})
}

// reasons returns the reasons of all events, newest first.
func reasons(t *testing.T, s *Store) (list []string) {
	t.Helper()
	all, err := s.List()
	require.NoError(t, err)
	for _, e := range all {
		list = append(list, e.Reason)
	}
	return list
}

func TestStore_FollowsEventsOfAllReplicas(t *testing.T) {
	client := testenv.Etcd(t)
	one, other := running(t, client), running(t, client)
	var notified atomic.Int64
	other.Subscribe(func() { notified.Add(1) })
	first, second := Batch{ID: "1"}, Batch{ID: "2"}
	put(t, one, &first, event("b", 2), event("a", 1))
	put(t, one, &second, event("c", 3))
	for _, s := range []*Store{one, other} {
		testenv.Eventually(t, func() bool { return assert.ObjectsAreEqual([]string{"c", "b", "a"}, reasons(t, s)) })
	}
	merged, similar := first.Events[1].Merge(event("a", 4))
	require.True(t, similar)
	first.Events[1] = merged
	require.NoError(t, one.Record(t.Context(), &first))
	testenv.Eventually(t, func() bool {
		all, err := other.List()
		return err == nil && all[2].Count == 2
	}, "a batch is replaced")
	all, err := other.List()
	require.NoError(t, err)
	assert.Equal(t, []string{"2-0", "1-0", "1-1"}, []string{all[0].ID, all[1].ID, all[2].ID}, "the order stays")
	assert.Positive(t, notified.Load())

	// A malformed batch is skipped, and a replica that starts later has the same events.
	_, err = client.Put(t.Context(), store.EventPrefix+"3", "{")
	require.NoError(t, err)
	late := running(t, client)
	assert.Equal(t, []string{"c", "b", "a"}, reasons(t, late))
	lateAll, err := late.List()
	require.NoError(t, err)
	assert.Equal(t, all, lateAll, "with the same versions")
}

func TestStore_EventsExpireWithTheirSharedLease(t *testing.T) {
	client := testenv.Etcd(t)
	s := running(t, client)
	for n := range 5 {
		put(t, s, &Batch{ID: fmt.Sprint(n)}, event("a", n))
	}
	leases, err := client.Leases(t.Context())
	require.NoError(t, err)
	require.Len(t, leases.Leases, 1)
	of, err := client.TimeToLive(t.Context(), leases.Leases[0].ID, clientv3.WithAttachedKeys())
	require.NoError(t, err)
	assert.Len(t, of.Keys, 5)
	assert.Equal(t, int64(14*24*3600), of.GrantedTTL)

	// A lease that does not exist any more is not used again.
	_, err = client.Revoke(t.Context(), leases.Leases[0].ID)
	require.NoError(t, err)
	testenv.Eventually(t, func() bool { return len(reasons(t, s)) == 0 }, "the events expire with their lease")
	assert.Error(t, s.Record(t.Context(), &Batch{ID: "6"}))
	assert.NoError(t, s.Record(t.Context(), &Batch{ID: "6", Events: []environment.Event{event("a", 1)}}))
}

// lower lowers the bounds of the classes for a test.
func lower(t *testing.T, to [classes]bounds) {
	before := classBounds
	classBounds = to
	t.Cleanup(func() { classBounds = before })
}

func TestStore_RemovesTheOldestBatchesOfTheClass(t *testing.T) {
	lower(t, [classes]bounds{tasks: {events: 20, bytes: 1 << 20}, changes: {events: 20, bytes: 1 << 20}})
	client := testenv.Etcd(t)
	s := running(t, client)
	for n := range 3 {
		put(t, s, &Batch{ID: fmt.Sprint(changesPrefix, n)}, event(fmt.Sprint("change ", n), n))
	}
	for n := range 20 {
		put(t, s, &Batch{ID: fmt.Sprintf("%04d", n)}, event(fmt.Sprint(n), 100+n), event(fmt.Sprint(n), 100+n))
	}
	stored, err := client.Get(t.Context(), store.EventPrefix, clientv3.WithPrefix(), clientv3.WithCountOnly())
	require.NoError(t, err)
	assert.Equal(t, int64(10+3), stored.Count)
	testenv.Eventually(t, func() bool { return len(reasons(t, s)) == 20+3 })
	list := reasons(t, s)
	assert.Equal(t, []string{"10", "change 2", "change 1", "change 0"}, list[19:], "no task event displaces a change")
}

func TestStore_RemovesBatchesOverTheBytesOfTheClass(t *testing.T) {
	lower(t, [classes]bounds{tasks: {events: 4000, bytes: 2000}, changes: {events: 4000, bytes: 2000}})
	client := testenv.Etcd(t)
	s := running(t, client)
	for n := range 30 {
		put(t, s, &Batch{ID: fmt.Sprintf("%04d", n)}, event(fmt.Sprint(n), n))
	}
	stored, err := client.Get(t.Context(), store.EventPrefix, clientv3.WithPrefix())
	require.NoError(t, err)
	bytes := 0
	for _, kv := range stored.Kvs {
		bytes += len(kv.Value)
	}
	assert.Greater(t, bytes, 1500)
	assert.LessOrEqual(t, bytes, 2000+100)
}

// An earlier write may have succeeded although its response was lost. The events have one version all the same.
func TestStore_FindsAnEarlierWriteOfABatch(t *testing.T) {
	client := testenv.Etcd(t)
	s := running(t, client)
	lost := Batch{ID: "1"}
	put(t, s, &lost, event("a", 1))
	retried := Batch{ID: "1", Events: []environment.Event{event("a", 1), event("b", 2)}}
	require.NoError(t, s.Record(t.Context(), &retried))
	assert.Equal(t, lost.Events[0].Revision, retried.Events[0].Revision)
	assert.Greater(t, retried.Events[1].Revision, lost.Revision)
	before, err := client.Get(t.Context(), store.EventPrefix+"1")
	require.NoError(t, err)
	again := Batch{ID: "1", Events: []environment.Event{event("a", 1), event("b", 2)}}
	require.NoError(t, s.Record(t.Context(), &again))
	assert.Equal(t, before.Kvs[0].ModRevision, again.Revision, "nothing is left to write")
	assert.Equal(t, retried, again)

	// A batch that was removed is written anew.
	_, err = client.Delete(t.Context(), store.EventPrefix+"1")
	require.NoError(t, err)
	merged, _ := again.Events[0].Merge(event("a", 3))
	again.Events[0] = merged
	require.NoError(t, s.Record(t.Context(), &again))
	testenv.Eventually(t, func() bool { return len(reasons(t, s)) == 2 })
}

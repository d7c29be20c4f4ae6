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

// reasons returns the reasons of all events.
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
	require.NoError(t, one.Record(t.Context(), "1", []environment.Event{event("b", 2), event("a", 1)}))
	require.NoError(t, one.Record(t.Context(), "2", []environment.Event{event("c", 3)}))
	for _, s := range []*Store{one, other} {
		testenv.Eventually(t, func() bool { return assert.ObjectsAreEqual([]string{"a", "b", "c"}, reasons(t, s)) })
	}
	require.NoError(t, one.Record(t.Context(), "1", []environment.Event{event("b", 2), event("a", 4)}))
	testenv.Eventually(t, func() bool {
		return assert.ObjectsAreEqual([]string{"b", "c", "a"}, reasons(t, other))
	}, "a batch is replaced")
	all, err := other.List()
	require.NoError(t, err)
	assert.Equal(t, []string{"1-0", "2-0", "1-1"}, []string{all[0].ID, all[1].ID, all[2].ID})
	assert.Positive(t, notified.Load())

	// A malformed batch is skipped, and a replica that starts later has the same events.
	_, err = client.Put(t.Context(), store.EventPrefix+"3", "{")
	require.NoError(t, err)
	late := running(t, client)
	testenv.Eventually(t, func() bool { _, err := late.List(); return err == nil })
	assert.Equal(t, []string{"b", "c", "a"}, reasons(t, late))
}

func TestStore_EventsExpireWithTheirSharedLease(t *testing.T) {
	client := testenv.Etcd(t)
	s := running(t, client)
	for n := range 5 {
		require.NoError(t, s.Record(t.Context(), fmt.Sprint(n), []environment.Event{event("a", n)}))
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
	assert.Error(t, s.Record(t.Context(), "6", nil))
	assert.NoError(t, s.Record(t.Context(), "6", []environment.Event{event("a", 1)}))
}

func TestStore_RemovesTheOldestBatches(t *testing.T) {
	client := testenv.Etcd(t)
	s := running(t, client)
	for n := range maxBatches + 20 {
		require.NoError(t, s.Record(t.Context(), fmt.Sprintf("%04d", n), []environment.Event{event(fmt.Sprint(n), n)}))
		if n >= maxBatches-1 { // the copy counts the batches
			testenv.Eventually(t, func() bool { list := reasons(t, s); return list[len(list)-1] == fmt.Sprint(n) })
		}
	}
	stored, err := client.Get(t.Context(), store.EventPrefix, clientv3.WithPrefix(), clientv3.WithCountOnly())
	require.NoError(t, err)
	assert.LessOrEqual(t, stored.Count, int64(maxBatches))
	testenv.Eventually(t, func() bool { return reasons(t, s)[0] == "20" }, "the oldest are removed first")
}

package store

import (
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/blox/blox/daemon-scheduler/environment"
	"github.com/blox/blox/internal/testenv"
)

func event(reason string, at int) environment.Event {
	return environment.Event{LastSeenAt: time.Unix(int64(at), 0).UTC(), Action: environment.EventTaskStopped, Environment: "logs", Reason: reason, Count: 1}
}

// reasons are those of all events that the copy has.
func reasons(t *testing.T, s *Store) (list []string) {
	t.Helper()
	all, err := s.Events()
	require.NoError(t, err)
	for _, d := range all {
		list = append(list, d.Reason)
	}
	return list
}

func TestEventsAreFollowedByAllReplicas(t *testing.T) {
	client := testenv.Etcd(t)
	one, other := running(t, client), running(t, client)
	var told atomic.Int64
	other.Follow(func(name string) {
		if name == "" {
			told.Add(1)
		}
	})
	require.NoError(t, one.Record(t.Context(), "1", []environment.Event{event("b", 2), event("a", 1)}))
	require.NoError(t, one.Record(t.Context(), "2", []environment.Event{event("c", 3)}))
	for _, s := range []*Store{one, other} {
		testenv.Eventually(t, func() bool { return assert.ObjectsAreEqual([]string{"a", "b", "c"}, reasons(t, s)) })
	}
	require.NoError(t, one.Record(t.Context(), "1", []environment.Event{event("b", 2), event("a", 4)}))
	testenv.Eventually(t, func() bool { return assert.ObjectsAreEqual([]string{"b", "c", "a"}, reasons(t, other)) }, "a batch is replaced")
	all, err := other.Events()
	require.NoError(t, err)
	assert.Equal(t, []string{"1-0", "2-0", "1-1"}, []string{all[0].ID, all[1].ID, all[2].ID})
	assert.Positive(t, told.Load())

	// What cannot be read is left out, and who starts later sees the same.
	_, err = client.Put(t.Context(), events+"3", "{")
	require.NoError(t, err)
	late := running(t, client)
	testenv.Eventually(t, func() bool { _, err := late.Events(); return err == nil })
	assert.Equal(t, []string{"b", "c", "a"}, reasons(t, late))
}

// They go by themselves: all of them hang on few leases of an hour.
func TestEventsGoByThemselves(t *testing.T) {
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
	assert.Equal(t, int64(3600), of.GrantedTTL)

	// A lease that somebody took away is not written under again.
	_, err = client.Revoke(t.Context(), leases.Leases[0].ID)
	require.NoError(t, err)
	testenv.Eventually(t, func() bool { return len(reasons(t, s)) == 0 }, "with their lease they are gone from the copy")
	assert.Error(t, s.Record(t.Context(), "6", nil))
	assert.NoError(t, s.Record(t.Context(), "6", []environment.Event{event("a", 1)}))
}

func TestEventsAreBounded(t *testing.T) {
	client := testenv.Etcd(t)
	s := running(t, client)
	for n := range mostBatches + 20 {
		require.NoError(t, s.Record(t.Context(), fmt.Sprintf("%04d", n), []environment.Event{event(fmt.Sprint(n), n)}))
		if n >= mostBatches-1 { // the copy is what tells how many there are
			testenv.Eventually(t, func() bool { list := reasons(t, s); return list[len(list)-1] == fmt.Sprint(n) })
		}
	}
	stored, err := client.Get(t.Context(), events, clientv3.WithPrefix(), clientv3.WithCountOnly())
	require.NoError(t, err)
	assert.LessOrEqual(t, stored.Count, int64(mostBatches))
	testenv.Eventually(t, func() bool { return reasons(t, s)[0] == "20" }, "the oldest go first")
}

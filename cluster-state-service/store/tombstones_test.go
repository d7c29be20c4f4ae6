package store

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/blox/blox/cluster-state-service/state"
	"github.com/blox/blox/internal/testenv"
)

// A lease begins anew when etcd starts; the expiry of a tombstone does not.
func TestTombstone_ExpiresAfterTwoDaysWhateverEtcdDoes(t *testing.T) {
	server := testenv.EtcdServer(t)
	client := server.Client()
	s := New(client, nothingStored, nil)
	require.NoError(t, s.Record(t.Context(), []state.Record{task("a", 1)}))
	_, revision := stored(t, client, task("a", 1).Key.String())
	removed := time.Now()
	lead(t, s, func(ctx context.Context, h state.FencingToken) {
		_, err := s.ApplyCorrections(ctx, h, []state.Correction{{Key: task("a", 0).Key, Revision: revision}})
		require.NoError(t, err)
	})
	server.Stop()
	server.Start()
	testenv.Eventually(t, func() bool {
		pruned, err := s.pruneTombstones(t.Context(), removed.Add(tombstoneLife-time.Minute))
		return err == nil && assert.Zero(t, pruned, "too early")
	})
	require.NoError(t, s.Record(t.Context(), []state.Record{task("a", 2)}))
	value, _ := stored(t, client, task("a", 2).Key.String())
	assert.Empty(t, value, "a late event does not restore the record")

	pruned, err := s.pruneTombstones(t.Context(), removed.Add(tombstoneLife+time.Minute))
	require.NoError(t, err)
	assert.Equal(t, 1, pruned)
	require.NoError(t, s.Record(t.Context(), []state.Record{task("a", 3)}))
	value, _ = stored(t, client, task("a", 3).Key.String())
	assert.NotEmpty(t, value)
}

func TestPruneTombstones_KeepsThoseWithoutExpiry(t *testing.T) {
	client := testenv.Etcd(t)
	s := New(client, nothingStored, nil)
	for _, id := range []string{"a", "b"} {
		_, err := client.Put(t.Context(), task(id, 0).Key.TombstoneKey(), map[string]string{"a": "{}", "b": "x"}[id])
		require.NoError(t, err)
	}
	pruned, err := s.pruneTombstones(t.Context(), time.Now().Add(100*time.Hour))
	require.NoError(t, err)
	assert.Zero(t, pruned, "their lease removes them")
}

package store

import (
	"context"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/blox/blox/internal/testenv"
)

// readers works as several readers of the stream "events" at a time.
func readers(t *testing.T, s *Store, work func(ctx context.Context, of map[string]*GroupMember), names ...string) {
	t.Helper()
	of := map[string]*GroupMember{}
	var join func(ctx context.Context, names []string) error
	join = func(ctx context.Context, names []string) error {
		if len(names) == 0 {
			work(ctx, of)
			return nil
		}
		return s.JoinGroup(ctx, "events", names[0], func(ctx context.Context, r *GroupMember) error {
			of[names[0]] = r
			return join(ctx, names[1:])
		})
	}
	require.NoError(t, join(t.Context(), names))
}

func TestAShardHasOneHolderWhoAloneSavesItsCheckpoint(t *testing.T) {
	client := testenv.Etcd(t)
	s := New(client, nothingStored, nil)
	readers(t, s, func(ctx context.Context, of map[string]*GroupMember) {
		a, b := of["a"], of["b"]
		saved, taken, err := a.AcquireShard(ctx, "s1")
		require.NoError(t, err)
		assert.True(t, taken)
		assert.Nil(t, saved, "no checkpoint yet")
		_, taken, err = b.AcquireShard(ctx, "s1")
		require.NoError(t, err)
		assert.False(t, taken)
		held, err := b.SaveCheckpoint(ctx, "s1", []byte("b"))
		require.NoError(t, err)
		assert.False(t, held)
		held, err = a.SaveCheckpoint(ctx, "s1", []byte("a"))
		require.NoError(t, err)
		assert.True(t, held)
		saved, taken, err = a.AcquireShard(ctx, "s1")
		require.NoError(t, err)
		assert.True(t, taken, "again, as when an answer was lost")
		assert.Equal(t, "a", string(saved))
		require.NoError(t, b.ReleaseShard(ctx, "s1"), "what is not its own stays")
		require.NoError(t, b.DeleteCheckpoints(ctx, []string{"s1"}), "what is held stays")
		_, _, err = b.AcquireShard(ctx, "s2")
		require.NoError(t, err)

		checkpoints, holders, replicas, err := b.Assignments(ctx)
		require.NoError(t, err)
		assert.Equal(t, map[string][]byte{"s1": []byte("a")}, checkpoints)
		assert.Equal(t, map[string]string{"s1": "a", "s2": "b"}, holders)
		assert.Equal(t, []string{"a", "b"}, replicas)

		require.NoError(t, a.ReleaseShard(ctx, "s1"))
		held, err = a.SaveCheckpoint(ctx, "s1", []byte("late"))
		require.NoError(t, err)
		assert.False(t, held)
		saved, taken, err = b.AcquireShard(ctx, "s1")
		require.NoError(t, err)
		assert.True(t, taken)
		assert.Equal(t, "a", string(saved))
	}, "a", "b")

	left, err := client.Get(t.Context(), "ecs/", clientv3.WithPrefix(), clientv3.WithKeysOnly())
	require.NoError(t, err)
	require.Len(t, left.Kvs, 1, "all locks are given back")
	assert.Equal(t, "ecs/kinesis/events/s1", string(left.Kvs[0].Key))
	readers(t, s, func(ctx context.Context, of map[string]*GroupMember) {
		require.NoError(t, of["c"].DeleteCheckpoints(ctx, []string{"s1"}))
	}, "c")
	value, _ := stored(t, client, "ecs/kinesis/events/s1")
	assert.Empty(t, value)
}

// A reader whose lease has run out saves nothing, whatever it believes.
func TestAReaderThatLostItsLeaseSavesNothing(t *testing.T) {
	client := testenv.Etcd(t)
	s := New(client, nothingStored, nil)
	readers(t, s, func(ctx context.Context, of map[string]*GroupMember) {
		a, b := of["a"], of["b"]
		_, taken, err := a.AcquireShard(ctx, "s1")
		require.NoError(t, err)
		require.True(t, taken)
		_, err = client.Revoke(ctx, a.lease)
		require.NoError(t, err)
		_, taken, err = b.AcquireShard(ctx, "s1")
		require.NoError(t, err)
		assert.True(t, taken)
		held, err := a.SaveCheckpoint(ctx, "s1", []byte("a"))
		require.NoError(t, err)
		assert.False(t, held)
		_, _, err = a.AcquireShard(ctx, "s2")
		assert.Error(t, err, "the lease is gone")
	}, "a", "b")
	value, _ := stored(t, client, "ecs/kinesis/events/s1")
	assert.Empty(t, value)
}

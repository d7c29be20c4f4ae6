package store

import (
	"context"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/blox/blox/internal/testenv"
)

// joinGroup calls work while the named members are in the group of the stream "events".
func joinGroup(t *testing.T, s *Store, work func(ctx context.Context, of map[string]*GroupMember), names ...string) {
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

func TestGroupMember_OnlyOwnerSavesCheckpoint(t *testing.T) {
	client := testenv.Etcd(t)
	s := New(client, nothingStored, nil)
	joinGroup(t, s, func(ctx context.Context, of map[string]*GroupMember) {
		a, b := of["a"], of["b"]
		saved, acquired, err := a.AcquireShard(ctx, "s1")
		require.NoError(t, err)
		assert.True(t, acquired)
		assert.Nil(t, saved, "no checkpoint yet")
		_, acquired, err = b.AcquireShard(ctx, "s1")
		require.NoError(t, err)
		assert.False(t, acquired)
		owned, err := b.SaveCheckpoint(ctx, "s1", []byte("b"))
		require.NoError(t, err)
		assert.False(t, owned)
		owned, err = a.SaveCheckpoint(ctx, "s1", []byte("a"))
		require.NoError(t, err)
		assert.True(t, owned)
		saved, acquired, err = a.AcquireShard(ctx, "s1")
		require.NoError(t, err)
		assert.True(t, acquired, "acquiring again succeeds, as after a lost response")
		assert.Equal(t, "a", string(saved))
		require.NoError(t, b.ReleaseShard(ctx, "s1"), "only the owner releases a shard")
		require.NoError(t, b.DeleteCheckpoints(ctx, []string{"s1"}), "the checkpoint of an owned shard stays")
		_, _, err = b.AcquireShard(ctx, "s2")
		require.NoError(t, err)

		assignments, err := b.Assignments(ctx)
		require.NoError(t, err)
		assert.Equal(t, map[string][]byte{"s1": []byte("a")}, assignments.Checkpoints)
		assert.Equal(t, map[string]string{"s1": "a", "s2": "b"}, assignments.Owners)
		assert.Equal(t, []string{"a", "b"}, assignments.Members)

		require.NoError(t, a.ReleaseShard(ctx, "s1"))
		owned, err = a.SaveCheckpoint(ctx, "s1", []byte("late"))
		require.NoError(t, err)
		assert.False(t, owned)
		saved, acquired, err = b.AcquireShard(ctx, "s1")
		require.NoError(t, err)
		assert.True(t, acquired)
		assert.Equal(t, "a", string(saved))
	}, "a", "b")

	left, err := client.Get(t.Context(), "ecs/", clientv3.WithPrefix(), clientv3.WithKeysOnly())
	require.NoError(t, err)
	require.Len(t, left.Kvs, 1, "all locks are released")
	assert.Equal(t, "ecs/kinesis/events/s1", string(left.Kvs[0].Key))
	joinGroup(t, s, func(ctx context.Context, of map[string]*GroupMember) {
		require.NoError(t, of["c"].DeleteCheckpoints(ctx, []string{"s1"}))
	}, "c")
	value, _ := stored(t, client, "ecs/kinesis/events/s1")
	assert.Empty(t, value)
}

func TestGroupMember_SavesNothingAfterItsLeaseExpired(t *testing.T) {
	client := testenv.Etcd(t)
	s := New(client, nothingStored, nil)
	joinGroup(t, s, func(ctx context.Context, of map[string]*GroupMember) {
		a, b := of["a"], of["b"]
		_, acquired, err := a.AcquireShard(ctx, "s1")
		require.NoError(t, err)
		require.True(t, acquired)
		_, err = client.Revoke(ctx, a.lease)
		require.NoError(t, err)
		_, acquired, err = b.AcquireShard(ctx, "s1")
		require.NoError(t, err)
		assert.True(t, acquired)
		owned, err := a.SaveCheckpoint(ctx, "s1", []byte("a"))
		require.NoError(t, err)
		assert.False(t, owned)
		_, _, err = a.AcquireShard(ctx, "s2")
		assert.Error(t, err, "the lease has expired")
	}, "a", "b")
	value, _ := stored(t, client, "ecs/kinesis/events/s1")
	assert.Empty(t, value)
}

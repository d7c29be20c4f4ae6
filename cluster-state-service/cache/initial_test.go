package cache

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/blox/blox/cluster-state-service/state"
	"github.com/blox/blox/internal/broadcast"
	"github.com/blox/blox/internal/testenv"
)

func TestWatch_BeginsWithASnapshot(t *testing.T) {
	server := testenv.EtcdServer(t)
	client := server.Client()
	first := write(t, client, "b", 1)
	second := write(t, client, "a", 1)
	cache := start(t, server, 0)
	s, err := cache.WaitCurrent(t.Context())
	require.NoError(t, err)

	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	changes, err := cache.Watch(ctx, state.KindTask, WatchOptions{Snapshot: true})
	require.NoError(t, err)
	third := write(t, client, "b", 2) // before the first entity is read
	var got []string
	for c, err := range changes {
		require.NoError(t, err)
		got = append(got, fmt.Sprintf("%t %t %d %s", c.Initial, c.InSync, c.Revision, c.Line))
		if len(got) == 4 {
			break
		}
	}
	assert.Equal(t, []string{
		fmt.Sprintf("true false %d %s v1 @%d\n", second, arnOf("a"), second),
		fmt.Sprintf("true false %d %s v1 @%d\n", first, arnOf("b"), first),
		fmt.Sprintf("false true %d ", s.Revision),
		fmt.Sprintf("false false %d %s v2 @%d\n", third, arnOf("b"), third),
	}, got)
}

func TestWatch_FailsWithASnapshotBeforeTheFirstLoad(t *testing.T) {
	cache := build(t, testenv.EtcdServer(t), nil, 0)
	_, err := cache.Watch(t.Context(), state.KindTask, WatchOptions{Snapshot: true})
	assert.ErrorIs(t, err, state.ErrStoreUnavailable)
}

// A client that reads its snapshot too slowly is cut off before it has read all of it.
func TestWatch_EndsASnapshotThatIsReadTooSlowly(t *testing.T) {
	server := testenv.EtcdServer(t)
	client := server.Client()
	for from := 0; from <= 2*checkInterval; from += 100 {
		var ops []clientv3.Op
		for n := range 100 {
			id := fmt.Sprintf("%06d", from+n)
			ops = append(ops, clientv3.OpPut(keyOf(id), valueOf(id, 1)))
		}
		_, err := client.Txn(t.Context()).Then(ops...).Commit()
		require.NoError(t, err)
	}
	cache := start(t, server, 2)
	_, err := cache.WaitCurrent(t.Context())
	require.NoError(t, err)
	changes, err := cache.Watch(t.Context(), state.KindTask, WatchOptions{Snapshot: true})
	require.NoError(t, err)
	count := 0
	for c, err := range changes {
		if err != nil {
			assert.ErrorIs(t, err, broadcast.ErrSlow)
			break
		}
		require.True(t, c.Initial)
		if count++; count == 1 {
			for n := range 5 {
				write(t, client, "a", n+1)
				_, err := cache.WaitCurrent(t.Context()) // one by one, because changes that arrive together stay together
				require.NoError(t, err)
			}
		}
	}
	assert.Equal(t, checkInterval, count)
}

// Filters and types need the entity before each change, whether the history holds the change or etcd replays it.
func TestWatch_KnowsTheEntityBeforeEachChange(t *testing.T) {
	server := testenv.EtcdServer(t)
	client := server.Client()
	all := start(t, server, 0)
	few := start(t, server, 1)
	first := write(t, client, "a", 1)
	write(t, client, "a", 2)
	_, err := client.Delete(t.Context(), keyOf("a"))
	require.NoError(t, err)
	write(t, client, "a", 3)
	want := []string{
		"created=true deleted=false 0 to 1", "created=false deleted=false 1 to 2",
		"created=false deleted=true 2 to 0", "created=true deleted=false 0 to 3",
	}
	version := func(entity any) int64 {
		if task, exists := entity.(*state.TaskSummary); exists {
			return task.Version
		}
		return 0
	}
	for _, cache := range []*Cache{all, few} {
		_, err := cache.WaitCurrent(t.Context())
		require.NoError(t, err)
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		defer cancel()
		changes, err := cache.Watch(ctx, state.KindTask, WatchOptions{From: first, Previous: true})
		require.NoError(t, err)
		var got []string
		for c, err := range changes {
			require.NoError(t, err)
			got = append(got, fmt.Sprintf("created=%t deleted=%t %d to %d",
				c.Created, c.Deleted, version(c.Previous), version(c.Entity)))
			if len(got) == len(want) {
				break
			}
		}
		assert.Equal(t, want, got)
	}
}

package store

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/blox/blox/cluster-state-service/state"
	"github.com/blox/blox/internal/testenv"
)

func TestApplyCorrections_SkipsChangedRecords(t *testing.T) {
	client := testenv.Etcd(t)
	s := New(client, nothingStored, nil)
	require.NoError(t, s.Record(t.Context(), []state.Record{task("a", 1), task("b", 1)}))
	_, a := stored(t, client, task("a", 0).Key.String())
	_, b := stored(t, client, task("b", 0).Key.String())
	require.NoError(t, s.Record(t.Context(), []state.Record{task("a", 2)})) // an event arrives
	lead(t, s, func(ctx context.Context, h state.FencingToken) {
		done, err := s.ApplyCorrections(ctx, h, []state.Correction{
			{Key: task("a", 0).Key, Revision: a},
			{Key: task("b", 0).Key, Value: task("b", 3).Value, Revision: b},
			{Key: task("c", 0).Key, Value: task("c", 1).Value},
		})
		require.NoError(t, err)
		assert.Equal(t, 2, done)
		done, err = s.ApplyCorrections(ctx, h, []state.Correction{{Key: task("a", 0).Key, Value: task("a", 1).Value}})
		require.NoError(t, err)
		assert.Zero(t, done, "the stored version is newer")
	})
	for id, version := range map[string]int64{"a": 2, "b": 3, "c": 1} {
		value, _ := stored(t, client, task(id, 0).Key.String())
		assert.Equal(t, string(task(id, version).Value), value)
	}
}

func TestApplyCorrections_ReplaceRecordsOfLateEvents(t *testing.T) {
	client := testenv.Etcd(t)
	s := New(client, nothingStored, nil)
	equalVersion := task("b", 3)
	equalVersion.Value = []byte(strings.Replace(string(equalVersion.Value), "{", `{"id":"event","detail-type":"x",`, 1))
	otherFields := task("c", 3)
	otherFields.Value = []byte(strings.Replace(string(otherFields.Value), `"version"`, `"group":"late","version"`, 1))
	require.NoError(t, s.Record(t.Context(), []state.Record{task("a", 1), equalVersion, otherFields}))
	require.NoError(t, s.Record(t.Context(), []state.Record{task("d", 4)}))
	lead(t, s, func(ctx context.Context, token state.FencingToken) {
		var corrections []state.Correction
		for _, id := range []string{"a", "b", "c", "d"} {
			corrections = append(corrections, state.Correction{Key: task(id, 0).Key, Value: task(id, 3).Value})
		}
		applied, err := s.ApplyCorrections(ctx, token, corrections)
		require.NoError(t, err)
		assert.Equal(t, 2, applied)
	})
	for id, want := range map[string]state.Record{
		"a": task("a", 3), "b": equalVersion, "c": task("c", 3), "d": task("d", 4),
	} {
		value, _ := stored(t, client, task(id, 0).Key.String())
		assert.Equal(t, string(want.Value), value)
	}
}

func TestApplyCorrections_FailsWithoutLock(t *testing.T) {
	client := testenv.Etcd(t)
	s := New(client, nothingStored, nil)
	var old state.FencingToken
	lead(t, s, func(_ context.Context, h state.FencingToken) { old = h })
	lead(t, s, func(ctx context.Context, _ state.FencingToken) {
		_, err := s.ApplyCorrections(ctx, old, []state.Correction{{Key: task("a", 0).Key, Value: task("a", 1).Value}})
		assert.ErrorIs(t, err, state.ErrLockLost)
		err = s.SaveReconciliations(ctx, old, state.Reconciliation{
			Cluster: "arn:aws:ecs:eu-west-1:123456789012:cluster/prod",
		})
		assert.ErrorIs(t, err, state.ErrLockLost)
	})
	value, _ := stored(t, client, task("a", 0).Key.String())
	assert.Empty(t, value)
}

func TestApplyCorrections_RereadsAllChangedRecordsInOneTransaction(t *testing.T) {
	client := testenv.Etcd(t)
	s := New(client, nothingStored, nil)
	var records []state.Record
	for n := range 60 {
		records = append(records, task(fmt.Sprint(n), 1))
	}
	require.NoError(t, s.Record(t.Context(), records[:59]))
	lead(t, s, func(ctx context.Context, token state.FencingToken) {
		var corrections []state.Correction // all but the last assume that the key does not exist
		for _, r := range records {
			corrections = append(corrections, state.Correction{Key: r.Key, Value: r.Value})
		}
		kv := &slowKV{KV: client.KV}
		client.KV = kv
		applied, err := s.ApplyCorrections(ctx, token, corrections)
		require.NoError(t, err)
		assert.Equal(t, 1, applied)
		assert.Equal(t, 2, kv.txns)
	})
}

func TestSuperseding_ReturnsCorrectionsOfOlderAndOtherRecords(t *testing.T) {
	client := testenv.Etcd(t)
	s := New(client, nothingStored, nil)
	other := task("b", 3)
	other.Value = []byte(strings.Replace(string(other.Value), `"version"`, `"containers":[{"name":"x"}],"version"`, 1))
	require.NoError(t, s.Record(t.Context(), []state.Record{task("a", 3), other, task("c", 2), task("d", 4)}))
	var corrections []state.Correction
	for n := range 2 * maxReads { // most of them are not stored
		id := string(rune('a' + n))
		corrections = append(corrections, state.Correction{Key: task(id, 0).Key, Value: task(id, 3).Value, Revision: 1})
	}
	superseding, err := s.Superseding(t.Context(), corrections)
	require.NoError(t, err)
	_, revision := stored(t, client, other.Key.String())
	assert.Equal(t, []state.Correction{
		{Key: other.Key, Value: task("b", 3).Value, Revision: revision},
		{Key: task("c", 0).Key, Value: task("c", 3).Value, Revision: revision},
	}, superseding)
}

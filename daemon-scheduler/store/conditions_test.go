package store

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.etcd.io/etcd/api/v3/mvccpb"

	"github.com/blox/blox/daemon-scheduler/environment"
	"github.com/blox/blox/internal/testenv"
)

func TestStore_CommitConditionsIsGuardedByTheLeaderTheEnvironmentAndTheRecord(t *testing.T) {
	client := testenv.Etcd(t)
	s := New(client, testenv.Logger(t))
	term, _ := lead(t, s, "one")
	require.NoError(t, s.Create(t.Context(), env("logs")))
	stored, err := s.Get(t.Context(), "logs")
	require.NoError(t, err)
	denied := environment.Condition{Type: environment.ConditionAccessDenied, Status: environment.ConditionTrue}
	c := environment.ObservedConditions{
		Environment: "logs", Incarnation: stored.Incarnation, Conditions: []environment.Condition{denied},
	}
	record := func() *mvccpb.KeyValue {
		got, err := client.Get(t.Context(), "ecs/condition/logs")
		require.NoError(t, err)
		if len(got.Kvs) == 0 {
			return nil
		}
		return got.Kvs[0]
	}
	_, err = s.CommitConditions(t.Context(), Term{Key: term.Key, Revision: term.Revision + 1}, c)
	require.ErrorIs(t, err, environment.ErrNotLeader)
	c.Incarnation++
	_, err = s.CommitConditions(t.Context(), term, c)
	require.ErrorIs(t, err, environment.ErrConflict, "of another environment of that name")
	assert.Nil(t, record())

	c.Incarnation = stored.Incarnation
	version, err := s.CommitConditions(t.Context(), term, c)
	require.NoError(t, err)
	decoded, err := DecodeConditions(record())
	require.NoError(t, err)
	assert.True(t, c.Equal(decoded))
	assert.Equal(t, version, decoded.StoredVersion)
	_, err = s.CommitConditions(t.Context(), term, c)
	require.ErrorIs(t, err, environment.ErrConflict, "the record has changed")

	require.NoError(t, s.Delete(t.Context(), "logs"))
	decoded.Conditions = nil
	_, err = s.CommitConditions(t.Context(), term, decoded)
	require.ErrorIs(t, err, environment.ErrConflict, "the environment was deleted")
	decoded.Incarnation = 0
	_, err = s.CommitConditions(t.Context(), term, decoded)
	require.NoError(t, err)
	assert.Nil(t, record())
}

package store

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/blox/blox/daemon-scheduler/environment"
	"github.com/blox/blox/internal/testenv"
)

func TestStore_CommitHealthIsGuardedByTheLeaderAndTheRecord(t *testing.T) {
	client := testenv.Etcd(t)
	s := New(client, testenv.Logger(t))
	term, _ := lead(t, s, "one")
	h := environment.TaskHealth{Environment: "logs", Task: "arn:task/prod/1", Status: environment.HealthHealthy}
	commit := func(term Term, put, remove []environment.TaskHealth) (int64, error) {
		return s.CommitHealth(t.Context(), term, "logs", put, remove)
	}
	_, err := commit(Term{Key: term.Key, Revision: term.Revision + 1}, []environment.TaskHealth{h}, nil)
	require.ErrorIs(t, err, environment.ErrNotLeader)
	revision, err := commit(term, []environment.TaskHealth{h}, nil)
	require.NoError(t, err)
	got, err := client.Get(t.Context(), "ecs/health/logs/arn:task/prod/1")
	require.NoError(t, err)
	require.Len(t, got.Kvs, 1)
	assert.JSONEq(t, `{"Status":"HEALTHY"}`, string(got.Kvs[0].Value))
	decoded, err := DecodeHealth(got.Kvs[0])
	require.NoError(t, err)
	h.StoredVersion = revision
	assert.Equal(t, h, decoded)

	old := h
	old.StoredVersion--
	_, err = commit(term, []environment.TaskHealth{old}, nil)
	require.ErrorIs(t, err, environment.ErrConflict)
	_, err = commit(term, nil, []environment.TaskHealth{old})
	require.ErrorIs(t, err, environment.ErrConflict)
	_, err = commit(term, nil, []environment.TaskHealth{h})
	require.NoError(t, err)
	_, err = commit(term, make([]environment.TaskHealth, MaxRecordsPerCommit+1), nil)
	require.Error(t, err)
}

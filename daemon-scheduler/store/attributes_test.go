package store

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/blox/blox/daemon-scheduler/environment"
	"github.com/blox/blox/internal/testenv"
)

func TestStore_CommitAttributesRejectsFormerLeadersAndChangedRecords(t *testing.T) {
	s := New(testenv.Etcd(t), testenv.Logger(t))
	term, _ := lead(t, s, "one")
	attribute := environment.ReadinessAttribute{
		Name: "ready", Instance: "arn:i/prod/1", Cluster: "arn:cluster/prod", State: environment.AttributeOpen,
	}
	one := []environment.ReadinessAttribute{attribute}
	revision, err := s.CommitAttributes(t.Context(), term, one, nil)
	require.NoError(t, err)
	_, err = s.CommitAttributes(t.Context(), term, one, nil)
	assert.ErrorIs(t, err, environment.ErrConflict)
	one[0].StoredVersion = revision
	_, err = s.CommitAttributes(t.Context(), Term{Key: term.Key, Revision: term.Revision + 1}, one, nil)
	assert.ErrorIs(t, err, environment.ErrNotLeader)
	tooMany := make([]environment.ReadinessAttribute, MaxRecordsPerCommit+1)
	_, err = s.CommitAttributes(t.Context(), term, tooMany, nil)
	assert.Error(t, err)
	_, err = s.CommitAttributes(t.Context(), term, nil, one)
	require.NoError(t, err)
}

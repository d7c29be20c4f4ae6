package store

import (
	"context"
	"fmt"

	"github.com/blox/blox/daemon-scheduler/environment"
)

// CommitAttributes is Commit for readiness attributes.
func (s *Store) CommitAttributes(
	ctx context.Context, term Term, put, remove []environment.ReadinessAttribute,
) (int64, error) {
	if n := len(put) + len(remove); n > MaxRecordsPerCommit {
		return 0, fmt.Errorf("commit %d readiness attributes; at most %d are possible", n, MaxRecordsPerCommit)
	}
	t := transaction{what: "readiness attributes"}
	for _, a := range put {
		t.put(AttributeKey(a.Key()), a.StoredVersion, a)
	}
	for _, a := range remove {
		t.remove(AttributeKey(a.Key()), a.StoredVersion)
	}
	revision, err := s.transact(ctx, term, t)
	if err != nil {
		return 0, err
	}
	if s.committed != nil {
		s.committed.AttributesCommitted(put, remove, revision)
	}
	return revision, nil
}

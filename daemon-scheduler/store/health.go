package store

import (
	"context"
	"fmt"

	"github.com/blox/blox/daemon-scheduler/environment"
)

// CommitHealth is Commit for the health of one environment's tasks.
func (s *Store) CommitHealth(
	ctx context.Context, term Term, name string, put, remove []environment.TaskHealth,
) (int64, error) {
	if n := len(put) + len(remove); n > MaxRecordsPerCommit {
		return 0, fmt.Errorf("commit the health of %d tasks; at most %d are possible", n, MaxRecordsPerCommit)
	}
	t := transaction{what: "health of tasks of environment " + name}
	for _, h := range put {
		t.put(HealthKey(name, h.Task), h.StoredVersion, h)
	}
	for _, h := range remove {
		t.remove(HealthKey(name, h.Task), h.StoredVersion)
	}
	revision, err := s.transact(ctx, term, t)
	if err == nil && s.committed != nil {
		s.committed.HealthCommitted(name, put, remove, revision)
	}
	return revision, err
}

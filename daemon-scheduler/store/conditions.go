package store

import (
	"context"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/blox/blox/daemon-scheduler/environment"
)

// CommitConditions is Commit for the observed conditions of one environment. It removes the record if no condition
// holds. Of an environment that does not exist, Incarnation is 0 and no condition holds.
func (s *Store) CommitConditions(ctx context.Context, term Term, c environment.ObservedConditions) (int64, error) {
	t := transaction{what: "conditions of environment " + c.Environment}
	created := clientv3.CreateRevision(EnvironmentKey(c.Environment)) // 0 of a key that does not exist
	t.compares = append(t.compares, clientv3.Compare(created, "=", c.Incarnation))
	if len(c.Conditions) == 0 {
		t.remove(ConditionsKey(c.Environment), c.StoredVersion)
	} else {
		t.put(ConditionsKey(c.Environment), c.StoredVersion, c)
	}
	revision, err := s.transact(ctx, term, t)
	if err == nil && s.committed != nil {
		s.committed.ConditionsCommitted(c, revision)
	}
	return revision, err
}

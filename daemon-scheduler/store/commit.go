package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/blox/blox/daemon-scheduler/environment"
)

// MaxRecordsPerCommit limits the launches of one Commit and the attributes of one CommitAttributes. etcd allows 128
// operations in a transaction.
const MaxRecordsPerCommit = 100

// Commit writes changes in one transaction and returns its revision, which becomes the written records' StoredVersion.
// It writes nothing and returns environment.ErrNotLeader if another replica leads, or environment.ErrConflict if a
// record has changed since it was read. After any other error the changes may have been written.
func (s *Store) Commit(ctx context.Context, term Term, c Changes) (int64, error) {
	if n := len(c.Put) + len(c.Delete); n > MaxRecordsPerCommit {
		return 0, fmt.Errorf("commit environment %s: %d launches; at most %d are possible", c.Name, n, MaxRecordsPerCommit)
	}
	t := transaction{what: "environment " + c.Name}
	if c.Incarnation != 0 || c.IsDeleted { // a key that does not exist has the create revision 0
		t.compares = append(t.compares, clientv3.Compare(clientv3.CreateRevision(EnvironmentKey(c.Name)), "=", c.Incarnation))
	}
	if c.Environment != nil {
		t.put(EnvironmentKey(c.Name), c.Environment.StoredVersion, c.Environment)
	}
	if c.Remove != nil {
		t.remove(EnvironmentKey(c.Name), c.Remove.StoredVersion)
	}
	for _, l := range c.Put {
		t.put(LaunchKey(c.Name, l.Instance), l.StoredVersion, l)
	}
	for _, l := range c.Delete {
		t.remove(LaunchKey(c.Name, l.Instance), l.StoredVersion)
	}
	revision, err := s.transact(ctx, term, t)
	if err == nil && s.committed != nil {
		s.committed.Committed(c, revision)
	}
	return revision, err
}

// transaction writes records together, provided that none of them has changed since it was read.
type transaction struct {
	what     string
	compares []clientv3.Cmp
	ops      []clientv3.Op
	err      error
}

func (t *transaction) put(key string, revision int64, record any) {
	value, err := json.Marshal(record)
	if err != nil {
		t.err = errors.Join(t.err, fmt.Errorf("encode %s: %w", key, err))
	}
	t.compares = append(t.compares, clientv3.Compare(clientv3.ModRevision(key), "=", revision))
	t.ops = append(t.ops, clientv3.OpPut(key, string(value)))
}

func (t *transaction) remove(key string, revision int64) {
	t.compares = append(t.compares, clientv3.Compare(clientv3.ModRevision(key), "=", revision))
	t.ops = append(t.ops, clientv3.OpDelete(key))
}

// transact commits t if term is still the present leader's. Commit documents its results.
func (s *Store) transact(ctx context.Context, term Term, t transaction) (revision int64, err error) {
	if t.err != nil {
		return 0, t.err
	}
	leads := clientv3.Compare(clientv3.CreateRevision(term.Key), "=", term.Revision)
	done, err := s.client.Txn(ctx).If(append(t.compares, leads)...).Then(t.ops...).Else(clientv3.OpGet(term.Key)).Commit()
	if err != nil {
		return 0, fmt.Errorf("commit %s: %w", t.what, classify(err))
	}
	if !done.Succeeded {
		held := done.Responses[0].GetResponseRange().Kvs
		if len(held) == 0 || held[0].CreateRevision != term.Revision {
			return 0, environment.ErrNotLeader
		}
		return 0, fmt.Errorf("commit %s: %w", t.what, environment.ErrConflict)
	}
	return done.Header.Revision, nil
}

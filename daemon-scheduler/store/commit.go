package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/blox/blox/daemon-scheduler/environment"
)

// MostLaunches is how many launches one Commit, or marks one Mark, may change: etcd allows 128 operations a transaction.
const MostLaunches = 100

// Commit writes changes in one transaction and returns its revision, which the written records have from then on.
// Nothing is written, and environment.ErrNotLeader or ErrConflict returned, when another replica leads or a record is
// not as it was read. Any other error leaves open whether they were written.
func (s *Store) Commit(ctx context.Context, term Term, c Changes) (int64, error) {
	if n := len(c.Put) + len(c.Delete); n > MostLaunches {
		return 0, fmt.Errorf("commit of environment %s: %d launches at once", c.Name, n)
	}
	t := transaction{what: "environment " + c.Name}
	if c.Incarnation != 0 {
		t.compares = append(t.compares, clientv3.Compare(clientv3.CreateRevision(environmentKey(c.Name)), "=", c.Incarnation))
	}
	if c.Environment != nil {
		t.put(environmentKey(c.Name), c.Environment.StoredVersion, c.Environment)
	}
	if c.Remove != nil {
		t.drop(environmentKey(c.Name), c.Remove.StoredVersion)
	}
	for _, l := range c.Put {
		t.put(launchKey(c.Name, l.Instance), l.StoredVersion, l)
	}
	for _, l := range c.Delete {
		t.drop(launchKey(c.Name, l.Instance), l.StoredVersion)
	}
	revision, err := s.transact(ctx, term, t)
	if err == nil {
		s.written(c, revision)
	}
	return revision, err
}

// transaction is what is written together, while every record is as it was read.
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

func (t *transaction) drop(key string, revision int64) {
	t.compares = append(t.compares, clientv3.Compare(clientv3.ModRevision(key), "=", revision))
	t.ops = append(t.ops, clientv3.OpDelete(key))
}

// transact writes t while the term lasts, as Commit says.
func (s *Store) transact(ctx context.Context, term Term, t transaction) (revision int64, err error) {
	if t.err != nil {
		return 0, t.err
	}
	leads := clientv3.Compare(clientv3.CreateRevision(term.Key), "=", term.Revision)
	done, err := s.client.Txn(ctx).If(append(t.compares, leads)...).Then(t.ops...).Else(clientv3.OpGet(term.Key)).Commit()
	if err != nil {
		return 0, fmt.Errorf("commit of %s: %w", t.what, silent(err))
	}
	if !done.Succeeded {
		held := done.Responses[0].GetResponseRange().Kvs
		if len(held) == 0 || held[0].CreateRevision != term.Revision {
			return 0, environment.ErrNotLeader
		}
		return 0, fmt.Errorf("commit of %s: %w", t.what, environment.ErrConflict)
	}
	return done.Header.Revision, nil
}

// written takes what was committed into the copy, so that the writer's next look is not behind its own writes.
func (s *Store) written(c Changes, revision int64) {
	defer s.followers.tell(c.Name)
	s.mu.Lock()
	defer s.mu.Unlock()
	if held, ok := s.copied.environments[c.Name]; ok && held.Incarnation == c.Incarnation && c.Environment != nil {
		e := *c.Environment
		e.StoredVersion = revision
		s.copied.setEnvironment(e)
	}
	if c.Remove != nil {
		s.copied.dropEnvironment(c.Name, revision)
	}
	for _, l := range c.Put {
		l.StoredVersion = revision
		s.copied.setLaunch(c.Name, l)
	}
	for _, l := range c.Delete {
		s.copied.dropLaunch(c.Name, l.Instance, revision)
	}
}

package store

import (
	"context"
	"encoding/json"
	"fmt"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/blox/blox/daemon-scheduler/environment"
)

// MostLaunches is how many launches one Commit may change: etcd allows 128 operations a transaction.
const MostLaunches = 100

// Commit writes changes in one transaction and returns its revision, which the written records have from then on.
// Nothing is written, and environment.ErrDeposed or ErrConflict returned, when another replica leads or a record is
// not as it was read. Any other error leaves open whether they were written.
func (s *Store) Commit(ctx context.Context, term environment.Term, c environment.Changes) (int64, error) {
	if n := len(c.Put) + len(c.Delete); n > MostLaunches {
		return 0, fmt.Errorf("commit of environment %s: %d launches at once", c.Name, n)
	}
	compares := []clientv3.Cmp{clientv3.Compare(clientv3.CreateRevision(term.Key), "=", term.Revision)}
	if c.Created != 0 {
		compares = append(compares, clientv3.Compare(clientv3.CreateRevision(environmentKey(c.Name)), "=", c.Created))
	}
	var ops []clientv3.Op
	put := func(key string, revision int64, record any) error {
		value, err := json.Marshal(record)
		if err != nil {
			return fmt.Errorf("encode %s: %w", key, err)
		}
		compares = append(compares, clientv3.Compare(clientv3.ModRevision(key), "=", revision))
		ops = append(ops, clientv3.OpPut(key, string(value)))
		return nil
	}
	if c.Environment != nil {
		if err := put(environmentKey(c.Name), c.Environment.Revision, c.Environment); err != nil {
			return 0, err
		}
	}
	if c.Remove != nil {
		key := environmentKey(c.Name)
		compares = append(compares, clientv3.Compare(clientv3.ModRevision(key), "=", c.Remove.Revision))
		ops = append(ops, clientv3.OpDelete(key))
	}
	for _, l := range c.Put {
		if err := put(launchKey(c.Name, l.Instance), l.Revision, l); err != nil {
			return 0, err
		}
	}
	for _, l := range c.Delete {
		key := launchKey(c.Name, l.Instance)
		compares = append(compares, clientv3.Compare(clientv3.ModRevision(key), "=", l.Revision))
		ops = append(ops, clientv3.OpDelete(key))
	}
	done, err := s.client.Txn(ctx).If(compares...).Then(ops...).Else(clientv3.OpGet(term.Key)).Commit()
	if err != nil {
		return 0, fmt.Errorf("commit of environment %s: %w", c.Name, silent(err))
	}
	if !done.Succeeded {
		held := done.Responses[0].GetResponseRange().Kvs
		if len(held) == 0 || held[0].CreateRevision != term.Revision {
			return 0, environment.ErrDeposed
		}
		return 0, fmt.Errorf("commit of environment %s: %w", c.Name, environment.ErrConflict)
	}
	s.written(c, done.Header.Revision)
	return done.Header.Revision, nil
}

// written takes what was committed into the copy, so that the writer's next look is not behind its own writes.
func (s *Store) written(c environment.Changes, revision int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if held, ok := s.copied.environments[c.Name]; ok && held.Created == c.Created && c.Environment != nil {
		e := *c.Environment
		e.Revision = revision
		s.copied.setEnvironment(e)
	}
	if c.Remove != nil {
		s.copied.dropEnvironment(c.Name, revision)
	}
	for _, l := range c.Put {
		l.Revision = revision
		s.copied.setLaunch(c.Name, l)
	}
	for _, l := range c.Delete {
		s.copied.dropLaunch(c.Name, l.Instance, revision)
	}
}

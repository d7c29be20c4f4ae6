package store

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"go.etcd.io/etcd/api/v3/mvccpb"

	"github.com/blox/blox/daemon-scheduler/environment"
)

// CommitAttributes is Commit for marks.
func (s *Store) CommitAttributes(ctx context.Context, term Term, put, drop []environment.ReadinessAttribute) (int64, error) {
	if n := len(put) + len(drop); n > MostLaunches {
		return 0, fmt.Errorf("commit of %d readiness attributes at once", n)
	}
	t := transaction{what: "readiness attributes"}
	for _, m := range put {
		t.put(markKey(m.Key()), m.StoredVersion, m)
	}
	for _, m := range drop {
		t.drop(markKey(m.Key()), m.StoredVersion)
	}
	revision, err := s.transact(ctx, term, t)
	if err != nil {
		return 0, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, m := range put {
		m.StoredVersion = revision
		s.copied.setMark(m)
	}
	for _, m := range drop {
		s.copied.dropMark(m.Key(), revision)
	}
	return revision, nil
}

// putMark leaves out what cannot be read, as nothing can be done about it.
func (s *Store) putMark(kv *mvccpb.KeyValue) (about string, news bool) {
	m, err := decodeMark(kv)
	if err != nil {
		s.log.WithError(err).WithField("key", string(kv.Key)).Error("readiness attribute unreadable")
		return "", false
	}
	return m.Cluster, s.copied.setMark(m)
}

// UsesReadiness tells whether readiness attributes may be, or have been, set on instances of the cluster.
func (s *Store) UsesReadiness(clusterARN string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.copied.naming[clusterARN])+len(s.copied.marks[clusterARN]) > 0
}

// ClustersWithAttributes are the clusters that the copy has marks of.
func (s *Store) ClustersWithAttributes() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Collect(maps.Keys(s.copied.marks))
}

// ReadinessInputs are the copy's environments of a cluster that name readiness attributes, and the marks on its instances.
func (s *Store) ReadinessInputs(clusterARN string) (naming []environment.Environment, of []environment.ReadinessAttribute) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for name := range s.copied.naming[clusterARN] {
		naming = append(naming, s.copied.environments[name])
	}
	return naming, slices.Collect(maps.Values(s.copied.marks[clusterARN]))
}

// setMark tells whether m was news.
func (c *copied) setMark(m environment.ReadinessAttribute) bool {
	was := c.marked[m.Key()]
	if c.marks[was][m.Key()].StoredVersion >= m.StoredVersion {
		return false
	}
	remove(c.marks, was, m.Key())
	add(c.marks, m.Cluster, m.Key(), m)
	c.marked[m.Key()] = m.Cluster
	return true
}

// dropMark tells of which cluster the mark was, if that is news.
func (c *copied) dropMark(key environment.AttributeKey, revision int64) (clusterARN string, news bool) {
	clusterARN, held := c.marked[key]
	if !held || c.marks[clusterARN][key].StoredVersion > revision {
		return "", false
	}
	remove(c.marks, clusterARN, key)
	delete(c.marked, key)
	return clusterARN, true
}

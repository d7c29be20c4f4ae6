package cache

import (
	"encoding/json"
	"strings"

	"github.com/blox/blox/cluster-state-service/state"
	"github.com/blox/blox/internal/arn"
)

// MetadataKey is the value of a key in etcd that describes the service itself rather than an entity.
type MetadataKey struct {
	Value      string
	Revision   int64                // etcd's create revision
	Reconciled state.Reconciliation // Value, decoded, under state.ReconcilePrefix
}

// ParseMetadataKey reads a value. A malformed one leaves Reconciled zero.
func ParseMetadataKey(key, value string, revision int64) MetadataKey {
	m := MetadataKey{Value: value, Revision: revision}
	if strings.HasPrefix(key, state.ReconcilePrefix) && json.Unmarshal([]byte(value), &m.Reconciled) != nil {
		m.Reconciled = state.Reconciliation{}
	}
	return m
}

// IsMetadataKey reports whether key belongs in Snapshot.Metadata.
func IsMetadataKey(key string) bool {
	return strings.HasPrefix(key, state.ReconcilePrefix) || strings.HasPrefix(key, state.LockPrefix)
}

// Snapshot is the state at one etcd revision. It is immutable.
type Snapshot struct {
	// Revision is etcd's. The snapshot includes every change up to it and none after it.
	Revision  int64
	Tasks     Index[state.Task]
	Instances Index[state.Instance]
	Metadata  map[string]MetadataKey // by key
	// Changes counts the writes to Blox's keys since the service began to watch.
	Changes int64
	// generation is of etcd's data when the snapshot was loaded; see etcd.Monitor.
	generation int64
}

// LastReconciliation returns the last complete reconciliation in the region; zero if there was none.
func (s *Snapshot) LastReconciliation(region string) state.Reconciliation {
	var latest state.Reconciliation
	for key, metadata := range s.Metadata {
		if !strings.HasPrefix(key, state.ReconcilePrefix) || !strings.HasSuffix(key, "/"+region) {
			continue
		}
		if metadata.Reconciled.FinishedAt.After(latest.FinishedAt) {
			latest = metadata.Reconciled
		}
	}
	return latest
}

// ReconciliationOf returns the last complete reconciliation that covered a cluster; zero if there was none.
func (s *Snapshot) ReconciliationOf(clusterARN string) state.Reconciliation {
	cluster, err := arn.ParseKind(clusterARN, arn.Cluster)
	if err != nil {
		return state.Reconciliation{}
	}
	return s.Metadata[state.ReconcilePrefix+cluster.Account+"/"+cluster.Region].Reconciled
}

// Leader returns the name of the replica that reconciles; empty if there is none.
func (s *Snapshot) Leader() string {
	var oldest MetadataKey
	for key, metadata := range s.Metadata {
		if strings.HasPrefix(key, state.LockPrefix) && (oldest.Revision == 0 || metadata.Revision < oldest.Revision) {
			oldest = metadata
		}
	}
	return oldest.Value
}

// StoredVersion returns the version stored under a key; zero if there is none.
func (s *Snapshot) StoredVersion(key state.Key) state.StoredVersion {
	if key.Kind == state.KindInstance {
		return storedVersion(s.Instances.Get(key.String()))
	}
	return storedVersion(s.Tasks.Get(key.String()))
}

func storedVersion[T any](e *Entry[T]) state.StoredVersion {
	if e == nil {
		return state.StoredVersion{}
	}
	return state.StoredVersion{Version: e.Version, Revision: e.Revision}
}

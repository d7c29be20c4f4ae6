package cache

import (
	"encoding/json"
	"strings"

	"github.com/blox/blox/cluster-state-service/state"
	"github.com/blox/blox/internal/digest"
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
	Tasks     Index[state.TaskSummary]
	Instances Index[state.Instance]
	Metadata  map[string]MetadataKey // by key
	// Reconciliations summarize Metadata.
	Reconciliations *Reconciliations
	// TasksChanged and InstancesChanged are the revisions of the last change of each kind, or later ones: after a load,
	// earlier changes are unknown.
	TasksChanged, InstancesChanged int64
	// Changes counts the writes to Blox's keys since the service began to watch.
	Changes int64
	// generation is of etcd's data when the snapshot was loaded; see etcd.Monitor.
	generation int64
}

// ChangedAt returns the revision of the last change of a kind, or a later one.
func (s *Snapshot) ChangedAt(kind state.Kind) int64 {
	if kind == state.KindInstance {
		return s.InstancesChanged
	}
	return s.TasksChanged
}

// Versions identifies the entities of a kind by their ARNs and mod revisions.
func (s *Snapshot) Versions(kind state.Kind) digest.Sum {
	if kind == state.KindInstance {
		return s.Instances.Versions()
	}
	return s.Tasks.Versions()
}

// Leader returns the name of the replica that reconciles a region; empty if there is none.
func (s *Snapshot) Leader(region state.Region) string {
	candidates := region.Lock() + "/"
	var oldest MetadataKey
	for key, metadata := range s.Metadata {
		if strings.HasPrefix(key, candidates) && (oldest.Revision == 0 || metadata.Revision < oldest.Revision) {
			oldest = metadata
		}
	}
	return oldest.Value
}

// StoredVersion returns the version stored under a key; zero if there is none.
func (s *Snapshot) StoredVersion(key state.Key) state.StoredVersion {
	if key.Kind == state.KindInstance {
		stored := s.Instances.Get(key.String())
		version := storedVersion(stored)
		if stored != nil {
			version.Health = stored.Entity.HealthStatus
		}
		return version
	}
	return storedVersion(s.Tasks.Get(key.String()))
}

func storedVersion[T any](e *Entry[T]) state.StoredVersion {
	if e == nil {
		return state.StoredVersion{}
	}
	return state.StoredVersion{Version: e.Version, Revision: e.Revision}
}

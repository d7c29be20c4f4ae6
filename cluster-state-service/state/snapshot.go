package state

import (
	"encoding/json"
	"strings"
	"time"
)

// Beside the entities, etcd holds a few facts about the service itself under these prefixes.
const (
	// ReconcilePrefix is followed by <account>/<region>; the value is a ReconcileRun.
	ReconcilePrefix = Root + "reconciled/"
	// LockPrefix is that of the election of the replica that compares with ECS.
	LockPrefix = Root + "lock/reconcile/"
)

// ReconcileRun is the last complete comparison with ECS in an account and region.
type ReconcileRun struct {
	StartedAt  time.Time `json:"startedAt"`
	FinishedAt time.Time `json:"finishedAt"`
}

// MetadataKey is the value of one of those keys.
type MetadataKey struct {
	Value      string
	Revision   int64        // etcd's create revision
	Reconciled ReconcileRun // what Value says under ReconcilePrefix
}

// ParseMetadataKey reads a value; one that cannot be read says nothing.
func ParseMetadataKey(key, value string, revision int64) MetadataKey {
	f := MetadataKey{Value: value, Revision: revision}
	if strings.HasPrefix(key, ReconcilePrefix) && json.Unmarshal([]byte(value), &f.Reconciled) != nil {
		f.Reconciled = ReconcileRun{}
	}
	return f
}

// IsMetadataKey tells whether a key of etcd is that of a MetadataKey.
func IsMetadataKey(key string) bool {
	return strings.HasPrefix(key, ReconcilePrefix) || strings.HasPrefix(key, LockPrefix)
}

// Snapshot is the state at one revision of etcd. It never changes.
type Snapshot struct {
	// Revision is etcd's; all changes up to it are in, and none after it.
	Revision  int64
	Tasks     Index[Task]
	Instances Index[Instance]
	Metadata  map[string]MetadataKey // by key
	// Changes counts the keys of Blox's that were written since the service began to watch.
	Changes int64
}

// LastReconcile is the last complete comparison with ECS in the region; zero when none ever was.
func (s *Snapshot) LastReconcile(region string) ReconcileRun {
	var latest ReconcileRun
	for key, fact := range s.Metadata {
		if !strings.HasPrefix(key, ReconcilePrefix) || !strings.HasSuffix(key, "/"+region) {
			continue
		}
		if fact.Reconciled.FinishedAt.After(latest.FinishedAt) {
			latest = fact.Reconciled
		}
	}
	return latest
}

// Leader is the replica that compares with ECS, by the name it gave; empty when there is none.
func (s *Snapshot) Leader() string {
	var first MetadataKey
	for key, fact := range s.Metadata {
		if strings.HasPrefix(key, LockPrefix) && (first.Revision == 0 || fact.Revision < first.Revision) {
			first = fact
		}
	}
	return first.Value
}

// StoredVersion is what is stored under a key, as of the snapshot.
func (s *Snapshot) StoredVersion(key Key) StoredVersion {
	if key.Kind == KindInstance {
		return storedVersion(s.Instances.Get(key.String()))
	}
	return storedVersion(s.Tasks.Get(key.String()))
}

func storedVersion[T any](e *Entry[T]) StoredVersion {
	if e == nil {
		return StoredVersion{}
	}
	return StoredVersion{Version: e.Version, Revision: e.Revision}
}

// Change is one line of a stream.
type Change struct {
	Key      Key
	Revision int64  // etcd's; several changes may share one
	Line     []byte // one JSON value and a newline, shared by all who read it: not to be changed
	Deleted  bool
	// More says that another follows at once, so that this one's line need not be sent by itself.
	More bool
	// Heartbeat changes tell only that all up to Revision has been shown; Line is nil.
	Heartbeat bool
}

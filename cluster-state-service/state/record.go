package state

import (
	"errors"
	"fmt"
	"time"
)

// ErrForeignCluster reports a cluster of another account or region than that of this replica's ECS.
var ErrForeignCluster = errors.New("cluster of another account or region")

// Record is an entity that ingest read and the store is to write.
type Record struct {
	Key     Key
	Version int64 // ECS's detail.version
	// Health is what the event reports if it is about the health of an instance alone; the version is 0 then.
	Health *HealthStatus
	Value  []byte // the event's JSON as received, or the same envelope around the output of an ECS Describe call
}

// Description is ECS's response about some entities.
type Description struct {
	Found   []Record
	Missing []string  // ARNs of the entities that ECS does not know
	At      time.Time // of the response, by ECS's clock
}

// StoredVersion is the version stored under a key. It is zero if the key does not exist.
type StoredVersion struct {
	Version  int64 // detail.version of the stored record
	Revision int64 // etcd's mod revision; 0 if the key does not exist
	Health   HealthStatus
}

// DecodeVersion returns the detail.version of a stored value.
func DecodeVersion(kind Kind, value []byte) (int64, error) {
	switch kind {
	case KindInstance:
		instance, err := DecodeInstance(value)
		return instance.Version, err
	case KindTask:
		task, err := DecodeTask(value)
		return task.Version, err
	}
	return 0, fmt.Errorf("unknown kind %q", kind)
}

package cache

import (
	"github.com/blox/blox/cluster-state-service/state"
	"github.com/blox/blox/internal/broadcast"
)

// maxHistoryBytes bounds the size of the changes in the history, however many they are.
const maxHistoryBytes = 64 << 20

// Change is one line of a stream.
type Change struct {
	Key      state.Key
	Revision int64  // etcd's; several changes may share one
	Line     []byte // one JSON value and a newline, shared by all subscribers: read-only
	Deleted  bool
	// Entity is a *state.TaskSummary or *state.Instance; nil for a deletion. Previous is the entity before the change:
	// nil if Created, or if it is not known.
	Entity, Previous any
	// Created reports that the key did not exist before.
	Created bool
	// Initial marks an entity of the snapshot that a stream begins with. InSync marks a change without Line after the
	// last of them.
	Initial, InSync bool
	// More reports that another change follows at once, so that the writer may send both together.
	More bool
	// Heartbeat marks a change without Line: the subscriber has received every change up to Revision.
	Heartbeat bool
	// Digest is, on a heartbeat, that of all entities of the kind at Revision; empty if it is not known.
	Digest string
	// NotReconciled is, on a heartbeat and on InSync, Reconciliations.NotReconciled at Revision.
	NotReconciled []string
}

// newHistory returns an empty history of the changes after revision. Each load of the cache begins a new one.
func (c *Cache) newHistory(revision int64) *broadcast.History[Change] {
	return broadcast.NewHistory(revision, broadcast.Retention[Change]{
		Items: c.historyLimit, Bytes: maxHistoryBytes, Size: sizeOf,
	})
}

// sizeOf estimates the memory of a change. An entity takes about as much as its line, and so does the one before it.
func sizeOf(change Change) int64 {
	size := int64(len(change.Line))
	if change.Previous != nil {
		size *= 2
	}
	return size
}

// currentHistory returns the history that publish appends to.
func (c *Cache) currentHistory() *broadcast.History[Change] {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.history
}

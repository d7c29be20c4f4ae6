package cache

import (
	"github.com/blox/blox/cluster-state-service/state"
	"github.com/blox/blox/internal/broadcast"
)

// maxHistoryBytes bounds the lines in the history, however many they are.
const maxHistoryBytes = 64 << 20

// Change is one line of a stream.
type Change struct {
	Key      state.Key
	Revision int64  // etcd's; several changes may share one
	Line     []byte // one JSON value and a newline, shared by all subscribers: read-only
	Deleted  bool
	// More reports that another change follows at once, so that the writer may send both together.
	More bool
	// Heartbeat marks a change without Line: the subscriber has received every change up to Revision.
	Heartbeat bool
}

// newHistory returns an empty history of the changes after revision. Each load of the cache begins a new one.
func (c *Cache) newHistory(revision int64) *broadcast.History[Change] {
	return broadcast.NewHistory(revision, broadcast.Retention[Change]{
		Items: c.historyLimit, Bytes: maxHistoryBytes, Size: func(change Change) int64 { return int64(len(change.Line)) },
	})
}

// currentHistory returns the history that publish appends to.
func (c *Cache) currentHistory() *broadcast.History[Change] {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.history
}

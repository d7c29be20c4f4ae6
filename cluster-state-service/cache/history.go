package cache

import (
	"sync"
	"sync/atomic"

	"github.com/blox/blox/cluster-state-service/state"
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

// segment holds the changes of one watch response. Segments form a linked list. A subscriber holds the segment it read
// last and waits for the next, so that all subscribers share one list and the garbage collector frees what nobody holds.
type segment struct {
	number   uint64 // changes since the cache was constructed, up to and including this segment
	bytes    uint64 // total size of their lines
	revision int64  // highest revision of the changes; in an empty segment, the revision at which the history begins
	changes  []Change

	next atomic.Pointer[segment]
	// notified is closed soon after next is set (see notifier), and when the history ends.
	notified chan struct{}
	err      error // why there will be no next segment; set before notified is closed
}

// newSegment returns the successor of last.
func newSegment(last *segment, revision int64, changes []Change) *segment {
	s := &segment{
		number: last.number + uint64(len(changes)), bytes: last.bytes,
		revision: revision, changes: changes, notified: make(chan struct{}),
	}
	for _, c := range changes {
		s.bytes += uint64(len(c.Line))
	}
	return s
}

// isNotified reports whether the waiting subscribers have been woken.
func (s *segment) isNotified() bool {
	select {
	case <-s.notified:
		return true
	default:
		return false
	}
}

// history is the list of retained segments. The cache's lock guards it; subscribers follow segment.next without a lock.
type history struct {
	first    *segment // oldest retained segment; only its position counts, not its changes
	last     *segment
	limit    uint64 // number of changes to retain
	notifier notifier
}

// newHistory returns an empty history that lock guards. It retains limit changes.
func newHistory(limit int, lock sync.Locker, subscribers func() int64) history {
	start := newSegment(&segment{}, 0, nil)
	return history{
		first: start, last: start, limit: uint64(limit),
		notifier: notifier{lock: lock, subscribers: subscribers},
	}
}

// append adds changes as one segment and drops the oldest segments beyond the retention.
//
// The last segment always follows a retained one. Its size therefore never makes a subscriber slow that had read
// everything before it.
func (h *history) append(changes []Change) {
	next := newSegment(h.last, changes[len(changes)-1].Revision, changes)
	h.last.next.Store(next)
	h.notifier.notify(h.last)
	h.last = next
	for second := h.first.next.Load(); second != h.last && h.overRetention(); second = second.next.Load() {
		h.first = second
	}
}

// overRetention reports whether the history holds more than it should.
func (h *history) overRetention() bool {
	return h.last.number-h.first.number > h.limit || h.last.bytes-h.first.bytes > maxHistoryBytes
}

// retains reports whether every segment after s is retained.
func (h *history) retains(s *segment) bool { return s.number >= h.first.number }

// restart ends the history with err and begins a new one at revision.
func (h *history) restart(revision int64, err error) {
	start := newSegment(h.last, revision, nil)
	h.end(err)
	h.first = start
	h.last = start
}

// end wakes all waiting subscribers; they receive err.
func (h *history) end(err error) {
	h.notifier.flush()
	h.last.err = err
	close(h.last.notified)
}

package broadcast

import (
	"errors"
	"sync"
	"sync/atomic"
	"time"
)

// ErrSlow ends a subscription whose unread items are no longer retained.
var ErrSlow = errors.New("the reader is too slow")

// Retention bounds what a History keeps for its readers. The newest Append is always kept.
type Retention[T any] struct {
	Items int           // how many items; 0 for any number
	Bytes uint64        // how many bytes, as Size counts them; 0 for any number
	Size  func(T) int64 // bytes of an item; nil if Bytes is 0
}

// History is an ordered log of items with growing versions. One writer appends at a time; any number of goroutines
// subscribe. It holds its items once, however many readers there are.
type History[T any] struct {
	retention Retention[T]
	oldest    atomic.Uint64 // number of the segment before the oldest readable one

	mu       sync.Mutex
	first    *segment[T] // the segment before the oldest readable one
	last     *segment[T]
	closed   bool
	notifier *notifier
}

// segment holds the items of one Append. Segments are a linked list: each reader holds the segment that it read last,
// so the garbage collector frees a segment once no reader needs it.
type segment[T any] struct {
	version int64  // of its newest item; of the first segment, the version at which the history starts
	number  uint64 // items in the history up to and including this segment
	bytes   uint64 // their size, alike
	items   []T

	next  atomic.Pointer[segment[T]]
	ended atomic.Pointer[error] // why the history was closed; nil while it is open, or if this segment is not the last
}

// NewHistory returns a history that starts after version: its items are all newer.
func NewHistory[T any](version int64, retention Retention[T]) *History[T] {
	start := &segment[T]{version: version}
	h := &History[T]{retention: retention, first: start, last: start}
	h.notifier = newNotifier(&h.mu)
	return h
}

// Append adds items, the newest of which has the version. The history owns the slice from then on.
func (h *History[T]) Append(version int64, items ...T) {
	if len(items) == 0 {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		return
	}
	next := &segment[T]{
		version: version, number: h.last.number + uint64(len(items)), bytes: h.last.bytes, items: items,
	}
	if h.retention.Size != nil {
		for _, item := range items {
			next.bytes += uint64(h.retention.Size(item))
		}
	}
	h.last.next.Store(next)
	h.last = next
	h.notifier.notify(next.number)
	h.trim()
}

// trim forgets the oldest segments. The newest one always stays: a reader that had read everything before is not slow.
func (h *History[T]) trim() {
	for next := h.first.next.Load(); next != h.last && h.overRetention(); next = next.next.Load() {
		h.first = next
	}
	h.oldest.Store(h.first.number)
}

func (h *History[T]) overRetention() bool {
	items, bytes := h.last.number-h.first.number, h.last.bytes-h.first.bytes
	return h.retention.Items > 0 && items > uint64(h.retention.Items) ||
		h.retention.Bytes > 0 && bytes > h.retention.Bytes
}

// Close ends every subscription with err once its reader has read all items. Later calls have no effect.
func (h *History[T]) Close(err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		return
	}
	h.closed = true
	h.last.ended.Store(&err)
	h.notifier.close()
}

// Subscribe returns a subscription to the items that are appended from now on.
func (h *History[T]) Subscribe() *Subscription[T] {
	h.mu.Lock()
	defer h.mu.Unlock()
	return newSubscription(h, h.last)
}

// SubscribeFrom returns a subscription to the retained items and those after them. It reports false if items of the
// version or newer ones may be missing. The first items may be older than the version.
func (h *History[T]) SubscribeFrom(version int64) (*Subscription[T], bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if version <= h.first.version {
		return nil, false
	}
	return newSubscription(h, h.first), true
}

// Subscription reads a History. It belongs to one goroutine.
type Subscription[T any] struct {
	history *History[T]
	group   *group
	at      *segment[T] // the segment read last
	began   time.Time   // when the reader began to process items; zero while it waits
	closed  bool        // under the history's lock
}

// newSubscription returns a subscription. The caller holds the history's lock.
func newSubscription[T any](h *History[T], at *segment[T]) *Subscription[T] {
	return &Subscription[T]{history: h, group: h.notifier.join(), at: at}
}

// Close frees the subscription. It may be called by any goroutine, and more than once.
func (s *Subscription[T]) Close() {
	s.history.mu.Lock()
	defer s.history.mu.Unlock()
	if !s.closed {
		s.closed = true
		s.history.notifier.leave(s.group)
	}
}

// Next returns the items of the next Append without waiting. It reports false if there are none yet. Readers share
// the slice, so they must not change it.
func (s *Subscription[T]) Next() (items []T, ok bool) {
	next := s.at.next.Load()
	if next == nil {
		return nil, false
	}
	s.at = next
	if s.began.IsZero() {
		s.began = time.Now()
	}
	return next.items, true
}

// Ready returns a channel that is closed when Next may return more items, or when the history is closed. The time
// between Next and Ready counts as the reader's work.
func (s *Subscription[T]) Ready() <-chan struct{} {
	if !s.began.IsZero() {
		s.history.notifier.worked(time.Since(s.began))
		s.began = time.Time{}
	}
	return s.group.readyAfter(s.at.number)
}

// Version is the version of the newest item that Next has returned; before the first, the version at which the
// subscription starts.
func (s *Subscription[T]) Version() int64 { return s.at.version }

// Err is why the subscription cannot continue: ErrSlow if unread items are no longer retained, or, after the last
// item, the error of History.Close. Otherwise it is nil.
func (s *Subscription[T]) Err() error {
	if s.at.number < s.history.oldest.Load() {
		return ErrSlow
	}
	if ended := s.at.ended.Load(); ended != nil {
		return *ended
	}
	return nil
}

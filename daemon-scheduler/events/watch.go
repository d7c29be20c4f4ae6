package events

import (
	"context"
	"errors"
	"iter"
	"slices"
	"sync"
	"time"

	"github.com/blox/blox/daemon-scheduler/environment"
	"github.com/blox/blox/internal/broadcast"
)

const (
	maxUnread      = 2000            // changes that a reader may be behind
	catchUpTimeout = 5 * time.Second // for a copy that is behind the position of a reader
)

// errDataReplaced ends the streams of events when etcd was wiped or restored.
var errDataReplaced = errors.New("etcd was wiped or restored from a backup; list the events again")

// ErrPosition means that a stream cannot start at a position: later events were removed, or etcd has none so new.
var ErrPosition = errors.New("the position of events is out of range")

// Change is a change of an event that all readers of Watch share. Without an event it is a heartbeat: the reader has
// all changes up to the position.
type Change struct {
	Event    *environment.Event
	Position Position
	encoded  sync.Once
	line     []byte
}

// Line returns the change as encode encodes it. It calls encode once for all readers, which must not change the line.
func (c *Change) Line(encode func(*Change) []byte) []byte {
	c.encoded.Do(func() { c.line = encode(c) })
	return c.line
}

func newHistory() *broadcast.History[*Change] {
	return broadcast.NewHistory(0, broadcast.Retention[*Change]{Items: maxUnread})
}

// publish passes changes to all streams. Its callers hold the lock.
func (s *Store) publish(changed []environment.Event) {
	if len(changed) > 0 {
		slices.SortFunc(changed, func(a, b environment.Event) int { return PositionOf(a).Compare(PositionOf(b)) })
		s.appended = s.newest
		s.history.Append(s.appended, changesOf(changed)...)
	}
}

func changesOf(events []environment.Event) []*Change {
	list := make([]*Change, 0, len(events))
	for _, e := range events {
		list = append(list, &Change{Event: &e, Position: PositionOf(e)})
	}
	return list
}

// WatchOptions select what Watch returns.
type WatchOptions struct {
	Filter Filter
	// After starts with the changes after this position; nil: with the events since Filter.Since or, if that is zero,
	// from now on.
	After     *Position
	Heartbeat time.Duration // 0: none
}

// Watch returns the changes of events that match the filter, oldest first, then every new one. A merged event is
// returned again, with its id, when it has grown. The changes end when ctx ends or after an error: broadcast.ErrSlow if
// the reader is too far behind. One goroutine may read the sequence, once. Watch returns ErrPosition if it cannot start
// after the position, and environment.ErrStoreUnavailable if etcd has not been read yet.
func (s *Store) Watch(ctx context.Context, o WatchOptions) (iter.Seq2[*Change, error], error) {
	if o.After != nil {
		s.catchUp(ctx, *o.After)
	}
	backlog, subscription, err := s.subscribe(o)
	if err != nil {
		return nil, err
	}
	stop := context.AfterFunc(ctx, subscription.Close) // closes a subscription that is never read, too
	return func(yield func(*Change, error) bool) {
		defer func() { stop(); subscription.Close() }()
		matching := func(c *Change) bool { return !o.Filter.Matches(*c.Event) || yield(c, nil) }
		for _, c := range backlog {
			if ctx.Err() != nil || !matching(c) {
				return
			}
		}
		backlog = nil
		beat := func() (*Change, bool) { return s.heartbeat(subscription) }
		for c, err := range subscription.Follow(ctx, o.Heartbeat, beat) {
			switch {
			case err != nil:
				yield(&Change{}, err)
				return
			case c.Event == nil: // a heartbeat
				if !yield(c, nil) {
					return
				}
			case !matching(c):
				return
			}
		}
	}, nil
}

// catchUp waits until the copy has a position, which another replica has given to the reader. It waits for
// catchUpTimeout at most.
func (s *Store) catchUp(ctx context.Context, p Position) {
	s.mu.Lock()
	subscription := s.history.Subscribe()
	behind := s.synced && s.newest < p.Revision
	s.mu.Unlock()
	defer subscription.Close()
	timeout := time.NewTimer(catchUpTimeout)
	defer timeout.Stop()
	for behind {
		select {
		case <-ctx.Done():
			return
		case <-timeout.C:
			return
		case <-subscription.Ready():
		}
		_, more := subscription.Next()
		s.mu.Lock()
		behind = more && s.newest < p.Revision
		s.mu.Unlock()
	}
}

// subscribe returns the changes before a subscription.
func (s *Store) subscribe(o WatchOptions) ([]*Change, *broadcast.Subscription[*Change], error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.synced {
		return nil, nil, environment.ErrStoreUnavailable
	}
	var backlog []*Change
	switch {
	case o.After != nil:
		for _, c := range o.Filter.classes() {
			if o.After.Revision < s.removed[c] {
				return nil, nil, ErrPosition
			}
		}
		switch ahead := o.After.Revision > s.newest; {
		case ahead && !s.following:
			return nil, nil, environment.ErrStoreUnavailable
		case ahead:
			return nil, nil, ErrPosition
		}
		backlog = changesOf(s.after(*o.After))
	case !o.Filter.Since.IsZero():
		backlog = changesOf(s.after(Position{}))
	}
	return backlog, s.history.Subscribe(), nil
}

// heartbeat returns a heartbeat, unless the reader has not read all changes or some may be missing.
func (s *Store) heartbeat(subscription *broadcast.Subscription[*Change]) (*Change, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return &Change{Position: s.end()}, s.following && subscription.Version() == s.appended
}

package cache

import (
	"context"
	"errors"

	"github.com/blox/blox/cluster-state-service/state"
	"github.com/blox/blox/internal/broadcast"
)

// checkInterval is the number of entities of a snapshot after which a subscription checks whether it can continue.
const checkInterval = 1000

// attachAtSnapshot makes s yield the present state and then every later change.
func (s *subscription) attachAtSnapshot(ctx context.Context) error {
	c := s.cache
	c.mu.Lock() // publish holds it, so the history continues where the snapshot ends
	s.initial = c.snapshot.Load()
	subscription := c.history.Subscribe()
	c.mu.Unlock()
	s.attach(ctx, subscription)
	if s.initial == nil {
		return state.ErrStoreUnavailable
	}
	s.from = s.initial.Revision + 1
	return nil
}

// yieldInitial yields the snapshot, if s begins with one. It reports whether the subscription can continue.
func (s *subscription) yieldInitial(yield func(Change, error) bool) bool {
	snapshot := s.initial
	if snapshot == nil {
		return true
	}
	s.initial = nil // a stream lasts longer than the snapshot should stay in memory
	mark := Change{
		InSync: true, Revision: snapshot.Revision, NotReconciled: snapshot.Reconciliations.NotReconciled,
	}
	if s.kind == state.KindTask {
		return yieldEntries(s, snapshot.Tasks, mark, yield)
	}
	return yieldEntries(s, snapshot.Instances, mark, yield)
}

// yieldEntries yields the entries of an index and then the mark.
func yieldEntries[T any](s *subscription, index Index[T], mark Change, yield func(Change, error) bool) bool {
	count := 0
	for e := range index.Prefix("") {
		key, err := state.ParseKey(e.Key)
		if err != nil {
			continue // the index holds keys of entities only
		}
		if !yield(Change{
			Key: key, Revision: e.Revision, Line: e.Line, Entity: &e.Entity, Created: true, Initial: true, More: true,
		}, nil) {
			return false
		}
		// A client that reads too slowly must not keep an outdated snapshot in memory.
		if count++; count%checkInterval == 0 && s.Err() != nil {
			return s.end(s.Err(), yield)
		}
	}
	return yield(mark, nil)
}

// end yields the error that ended the subscription, unless the service stops. It reports false.
func (s *subscription) end(err error, yield func(Change, error) bool) bool {
	switch {
	case errors.Is(err, errStopped): // a stop of the service ends streams cleanly
	case errors.Is(err, broadcast.ErrSlow):
		s.terminate(reasonSlow, err, yield)
	default:
		s.terminate(reasonInterrupted, err, yield)
	}
	return false
}

package cache

import (
	"context"

	"github.com/blox/blox/cluster-state-service/state"
)

// WaitChange waits for a change of a kind after a revision that the cache has reached, and returns a state that
// contains it. matches selects the changes that count; earlier changes that are no longer known count, too. When ctx
// ends, or etcd's watch is interrupted, WaitChange returns the state as it is then.
func (c *Cache) WaitChange(
	ctx context.Context, kind state.Kind, after int64, matches func(Change) bool,
) (*Snapshot, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	s := &subscription{cache: c, kind: kind}
	if err := s.attachAtSnapshot(ctx); err != nil {
		return nil, err
	}
	if s.initial.ChangedAt(kind) > after {
		return s.initial, nil
	}
	c.metrics.waiting.Inc()
	defer c.metrics.waiting.Dec()
	s.initial = nil // a waiting request must not keep an outdated snapshot in memory
	for s.Err() == nil {
		if s.readBatch() {
			for _, change := range s.batch {
				if matches(change) {
					return c.reached(ctx, change.Revision)
				}
			}
			continue
		}
		select {
		case <-s.Ready():
		case <-ctx.Done():
			return c.reached(ctx, 0)
		}
	}
	return c.reached(ctx, 0)
}

// reached returns the state at the revision, or the latest one if ctx ends before.
func (c *Cache) reached(ctx context.Context, revision int64) (*Snapshot, error) {
	if s, err := c.await(ctx, revision); err == nil {
		return s, nil
	}
	if s := c.Snapshot(); s != nil {
		return s, nil
	}
	return nil, state.ErrStoreUnavailable
}

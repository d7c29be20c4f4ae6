package cache

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/blox/blox/cluster-state-service/state"
)

// Reasons why the cache ends a subscription.
var (
	// ErrSlowSubscriber means that the history has dropped changes that the subscriber has not read.
	ErrSlowSubscriber = errors.New("the reader is too slow")
	errInterrupted    = errors.New("the watch of etcd was interrupted")
	errStopped        = errors.New("the service is stopping")
)

// Values of the label "reason" of blox_css_streams_terminated_total.
const (
	reasonSlow        = "slow"
	reasonInterrupted = "interrupted"
	reasonReplay      = "replay"
)

// maxBatch is the number of changes after which a subscriber stops to collect more from the history.
const maxBatch = 100

// subscription reads the changes of one kind from a revision on, at its own pace. It belongs to one goroutine.
type subscription struct {
	cache *Cache
	kind  state.Kind
	from  int64    // changes below this revision are skipped
	at    *segment // last segment read
	// floor is the revision at which the history began when the subscription did: etcd replays older changes.
	floor int64
	batch []Change
}

// Watch streams the changes of a kind, beginning with those at revision from. From 0 it streams new changes only. An
// error wraps state.ErrVersionOutOfRange if etcd has compacted the revision or has not reached it, or
// state.ErrStoreUnavailable.
//
// The sequence yields every change once, oldest first, and then waits for more. It ends when ctx is cancelled or after it
// has yielded an error. With a positive heartbeat it yields a Heartbeat change once in every such time, after all other
// changes. One goroutine may range over it, once.
func (c *Cache) Watch(
	ctx context.Context, kind state.Kind, from int64, heartbeat time.Duration,
) (iter.Seq2[Change, error], error) {
	s, err := c.subscribe(ctx, kind, from)
	if err != nil {
		return nil, err
	}
	return func(yield func(Change, error) bool) {
		open := c.metrics.subscribers.WithLabelValues(string(kind))
		open.Inc()
		defer open.Dec()
		c.subscribers.Add(1)
		defer c.subscribers.Add(-1)
		if s.replayAll(ctx, yield) {
			s.follow(ctx, heartbeat, yield)
		}
	}, nil
}

func (c *Cache) subscribe(ctx context.Context, kind state.Kind, from int64) (*subscription, error) {
	if from == 0 {
		c.mu.Lock()
		defer c.mu.Unlock()
		return &subscription{cache: c, kind: kind, at: c.history.last}, nil
	}
	limited, cancel := context.WithTimeoutCause(ctx, etcdTimeout, state.ErrStoreUnavailable)
	defer cancel()
	// etcd decides what is in range: another replica may have shown a revision that this one has not reached yet.
	_, err := c.client.Get(limited, state.ReconcilePrefix, clientv3.WithCountOnly(), clientv3.WithRev(from))
	switch {
	case errors.Is(err, rpctypes.ErrCompacted), errors.Is(err, rpctypes.ErrFutureRev):
		return nil, fmt.Errorf("%w: %w", state.ErrVersionOutOfRange, err)
	case err != nil:
		return nil, waitError(ctx, err)
	}
	if _, err := c.await(limited, 1); err != nil { // there is no history before the first load
		return nil, waitError(ctx, err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	first, last := c.history.first, c.history.last
	if from <= first.revision {
		return &subscription{cache: c, kind: kind, from: from, at: last, floor: last.revision}, nil
	}
	return &subscription{cache: c, kind: kind, from: from, at: first}, nil
}

// follow yields the changes of the history until ctx is cancelled, the subscriber stops or the cache ends the stream.
func (s *subscription) follow(ctx context.Context, heartbeat time.Duration, yield func(Change, error) bool) {
	var tick <-chan time.Time
	if heartbeat > 0 {
		ticker := time.NewTicker(heartbeat)
		defer ticker.Stop()
		tick = ticker.C
	}
	for due := false; ; {
		if err := s.checkLag(); err != nil {
			s.terminate(reasonSlow, err, yield)
			return
		}
		reached := s.cacheRevision() // before readBatch: the history already holds every change up to it
		if s.readBatch() {
			if !yieldAll(s.batch, yield) {
				return
			}
			clear(s.batch) // an idle subscriber must not keep the lines in memory
			continue
		}
		if due && !s.at.isNotified() { // after a reload, reached may belong to a history that s.at does not lead to
			due = false
			if !yield(Change{Heartbeat: true, Revision: max(reached, s.at.revision)}, nil) {
				return
			}
		}
		select {
		case <-s.at.notified:
			switch err := s.at.err; {
			case errors.Is(err, errStopped): // a stop of the service ends streams cleanly
				return
			case err != nil:
				s.terminate(reasonInterrupted, err, yield)
				return
			}
		case <-tick: // a heartbeat promises that no change is missing, which only etcd can confirm
			_, err := s.cache.WaitCurrent(ctx)
			due = err == nil
		case <-ctx.Done():
			return
		}
	}
}

// terminate counts the end of the stream and yields its error.
func (s *subscription) terminate(reason string, err error, yield func(Change, error) bool) {
	s.cache.metrics.terminated.WithLabelValues(reason).Inc()
	yield(Change{}, err)
}

func (s *subscription) cacheRevision() int64 {
	if snapshot := s.cache.Snapshot(); snapshot != nil {
		return snapshot.Revision
	}
	return 0
}

// readBatch moves over the available segments and collects the subscriber's changes in s.batch. It stops at the first
// segment that completes the batch. Large batches let a subscriber that lags catch up. It reports whether s.at moved.
func (s *subscription) readBatch() bool {
	start := s.at
	s.batch = s.batch[:0]
	for next := s.at.next.Load(); next != nil && len(s.batch) < maxBatch; next = s.at.next.Load() {
		s.at = next
		for _, change := range next.changes {
			if change.Key.Kind == s.kind && change.Revision >= s.from {
				s.batch = append(s.batch, change)
			}
		}
	}
	return s.at != start
}

// yieldAll reports false if the subscriber has stopped.
func yieldAll(changes []Change, yield func(Change, error) bool) bool {
	for i, change := range changes {
		change.More = i < len(changes)-1
		if !yield(change, nil) {
			return false
		}
	}
	return true
}

// checkLag returns ErrSlowSubscriber if the history has dropped segments that the subscriber has not read.
func (s *subscription) checkLag() error {
	s.cache.mu.Lock()
	defer s.cache.mu.Unlock()
	if !s.cache.history.retains(s.at) {
		return ErrSlowSubscriber
	}
	return nil
}

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
	"github.com/blox/blox/internal/broadcast"
)

// Reasons why the cache ends a subscription, beside broadcast.ErrSlow.
var (
	errInterrupted = errors.New("the watch of etcd was interrupted")
	errStopped     = errors.New("the service is stopping")
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
	*broadcast.Subscription[Change]
	cache *Cache
	kind  state.Kind
	from  int64 // changes below this revision are skipped
	// floor is the revision at which the history began when the subscription did: etcd replays older changes.
	floor int64
	batch []Change
}

// Watch streams the changes of a kind, beginning with those at revision from. From 0 it streams new changes only. An
// error wraps state.ErrVersionOutOfRange if etcd has compacted the revision or has not reached it, or
// state.ErrStoreUnavailable.
//
// The sequence yields every change once, oldest first, and then waits for more. It ends when ctx is cancelled or
// after it has yielded an error. With a positive heartbeat it yields a Heartbeat change once in every such time,
// after all other changes. One goroutine may range over it, once.
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
		defer s.Close()
		if s.replayAll(ctx, yield) {
			s.follow(ctx, heartbeat, yield)
		}
	}, nil
}

// subscribe returns a subscription that ends with ctx.
func (c *Cache) subscribe(ctx context.Context, kind state.Kind, from int64) (*subscription, error) {
	s := &subscription{cache: c, kind: kind, from: from}
	if from > 0 {
		if err := c.checkRange(ctx, from); err != nil {
			return nil, err
		}
		retained, complete := c.currentHistory().SubscribeFrom(from)
		if complete {
			s.attach(ctx, retained)
			return s, nil
		}
	}
	s.attach(ctx, c.currentHistory().Subscribe())
	if from > 0 {
		s.floor = s.Version()
	}
	return s, nil
}

// attach makes s read from. It closes that subscription with ctx, even if no goroutine ever ranges over the sequence.
func (s *subscription) attach(ctx context.Context, from *broadcast.Subscription[Change]) {
	s.Subscription = from
	context.AfterFunc(ctx, from.Close)
}

// checkRange returns an error unless the cache can stream the changes from the revision on. etcd decides whether
// the revision is in range: another replica may have shown a revision that this one has not reached yet.
func (c *Cache) checkRange(ctx context.Context, revision int64) error {
	limited, cancel := context.WithTimeoutCause(ctx, etcdTimeout, state.ErrStoreUnavailable)
	defer cancel()
	_, err := c.client.Get(limited, state.ReconcilePrefix, clientv3.WithCountOnly(), clientv3.WithRev(revision))
	switch {
	case errors.Is(err, rpctypes.ErrCompacted), errors.Is(err, rpctypes.ErrFutureRev):
		return fmt.Errorf("%w: %w", state.ErrVersionOutOfRange, err)
	case err != nil:
		return waitError(ctx, err)
	}
	if _, err := c.await(limited, 1); err != nil { // the history before the first load is incomplete
		return waitError(ctx, err)
	}
	return nil
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
		reached := s.cacheRevision() // before readBatch: the history already holds every change up to it
		// After a reload, reached may belong to a newer history than s reads. Err then reports the end of the old one.
		switch err := s.Err(); {
		case errors.Is(err, errStopped): // a stop of the service ends streams cleanly
			return
		case errors.Is(err, broadcast.ErrSlow):
			s.terminate(reasonSlow, err, yield)
			return
		case err != nil:
			s.terminate(reasonInterrupted, err, yield)
			return
		}
		if s.readBatch() {
			if !yieldAll(s.batch, yield) {
				return
			}
			clear(s.batch) // an idle subscriber must not keep the lines in memory
			continue
		}
		if due {
			due = false
			if !yield(Change{Heartbeat: true, Revision: max(reached, s.Version())}, nil) {
				return
			}
		}
		select {
		case <-s.Ready():
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

// readBatch collects the subscriber's changes from the history in s.batch. It stops after the watch response that
// completes the batch. Large batches let a subscriber that lags catch up. It reports whether there was anything to
// read.
func (s *subscription) readBatch() bool {
	s.batch = s.batch[:0]
	read := false
	for len(s.batch) < maxBatch {
		changes, more := s.Next()
		if !more {
			break
		}
		read = true
		for _, change := range changes {
			if change.Key.Kind == s.kind && change.Revision >= s.from {
				s.batch = append(s.batch, change)
			}
		}
	}
	return read
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

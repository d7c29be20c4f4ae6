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
	// previous makes replayed changes contain the entity before them, as those of the history do.
	previous bool
	initial  *Snapshot // yielded before all changes; nil for none
	// floor is the revision at which the history began when the subscription did: etcd replays older changes.
	floor int64
	batch []Change
}

// WatchOptions are the options of Watch. The zero value streams new changes.
type WatchOptions struct {
	// From is the revision of the first change; 0 starts with new changes.
	From int64
	// Snapshot yields the present entities first, as Initial changes, and then an InSync change. It excludes From.
	Snapshot bool
	// Heartbeat is the interval of Heartbeat changes, which follow all changes before them; 0 for none.
	Heartbeat time.Duration
	// Previous makes sure that every change contains the entity before it, unless etcd has compacted that.
	Previous bool
}

// Watch streams the changes of a kind. An error wraps state.ErrVersionOutOfRange if etcd has compacted the revision
// From or has not reached it, and state.ErrStoreUnavailable otherwise.
//
// The sequence yields every change once, oldest first, and then waits for more. It ends when ctx is cancelled or
// after it has yielded an error. One goroutine may range over it, once.
func (c *Cache) Watch(ctx context.Context, kind state.Kind, o WatchOptions) (iter.Seq2[Change, error], error) {
	s, err := c.subscribe(ctx, kind, o)
	if err != nil {
		return nil, err
	}
	return func(yield func(Change, error) bool) {
		open := c.metrics.subscribers.WithLabelValues(string(kind))
		open.Inc()
		defer open.Dec()
		defer s.Close()
		if s.yieldInitial(yield) && s.replayAll(ctx, yield) {
			s.follow(ctx, o.Heartbeat, yield)
		}
	}, nil
}

// subscribe returns a subscription that ends with ctx.
func (c *Cache) subscribe(ctx context.Context, kind state.Kind, o WatchOptions) (*subscription, error) {
	s := &subscription{cache: c, kind: kind, from: o.From, previous: o.Previous}
	if o.Snapshot {
		return s, s.attachAtSnapshot(ctx)
	}
	if err := c.awaitLoaded(ctx); err != nil { // the load would end the subscription
		return nil, err
	}
	if s.from > 0 {
		if err := c.checkRange(ctx, s.from); err != nil {
			return nil, err
		}
		retained, complete := c.currentHistory().SubscribeFrom(s.from)
		if complete {
			s.attach(ctx, retained)
			return s, nil
		}
	}
	s.attach(ctx, c.currentHistory().Subscribe())
	if s.from > 0 {
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
	return nil
}

// awaitLoaded waits for the first load of the cache. Before it, the history is incomplete.
func (c *Cache) awaitLoaded(ctx context.Context) error {
	limited, cancel := context.WithTimeoutCause(ctx, etcdTimeout, state.ErrStoreUnavailable)
	defer cancel()
	if _, err := c.await(limited, 1); err != nil {
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
		reached := s.cache.Snapshot() // before readBatch: the history already holds every change up to it
		// After a reload, reached may belong to a newer history than s reads. Err then reports the end of the old one.
		if err := s.Err(); err != nil {
			s.end(err, yield)
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
			if !yield(s.heartbeat(reached), nil) {
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

// heartbeat returns the heartbeat of a subscriber that has received every change up to a snapshot's revision.
func (s *subscription) heartbeat(reached *Snapshot) Change {
	beat := Change{Heartbeat: true, Revision: s.Version()}
	if reached != nil {
		beat.Revision = max(beat.Revision, reached.Revision)
		beat.NotReconciled = reached.Reconciliations.NotReconciled
		if reached.Revision == beat.Revision { // the history may be ahead of the snapshot
			beat.Digest = reached.Versions(s.kind).String()
		}
	}
	return beat
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

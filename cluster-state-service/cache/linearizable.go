package cache

import (
	"context"
	"fmt"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/blox/blox/cluster-state-service/state"
	"github.com/blox/blox/internal/backoff"
)

const (
	// etcdTimeout is how long a read waits for etcd before it fails.
	etcdTimeout = 5 * time.Second
	// Delays between two requests for progress.
	minProgressDelay = 10 * time.Millisecond
	maxProgressDelay = 100 * time.Millisecond
)

// WaitCurrent returns the state with every write that finished before the call: reads through it are linearizable. It
// reads etcd's revision, with one small request that concurrent callers share, and waits until the cache has reached
// it. An error wraps state.ErrStoreUnavailable, or is ctx's.
func (c *Cache) WaitCurrent(ctx context.Context) (*Snapshot, error) {
	started := time.Now()
	revision, err := c.revisionReads.next(ctx)
	if err != nil {
		return nil, waitError(ctx, err)
	}
	s := c.snapshot.Load()
	if !c.hasReached(s, revision) {
		remaining := max(etcdTimeout-time.Since(started), time.Second)
		limited, cancel := context.WithTimeoutCause(ctx, remaining, state.ErrStoreUnavailable)
		defer cancel()
		if s, err = c.await(limited, revision); err != nil {
			return nil, waitError(ctx, err)
		}
	}
	c.metrics.waits.Observe(time.Since(started).Seconds())
	return s, nil
}

// read is a read of etcd's revision: every write that finished before startedAt is at the revision or before.
type read struct {
	startedAt time.Time
	revision  int64
}

// Recent is WaitCurrent for readers that accept a state of the past. It does not read from etcd if an earlier read
// shows that the cache contains every write that finished maxStaleness before the call.
func (c *Cache) Recent(ctx context.Context, maxStaleness time.Duration) (*Snapshot, error) {
	if s, at := c.knownCurrent(); s != nil && time.Since(at) <= maxStaleness {
		return s, nil
	}
	return c.WaitCurrent(ctx)
}

// knownCurrent returns the latest state and the time up to which it is known to contain every write; nil if no read
// shows it.
func (c *Cache) knownCurrent() (*Snapshot, time.Time) {
	last := c.lastRead.Load() // before the snapshot, which may be later
	if s := c.snapshot.Load(); last != nil && c.hasReached(s, last.revision) {
		return s, last.startedAt
	}
	return nil, time.Time{}
}

// WaitLoaded waits until the cache has loaded etcd for the first time. An error means that ctx ended.
func (c *Cache) WaitLoaded(ctx context.Context) error {
	_, err := c.await(ctx, 1)
	return err
}

// waitError distinguishes a caller that left from an etcd that does not respond.
func waitError(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return fmt.Errorf("%w: %w", state.ErrStoreUnavailable, err)
}

// readRevision reads etcd's revision, linearizably.
func (c *Cache) readRevision(ctx context.Context) (int64, error) {
	before, started := c.Snapshot(), time.Now()
	response, err := c.client.Get(ctx, state.ReconcilePrefix, clientv3.WithCountOnly())
	if err != nil {
		return 0, fmt.Errorf("read etcd's revision: %w", err)
	}
	c.metrics.reads.Observe(time.Since(started).Seconds())
	revision := response.Header.Revision
	c.revisionReads.latest.Store(revision)
	if before != nil && revision < before.Revision { // etcd was restored from a backup, or replaced
		c.reload()
		return 0, fmt.Errorf("read etcd's revision: it moved back from %d to %d", before.Revision, revision)
	}
	c.lastRead.Store(&read{started, revision})
	return revision, nil
}

// hasReached reports whether s is at revision or later, and of the present data of etcd.
func (c *Cache) hasReached(s *Snapshot, revision int64) bool {
	return s != nil && s.Revision >= revision && s.generation == c.monitor.Generation()
}

// await returns a snapshot at revision or later.
func (c *Cache) await(ctx context.Context, revision int64) (*Snapshot, error) {
	for {
		if s := c.snapshot.Load(); c.hasReached(s, revision) {
			return s, nil
		}
		c.mu.Lock()
		if s := c.snapshot.Load(); c.hasReached(s, revision) {
			c.mu.Unlock()
			return s, nil
		}
		advanced := c.advanced
		c.wanted = max(c.wanted, revision)
		c.mu.Unlock()
		select { // one goroutine requests progress for all waiting callers
		case c.progressWake <- struct{}{}:
		default:
		}
		select {
		case <-advanced:
		case <-ctx.Done():
			return nil, fmt.Errorf("wait for revision %d: %w", revision, context.Cause(ctx))
		}
	}
}

// requestProgress makes etcd announce its revision while a caller waits for one. Other applications may share the etcd,
// and their revisions bring no event. A lagging watch may get no announcement, so the request repeats.
func (c *Cache) requestProgress(ctx context.Context) {
	for {
		select {
		case <-c.progressWake:
		case <-ctx.Done():
			return
		}
		if !c.progress.Ordered() { // an event that is on its way spares the write of a marker
			c.awaitAdvance(ctx, minProgressDelay)
		}
		retry := backoff.New(minProgressDelay, maxProgressDelay)
		for wanted := c.awaited(); wanted > 0 && ctx.Err() == nil; wanted = c.awaited() {
			// The watch delivers the announcement. This call's own error says nothing about it.
			_ = c.progress.Announce(dedicatedStream(ctx), c.watchClient, wanted)
			c.awaitAdvance(ctx, retry.Next())
		}
	}
}

// awaitAdvance waits until the next snapshot is published, but not longer than limit.
func (c *Cache) awaitAdvance(ctx context.Context, limit time.Duration) {
	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case <-c.nextAdvance():
	case <-timer.C:
	case <-ctx.Done():
	}
}

// awaited returns a revision for which a caller may wait; 0 if the cache has reached all of them. Callers that left
// still count, but only until the next revision: etcd's revision was at least as high as wanted.
func (c *Cache) awaited() int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	if s := c.snapshot.Load(); s == nil || s.Revision >= c.wanted {
		return 0
	}
	return c.wanted
}

// nextAdvance returns a channel that is closed when the next snapshot is published.
func (c *Cache) nextAdvance() <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.advanced
}

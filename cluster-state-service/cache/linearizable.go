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
	// Delays between two progress requests.
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

// requestProgress requests progress notifications while a caller waits for a revision. Other applications may share
// the etcd, and their revisions bring no event. etcd ignores progress requests while the watch lags, so the request
// repeats.
func (c *Cache) requestProgress(ctx context.Context) {
	for {
		select {
		case <-c.progressWake:
		case <-ctx.Done():
			return
		}
		for retry := backoff.New(minProgressDelay, maxProgressDelay); c.isAwaited(); {
			// The watch delivers the notification. This call's own error says nothing about it.
			_ = c.watchClient.RequestProgress(dedicatedStream(ctx))
			select {
			case <-c.nextAdvance():
			case <-time.After(retry.Next()):
			case <-ctx.Done():
				return
			}
		}
	}
}

// isAwaited reports whether a caller may wait for a later revision than the cache has. Callers that left still count,
// but only until the next revision: etcd's revision was at least as high as wanted.
func (c *Cache) isAwaited() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.snapshot.Load()
	return s != nil && s.Revision < c.wanted
}

// nextAdvance returns a channel that is closed when the next snapshot is published.
func (c *Cache) nextAdvance() <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.advanced
}

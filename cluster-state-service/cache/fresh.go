package cache

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/blox/blox/cluster-state-service/state"
)

// patience is how long a read waits for etcd before it says so.
const patience = 5 * time.Second

// WaitCurrent returns the state with every write that finished before the call: reads through it are linearizable. It learns
// etcd's revision, by one small read that all who wait at that moment share, and waits until the view has reached it.
// An error wraps state.ErrStoreUnavailable, or is ctx's own.
func (v *Cache) WaitCurrent(ctx context.Context) (*state.Snapshot, error) {
	started := time.Now()
	revision, err := v.reading.next(ctx)
	if err != nil {
		return nil, blame(ctx, err)
	}
	s := v.current.Load()
	if s == nil || s.Revision < revision {
		limited, cancel := context.WithTimeoutCause(ctx, max(patience-time.Since(started), time.Second), state.ErrStoreUnavailable)
		defer cancel()
		if s, err = v.await(limited, revision); err != nil {
			return nil, blame(ctx, err)
		}
	}
	v.metrics.waits.Observe(time.Since(started).Seconds())
	return s, nil
}

// blame tells a client that left from an etcd that does not answer.
func blame(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return fmt.Errorf("%w: %w", state.ErrStoreUnavailable, err)
}

// readRevision asks etcd for its revision, linearizably.
func (v *Cache) readRevision(ctx context.Context) (int64, error) {
	before, began := v.Snapshot(), time.Now()
	answer, err := v.client.Get(ctx, state.ReconcilePrefix, clientv3.WithCountOnly())
	if err != nil {
		return 0, fmt.Errorf("read etcd's revision: %w", err)
	}
	v.metrics.reads.Observe(time.Since(began).Seconds())
	v.reading.told.Store(answer.Header.Revision)
	if before != nil && answer.Header.Revision < before.Revision { // it was restored, or is another one
		v.reload()
		return 0, fmt.Errorf("etcd went back from revision %d to %d", before.Revision, answer.Header.Revision)
	}
	return answer.Header.Revision, nil
}

// await returns a snapshot of the revision or a later one.
func (v *Cache) await(ctx context.Context, revision int64) (*state.Snapshot, error) {
	for {
		if s := v.current.Load(); s != nil && s.Revision >= revision {
			return s, nil
		}
		v.mu.Lock()
		if s := v.current.Load(); s != nil && s.Revision >= revision {
			v.mu.Unlock()
			return s, nil
		}
		advanced := v.advanced
		v.wanted = max(v.wanted, revision)
		v.mu.Unlock()
		select { // whoever asks etcd for progress, asks for all who wait
		case v.wake <- struct{}{}:
		default:
		}
		select {
		case <-advanced:
		case <-ctx.Done():
			return nil, fmt.Errorf("wait for revision %d: %w", revision, context.Cause(ctx))
		}
	}
}

// revisionReads lets all who come while a read is under way share the next one: a read that began earlier might not know
// of a write that finished just before they came.
type revisionReads struct {
	mu     sync.Mutex
	queued *revisionRead
	ended  bool
	wake   chan struct{}
	told   atomic.Int64 // etcd's revision, as the latest read found it
}

type revisionRead struct {
	done     chan struct{}
	revision int64
	err      error
}

// next waits for a read that begins after the call: for as long as the one under way and its own are given, and no longer
// than that one when etcd is silent.
func (q *revisionReads) next(ctx context.Context) (int64, error) {
	q.mu.Lock()
	if q.ended {
		q.mu.Unlock()
		return 0, errStopped
	}
	if q.queued == nil {
		q.queued = &revisionRead{done: make(chan struct{})}
	}
	mine := q.queued
	q.mu.Unlock()
	select {
	case q.wake <- struct{}{}:
	default:
	}
	select {
	case <-mine.done:
		return mine.revision, mine.err
	case <-ctx.Done():
		return 0, context.Cause(ctx)
	}
}

// take leaves the queue to those who come later.
func (q *revisionReads) take() *revisionRead {
	q.mu.Lock()
	defer q.mu.Unlock()
	r := q.queued
	q.queued = nil
	return r
}

// answer tells all who wait for r, which may be nobody.
func (r *revisionRead) answer(revision int64, err error) {
	if r != nil {
		r.revision, r.err = revision, err
		close(r.done)
	}
}

// run reads whenever somebody is queued, until ctx ends. Each read has a deadline of its own, as no single waiter's fits
// the others.
func (q *revisionReads) run(ctx context.Context, read func(context.Context) (int64, error)) {
	defer func() {
		q.mu.Lock()
		q.ended = true
		q.mu.Unlock()
		q.take().answer(0, errStopped)
	}()
	for {
		select {
		case <-q.wake:
		case <-ctx.Done():
			return
		}
		r := q.take()
		if r == nil {
			continue
		}
		limited, cancel := context.WithTimeoutCause(ctx, patience, state.ErrStoreUnavailable)
		revision, err := read(limited)
		silent := limited.Err() != nil
		cancel()
		r.answer(revision, err)
		if silent && err != nil { // nor does it answer those who came meanwhile
			q.take().answer(0, err)
		}
	}
}

package cache

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/blox/blox/cluster-state-service/state"
)

// A read costs etcd and the service as much as several responses. Clients that send the next request after a response
// would share two reads in turn, half of them each. If at least manyCallers share these, the next read therefore waits
// until as many callers have arrived, but not longer than sharingDelay.
const (
	manyCallers  = 4
	sharingDelay = time.Millisecond
)

// revisionReads coalesces reads of etcd's revision. Callers that arrive while a read runs share the next one: the
// running read might miss a write that finished just before they arrived.
type revisionReads struct {
	mu      sync.Mutex
	queued  *revisionRead
	stopped bool
	enough  int           // callers of queued that end the delay; 0 without a delay
	shared  chan struct{} // signals that they have arrived
	wake    chan struct{}
	latest  atomic.Int64 // etcd's revision as of the latest read
}

type revisionRead struct {
	callers  int // they change under the mutex, until run takes the read
	done     chan struct{}
	revision int64
	err      error
}

// next returns the result of a read that begins after the call. If etcd is silent, it fails together with the read that
// was running at the call.
func (q *revisionReads) next(ctx context.Context) (int64, error) {
	q.mu.Lock()
	if q.stopped {
		q.mu.Unlock()
		return 0, errStopped
	}
	if q.queued == nil {
		q.queued = &revisionRead{done: make(chan struct{})}
	}
	read := q.queued
	read.callers++
	if q.enough > 0 && read.callers >= q.enough {
		q.endDelay()
	}
	q.mu.Unlock()
	select {
	case q.wake <- struct{}{}:
	default:
	}
	select {
	case <-read.done:
		return read.revision, read.err
	case <-ctx.Done():
		return 0, context.Cause(ctx)
	}
}

// dequeue returns the queued read, or nil; later callers join a new one.
func (q *revisionReads) dequeue() *revisionRead {
	q.mu.Lock()
	defer q.mu.Unlock()
	read := q.queued
	q.queued = nil
	return read
}

// complete delivers the result to all callers that wait for r. A nil r has none.
func (r *revisionRead) complete(revision int64, err error) {
	if r != nil {
		r.revision, r.err = revision, err
		close(r.done)
	}
}

// run calls read for every queued read until ctx is cancelled. Each call has its own deadline, because the callers'
// deadlines differ.
func (q *revisionReads) run(ctx context.Context, read func(context.Context) (int64, error)) {
	defer func() {
		q.mu.Lock()
		q.stopped = true
		q.mu.Unlock()
		q.dequeue().complete(0, errStopped)
	}()
	for {
		select {
		case <-q.wake:
		case <-ctx.Done():
			return
		}
		current := q.dequeue()
		if current == nil {
			continue
		}
		limited, cancel := context.WithTimeoutCause(ctx, etcdTimeout, state.ErrStoreUnavailable)
		revision, err := read(limited)
		timedOut := limited.Err() != nil
		cancel()
		current.complete(revision, err)
		if timedOut && err != nil { // fail the callers that arrived meanwhile, rather than make them wait as long again
			q.dequeue().complete(0, err)
		}
		q.delay(ctx, current.callers)
	}
}

// delay returns once as many callers share the next read as have shared the last one and wait now, if these are many.
func (q *revisionReads) delay(ctx context.Context, callers int) {
	q.mu.Lock()
	if q.queued != nil {
		callers += q.queued.callers
	}
	if callers < manyCallers {
		q.mu.Unlock()
		return
	}
	q.enough, q.shared = callers, make(chan struct{})
	shared := q.shared
	q.mu.Unlock()
	timer := time.NewTimer(sharingDelay)
	defer timer.Stop()
	select {
	case <-shared:
		return
	case <-timer.C:
	case <-ctx.Done():
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	q.endDelay()
}

// endDelay ends the delay, if there is one. The caller holds the mutex.
func (q *revisionReads) endDelay() {
	if q.enough > 0 {
		q.enough = 0
		close(q.shared)
	}
}

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
	"github.com/blox/blox/internal/etcd"
)

// What ends a subscription before its subscriber does.
var (
	// ErrSlowSubscriber means that more has changed than is kept while the subscriber did not read.
	ErrSlowSubscriber = errors.New("the reader is too slow")
	// errInterrupted ends the subscriptions of a log that could not be continued.
	errInterrupted = errors.New("the watch of etcd was interrupted")
	errStopped     = errors.New("the service is stopping")
)

const (
	replayAtOnce = 1000 // changes are enough for one turn of a replay
	readAtOnce   = 100  // changes are enough for one look at the log
)

// subscription reads the changes of one kind from one revision on, at its own pace. It belongs to one goroutine.
type subscription struct {
	view *Cache
	kind state.Kind
	from int64 // changes below this revision are not shown
	at   *page // the last page read
	// floor is where the log began when the subscription did: what is older comes from etcd.
	floor int64
	batch []state.Change // what the last look at the log found
}

// Watch begins with the changes of a kind at revision from, those included; 0 stands for what happens from now on.
// An error wraps state.ErrVersionOutOfRange when etcd has compacted the revision or has not reached it, or
// state.ErrStoreUnavailable.
//
// The sequence yields every change once, oldest first, then waits for more, until ctx ends or an error is yielded, which is
// the last. With a heartbeat above zero, a Heartbeat change comes once in each such time, when all else has been read.
// It is for one goroutine, once.
func (v *Cache) Watch(ctx context.Context, kind state.Kind, from int64, heartbeat time.Duration) (iter.Seq2[state.Change, error], error) {
	s, err := v.subscribe(ctx, kind, from)
	if err != nil {
		return nil, err
	}
	return func(yield func(state.Change, error) bool) {
		open := v.metrics.subscribers.WithLabelValues(string(kind))
		open.Inc()
		defer open.Dec()
		v.subscribers.Add(1)
		defer v.subscribers.Add(-1)
		for s.from > 0 && s.from <= s.floor {
			changes, err := s.replay(ctx)
			if !yieldAll(changes, yield) {
				return
			}
			if err != nil && ctx.Err() == nil {
				v.metrics.cut.WithLabelValues("replay").Inc()
				yield(state.Change{}, err)
			}
			if err != nil {
				return
			}
			s.catchUp()
		}
		s.read(ctx, heartbeat, yield)
	}, nil
}

func (v *Cache) subscribe(ctx context.Context, kind state.Kind, from int64) (*subscription, error) {
	if from == 0 {
		v.mu.Lock()
		defer v.mu.Unlock()
		return &subscription{view: v, kind: kind, at: v.last}, nil
	}
	limited, cancel := context.WithTimeoutCause(ctx, patience, state.ErrStoreUnavailable)
	defer cancel()
	// Etcd is the judge of what is in range: another replica may have shown a revision that this one has yet to see.
	_, err := v.client.Get(limited, state.ReconcilePrefix, clientv3.WithCountOnly(), clientv3.WithRev(from))
	switch {
	case errors.Is(err, rpctypes.ErrCompacted), errors.Is(err, rpctypes.ErrFutureRev):
		return nil, fmt.Errorf("%w: %w", state.ErrVersionOutOfRange, err)
	case err != nil:
		return nil, blame(ctx, err)
	}
	if _, err := v.await(limited, 1); err != nil { // before the first load there is no log to join
		return nil, blame(ctx, err)
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	if from <= v.first.revision {
		return &subscription{view: v, kind: kind, from: from, at: v.last, floor: v.last.revision}, nil
	}
	return &subscription{view: v, kind: kind, from: from, at: v.first}, nil
}

func (s *subscription) read(ctx context.Context, heartbeat time.Duration, yield func(state.Change, error) bool) {
	var beat <-chan time.Time
	if heartbeat > 0 {
		ticker := time.NewTicker(heartbeat)
		defer ticker.Stop()
		beat = ticker.C
	}
	for due := false; ; {
		if err := s.tooFarBehind(); err != nil {
			s.view.metrics.cut.WithLabelValues("slow").Inc()
			yield(state.Change{}, err)
			return
		}
		// The snapshot first: all its changes are in the log already.
		var reached int64
		if snapshot := s.view.Snapshot(); snapshot != nil {
			reached = snapshot.Revision
		}
		if s.look() {
			if !yieldAll(s.batch, yield) {
				return
			}
			clear(s.batch) // or an idle subscriber would keep it
			continue
		}
		if due && !s.at.isTurned() { // else reached may be of a log that this one does not lead to
			if !yield(state.Change{Heartbeat: true, Revision: max(reached, s.at.revision)}, nil) {
				return
			}
			due = false
		}
		select {
		case <-s.at.turned:
			if err := s.at.ended; err != nil {
				if !errors.Is(err, errStopped) { // the stop is the service's own wish, and ends a stream cleanly
					s.view.metrics.cut.WithLabelValues("interrupted").Inc()
					yield(state.Change{}, err)
				}
				return
			}
		case <-beat: // it says that nothing is missing, which only etcd can know
			_, err := s.view.WaitCurrent(ctx)
			due = err == nil
		case <-ctx.Done():
			return
		}
	}
}

// look moves over the pages that are there, until it has seen enough, and gathers what the subscriber is to be shown: one who
// is behind is shown much at a time, and so catches up. It is false when there was no page.
func (s *subscription) look() bool {
	began := s.at
	s.batch = s.batch[:0]
	for next := s.at.next.Load(); next != nil && len(s.batch) < readAtOnce; next = s.at.next.Load() {
		s.at = next
		for _, c := range next.changes {
			if c.Key.Kind == s.kind && c.Revision >= s.from {
				s.batch = append(s.batch, c)
			}
		}
	}
	return s.at != began
}

// yieldAll is false when the subscriber has had enough.
func yieldAll(changes []state.Change, yield func(state.Change, error) bool) bool {
	for i, c := range changes {
		c.More = i < len(changes)-1
		if !yield(c, nil) {
			return false
		}
	}
	return true
}

// catchUp moves to the end of the log when the log has moved on during a long replay; what lies between is replayed next.
func (s *subscription) catchUp() {
	s.view.mu.Lock()
	defer s.view.mu.Unlock()
	if s.at.number < s.view.first.number {
		s.at, s.floor = s.view.last, s.view.last.revision
	}
}

// tooFarBehind tells whether pages that the subscriber has yet to read are not kept any more.
func (s *subscription) tooFarBehind() error {
	s.view.mu.Lock()
	defer s.view.mu.Unlock()
	if s.at.number < s.view.first.number {
		return ErrSlowSubscriber
	}
	return nil
}

// replay asks etcd for what it still knows of the time before the log, from s.from on: all of it, or the first whole
// revisions of it. The subscriber gets them once etcd is left alone again, so that one who reads slowly keeps neither the
// history in memory nor the others waiting.
func (s *subscription) replay(ctx context.Context) (changes []state.Change, err error) {
	select { // a replay costs etcd a scan of its history: two at a time
	case s.view.replayed <- struct{}{}:
		defer func() { <-s.view.replayed }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	ctx, cancel := context.WithCancel(etcd.OwnStream(clientv3.WithRequireLeader(ctx), fmt.Sprintf("replay-%p-%d", s, s.from)))
	defer cancel()
	watch := s.view.client.Watch(ctx, s.kind.Prefix(), clientv3.WithPrefix(), clientv3.WithRev(s.from),
		clientv3.WithFragment(), clientv3.WithProgressNotify())
	ask := time.NewTicker(20 * time.Millisecond)
	defer ask.Stop()
	for len(changes) < replayAtOnce {
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-ask.C:
			_ = s.view.client.RequestProgress(ctx) // only the watch's answers count
		case answer, open := <-watch:
			if err := answer.Err(); err != nil || !open {
				return changes, fmt.Errorf("replay from revision %d: %w", s.from, errors.Join(err, errInterrupted))
			}
			if answer.IsProgressNotify() && answer.Header.Revision >= s.floor {
				s.from = max(s.from, s.floor+1)
				return changes, nil
			}
			for _, e := range answer.Events {
				if s.from = e.Kv.ModRevision; s.from > s.floor { // the log has it
					return changes, nil
				}
				if change := s.view.change(e); change != nil {
					changes = append(changes, *change)
				}
			}
			if len(answer.Events) > 0 {
				s.from++ // an answer is whole revisions
			}
		}
	}
	return changes, nil
}

// change encodes an event of etcd for a subscriber; nil when it cannot be read.
func (v *Cache) change(e *clientv3.Event) *state.Change {
	scratch := &state.Snapshot{Tasks: state.NewTasks(), Instances: state.NewInstances()}
	if e.Type == clientv3.EventTypeDelete {
		return v.remove(scratch, e.Kv)
	}
	return v.put(scratch, e.Kv)
}

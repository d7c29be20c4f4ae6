package cache

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/blox/blox/cluster-state-service/state"
	"github.com/blox/blox/internal/etcd"
)

const (
	maxReplayBatch         = 1000 // changes after which one replay releases its slot
	replayProgressInterval = 20 * time.Millisecond
)

// replayAll yields the changes older than the history. It reports whether the subscription can follow the history now.
func (s *subscription) replayAll(ctx context.Context, yield func(Change, error) bool) bool {
	for s.from > 0 && s.from <= s.floor {
		changes, err := s.replay(ctx)
		if !yieldAll(changes, yield) {
			return false
		}
		if err != nil {
			if ctx.Err() == nil {
				s.terminate(reasonReplay, err, yield)
			}
			return false
		}
		s.resubscribe(ctx)
	}
	return true
}

// resubscribe joins the current history if s's has ended or dropped changes during a long replay. The next replay fills
// the gap.
func (s *subscription) resubscribe(ctx context.Context) {
	if s.Err() == nil {
		return
	}
	s.Close()
	s.attach(ctx, s.cache.currentHistory().Subscribe())
	s.floor = s.Version()
}

// replay reads changes from s.from up to the floor from etcd: all of them, or the first whole revisions. It returns
// before the subscriber receives them, so that a slow subscriber occupies no replay slot.
func (s *subscription) replay(ctx context.Context) (changes []Change, err error) {
	select {
	case s.cache.replaySlots <- struct{}{}:
		defer func() { <-s.cache.replaySlots }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	stream := fmt.Sprintf("replay-%p-%d", s, s.from)
	ctx, cancel := context.WithCancel(etcd.DedicatedStream(clientv3.WithRequireLeader(ctx), stream))
	defer cancel()
	prefix, announce := s.kind.Prefix(), replayProgressInterval
	if !s.cache.progress.Ordered() { // the watch must receive the marker; its event follows all changes, so one is enough
		prefix, announce = state.Root, time.Duration(math.MaxInt64)
		if err := s.cache.progress.Announce(ctx, s.cache.client, s.floor+1); err != nil {
			return nil, err
		}
	}
	options := []clientv3.OpOption{clientv3.WithPrefix(), clientv3.WithRev(s.from), clientv3.WithFragment()}
	if s.previous {
		options = append(options, clientv3.WithPrevKV())
	}
	watch := s.cache.client.Watch(ctx, prefix, options...)
	order := s.cache.monitor.WatchOrder(s.from - 1)
	progress := time.NewTicker(announce)
	defer progress.Stop()
	for done := false; !done && len(changes) < maxReplayBatch; {
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-progress.C:
			_ = s.cache.client.RequestProgress(ctx) // the watch delivers the notification
		case response, open := <-watch:
			if err := cmp.Or(response.Err(), order.Check(response)); err != nil || !open {
				return changes, fmt.Errorf("replay from revision %d: %w", s.from, errors.Join(err, errInterrupted))
			}
			changes, done = s.collect(response, changes)
		}
	}
	return changes, nil
}

// collect appends a response's changes and moves s.from past them. It reports whether the floor is reached: the history
// holds every later change.
func (s *subscription) collect(response clientv3.WatchResponse, changes []Change) ([]Change, bool) {
	if response.IsProgressNotify() && response.Header.Revision >= s.floor {
		s.from = max(s.from, s.floor+1)
		return changes, true
	}
	for _, e := range response.Events {
		if s.from = e.Kv.ModRevision; s.from > s.floor {
			return changes, true
		}
		if change := s.cache.encodeEvent(e); change != nil && change.Key.Kind == s.kind {
			changes = append(changes, *change)
		}
	}
	if len(response.Events) > 0 {
		s.from++ // a response holds whole revisions
	}
	return changes, false
}

// encodeEvent returns the change of an event without applying it to an index; nil if the record is malformed.
func (c *Cache) encodeEvent(e *clientv3.Event) *Change {
	key, err := state.ParseKey(string(e.Kv.Key))
	if err != nil {
		return nil
	}
	change, entity := c.tasks.change, c.tasks.entity
	if key.Kind == state.KindInstance {
		change, entity = c.instances.change, c.instances.entity
	}
	if e.Type == clientv3.EventTypeDelete {
		var previous any
		if e.PrevKv != nil {
			previous = entity(e.PrevKv)
		}
		return c.deleteChange(key, e.Kv.ModRevision, previous)
	}
	put, err := change(e.Kv, e.PrevKv)
	return c.putChange(key, e.Kv, put, err)
}

package cache

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"time"

	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"
	"golang.org/x/sync/errgroup"

	"github.com/blox/blox/cluster-state-service/state"
	"github.com/blox/blox/internal/etcd"
)

const (
	pageSize    = 500 // keys a request while loading
	pageTimeout = 30 * time.Second
)

// Run keeps the view until ctx ends. When etcd cancels the watch or goes away, the view is loaded anew as soon as it can
// be; until then it stays as it was, and WaitCurrent says that etcd does not answer.
func (v *Cache) Run(ctx context.Context) error {
	parts, ctx := errgroup.WithContext(ctx)
	parts.Go(func() error { v.reading.run(ctx, v.readRevision); return nil })
	parts.Go(func() error { v.ask(ctx); return nil })
	parts.Go(func() error {
		if _, err := v.await(ctx, 1); err == nil {
			v.warnOfOldServers(ctx)
		}
		return nil
	})
	parts.Go(func() error {
		defer v.finish()
		for wait := 50 * time.Millisecond; ctx.Err() == nil; {
			loaded, err := v.follow(ctx)
			if ctx.Err() != nil {
				break
			}
			v.log.WithError(err).WithField("etcd", v.client.Endpoints()).Warn("the view cannot follow etcd and is loaded anew")
			if loaded {
				wait = 50 * time.Millisecond
			}
			select {
			case <-time.After(wait/2 + rand.N(wait/2)):
			case <-ctx.Done():
			}
			wait = min(2*wait, 5*time.Second)
		}
		return nil
	})
	return parts.Wait()
}

// finish ends every subscription.
func (v *Cache) finish() {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.rounds.call()
	v.last.end(errStopped)
}

// follow loads everything and applies what etcd's watch tells, until that fails.
func (v *Cache) follow(ctx context.Context) (loaded bool, err error) {
	ctx, cancel := context.WithCancel(ownStream(ctx))
	defer cancel()
	limited, stop := context.WithTimeout(ctx, patience) // pages take longer: this tells soon that etcd is away
	_, err = v.client.Get(limited, state.ReconcilePrefix, clientv3.WithCountOnly())
	stop()
	if err != nil {
		return false, fmt.Errorf("reach etcd: %w", err)
	}
	s, err := v.load(ctx)
	if err != nil {
		return false, err
	}
	v.restart(s)
	v.metrics.loads.Inc()
	v.mu.Lock()
	v.cut = cancel
	v.mu.Unlock()
	v.log.WithField("revision", s.Revision).WithField("tasks", s.Tasks.Len()).WithField("instances", s.Instances.Len()).
		Info("the view is loaded")

	watch := v.watching.Watch(ctx, state.Root, clientv3.WithPrefix(), clientv3.WithRev(s.Revision+1),
		clientv3.WithFragment(), clientv3.WithProgressNotify())
	for answer := range watch {
		switch err := answer.Err(); {
		case err != nil:
			return true, fmt.Errorf("watch %s: %w", state.Root, err)
		case answer.IsProgressNotify():
			v.reached(answer.Header.Revision)
		case len(answer.Events) > 0:
			v.apply(answer.Events)
		}
	}
	return true, fmt.Errorf("watch %s: ended", state.Root)
}

// ownStream is for the watch and the requests for its progress, which have to be the same to etcd.
func ownStream(ctx context.Context) context.Context {
	return etcd.OwnStream(clientv3.WithRequireLeader(ctx), "view")
}

// load reads all that the view holds, at one revision.
func (v *Cache) load(ctx context.Context) (*state.Snapshot, error) {
	s := &state.Snapshot{Tasks: state.NewTasks(), Instances: state.NewInstances(), Metadata: map[string]state.MetadataKey{}}
	if before := v.Snapshot(); before != nil {
		s.Changes = before.Changes
	}
	for _, prefix := range []string{state.KindTask.Prefix(), state.KindInstance.Prefix(), state.ReconcilePrefix, state.LockPrefix} {
		err := v.loadPrefix(ctx, prefix, &s.Revision, func(kv *mvccpb.KeyValue) { v.put(s, kv) })
		if err != nil {
			return nil, fmt.Errorf("load %s: %w", prefix, err)
		}
	}
	return s, nil
}

// loadPrefix reads page by page at the revision, which the first page of all sets.
func (v *Cache) loadPrefix(ctx context.Context, prefix string, revision *int64, each func(*mvccpb.KeyValue)) error {
	for from, end := prefix, clientv3.GetPrefixRangeEnd(prefix); ; {
		limited, cancel := context.WithTimeout(ctx, pageTimeout)
		answer, err := v.client.Get(limited, from, clientv3.WithRange(end), clientv3.WithLimit(pageSize), clientv3.WithRev(*revision))
		cancel()
		if err != nil {
			return err
		}
		if *revision == 0 {
			*revision = answer.Header.Revision
		}
		for _, kv := range answer.Kvs {
			each(kv)
		}
		if !answer.More {
			return nil
		}
		from = string(answer.Kvs[len(answer.Kvs)-1].Key) + "\x00"
	}
}

// reached notes that etcd has told everything up to the revision.
func (v *Cache) reached(revision int64) {
	if s := v.Snapshot(); revision > s.Revision {
		next := *s
		next.Revision = revision
		v.publish(&next, nil)
	}
}

// apply makes events, which are whole revisions, one new snapshot.
func (v *Cache) apply(events []*clientv3.Event) {
	old := v.Snapshot()
	next := &state.Snapshot{
		Revision: events[len(events)-1].Kv.ModRevision,
		Tasks:    old.Tasks.Clone(), Instances: old.Instances.Clone(),
		Metadata: old.Metadata, Changes: old.Changes + int64(len(events)),
	}
	if slices.ContainsFunc(events, func(e *clientv3.Event) bool { return state.IsMetadataKey(string(e.Kv.Key)) }) {
		next.Metadata = maps.Clone(old.Metadata)
	}
	changes := make([]state.Change, 0, len(events))
	for _, e := range events {
		var change *state.Change
		if e.Type == clientv3.EventTypeDelete {
			change = v.remove(next, e.Kv)
		} else {
			change = v.put(next, e.Kv)
		}
		if change != nil {
			changes = append(changes, *change)
		}
	}
	v.publish(next, changes)
}

// put adds or replaces what is stored under a key. A value that cannot be read is logged and leaves the key out: one odd
// record must not spoil a list.
func (v *Cache) put(s *state.Snapshot, kv *mvccpb.KeyValue) *state.Change {
	name := string(kv.Key)
	if state.IsMetadataKey(name) {
		s.Metadata[name] = state.ParseMetadataKey(name, string(kv.Value), kv.CreateRevision)
		return nil
	}
	key, err := state.ParseKey(name)
	if err != nil {
		return nil // Blox's, but not the view's
	}
	var line []byte
	if key.Kind == state.KindTask {
		line, err = put(s.Tasks, v.tasks, kv)
	} else {
		line, err = put(s.Instances, v.instances, kv)
	}
	if err != nil {
		v.log.WithError(err).WithField("key", name).Error("a stored record cannot be read and is left out")
		return nil
	}
	return &state.Change{Key: key, Revision: kv.ModRevision, Line: line}
}

func put[T any](index state.Index[T], codec Codec[T], kv *mvccpb.KeyValue) (line []byte, err error) {
	entry, line, err := codec.entry(string(kv.Key), kv.Value, kv.ModRevision)
	if err != nil {
		index.Delete(string(kv.Key))
		return nil, err
	}
	index.Put(entry)
	return line, nil
}

func (v *Cache) remove(s *state.Snapshot, kv *mvccpb.KeyValue) *state.Change {
	name := string(kv.Key)
	if state.IsMetadataKey(name) {
		delete(s.Metadata, name)
		return nil
	}
	key, err := state.ParseKey(name)
	if err != nil {
		return nil
	}
	encode := v.tasks.EncodeDeleted
	if key.Kind == state.KindInstance {
		encode = v.instances.EncodeDeleted
		s.Instances.Delete(name)
	} else {
		s.Tasks.Delete(name)
	}
	return &state.Change{Key: key, Revision: kv.ModRevision, Deleted: true, Line: append(encode(key, kv.ModRevision), '\n')}
}

// ask has etcd tell how far it is for as long as somebody waits for a revision that no event of ours brings: others may
// share the etcd. Etcd leaves requests unanswered while the watch is behind, so it is asked again and again.
func (v *Cache) ask(ctx context.Context) {
	for {
		select {
		case <-v.wake:
		case <-ctx.Done():
			return
		}
		for wait := 10 * time.Millisecond; v.awaited(); wait = min(2*wait, 100*time.Millisecond) {
			// Only the watch's own answers count; what this call says is of no interest.
			_ = v.watching.RequestProgress(ownStream(ctx))
			select {
			case <-v.advance():
			case <-time.After(wait):
			case <-ctx.Done():
				return
			}
		}
	}
}

// awaited tells whether somebody may still wait for more than the view has. Who gave up is not known; the asking ends with
// the next revision all the same, since etcd's revision was at least as high as wanted.
func (v *Cache) awaited() bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	s := v.current.Load()
	return s != nil && s.Revision < v.wanted
}

func (v *Cache) advance() <-chan struct{} {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.advanced
}

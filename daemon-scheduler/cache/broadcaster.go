package cache

import (
	"context"
	"errors"
	"iter"
	"sync"
	"time"

	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/blox/blox/daemon-scheduler/environment"
	"github.com/blox/blox/daemon-scheduler/store"
	"github.com/blox/blox/internal/broadcast"
)

// maxUnread is how many changes a reader may be behind.
const maxUnread = 1000

// errDataReplaced ends the streams of environments when etcd was wiped or restored.
var errDataReplaced = errors.New("etcd was wiped or restored from a backup; list the environments again")

// Change is a change that all readers of Watch share.
type Change struct {
	environment.Change
	encoded sync.Once
	line    []byte
}

// Line returns the change as encode encodes it. It calls encode once for all readers, which must not change the line.
func (c *Change) Line(encode func(environment.Change) []byte) []byte {
	c.encoded.Do(func() { c.line = encode(c.Change) })
	return c.line
}

// broadcaster passes every change of an environment's record to the readers of Watch, in etcd's order.
type broadcaster struct {
	mu       sync.Mutex
	history  *broadcast.History[*Change]
	appended int64                  // changes
	sent     map[string]sentVersion // what readers know, by name; nil before the first list
	revision int64                  // of etcd, up to which sent is complete
	current  bool                   // the watch has not been interrupted
}

// sentVersion is the version of an environment that readers know.
type sentVersion struct {
	revision int64
	cluster  string
}

func (b *broadcaster) init() { b.history = newHistory() }

func newHistory() *broadcast.History[*Change] {
	return broadcast.NewHistory(0, broadcast.Retention[*Change]{Items: maxUnread})
}

// drop ends all streams and forgets what their readers knew. New ones start after the next list.
func (b *broadcaster) drop() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.history.Close(errDataReplaced)
	b.history, b.appended, b.sent, b.revision, b.current = newHistory(), 0, nil, 0, false
}

// Watch returns the changes of all environments from now on, oldest first. They end when ctx ends or after an error:
// broadcast.ErrSlow if the reader is too far behind. If heartbeat is above zero, a Heartbeat follows once in each such
// time while the cache follows etcd. One goroutine may read the sequence, once. Watch returns
// environment.ErrStoreUnavailable if etcd has not been read yet.
func (c *Cache) Watch(ctx context.Context, heartbeat time.Duration) (iter.Seq2[*Change, error], error) {
	b := &c.broadcaster
	subscription := b.subscribe()
	if subscription == nil {
		return nil, environment.ErrStoreUnavailable
	}
	stop := context.AfterFunc(ctx, subscription.Close) // closes a subscription that is never read, too
	return func(yield func(*Change, error) bool) {
		defer func() { stop(); subscription.Close() }()
		beat := func() (*Change, bool) { return b.heartbeat(subscription) }
		for change, err := range subscription.Follow(ctx, heartbeat, beat) {
			if err != nil {
				change = &Change{}
			}
			if !yield(change, err) {
				return
			}
		}
	}, nil
}

// subscribe returns nil before the first list.
func (b *broadcaster) subscribe() *broadcast.Subscription[*Change] {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.sent == nil {
		return nil
	}
	return b.history.Subscribe()
}

// heartbeat returns a heartbeat, unless the reader has not read all changes or some may be missing.
func (b *broadcaster) heartbeat(s *broadcast.Subscription[*Change]) (*Change, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	change := &Change{Change: environment.Change{Heartbeat: true, Version: b.revision}}
	return change, b.current && s.Version() == b.appended
}

// replace broadcasts how a list of all environments, made at revision, differs from what readers know.
func (b *broadcaster) replace(kvs []*mvccpb.KeyValue, revision int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.sent == nil {
		b.sent = map[string]sentVersion{}
	}
	listed := map[string]bool{}
	for _, kv := range kvs {
		listed[store.EnvironmentName(string(kv.Key))] = true
		b.put(kv)
	}
	for name := range b.sent {
		if !listed[name] {
			b.remove(name, revision)
		}
	}
	b.revision = max(b.revision, revision)
	b.current = true
}

// apply broadcasts the changes of a watch.
func (b *broadcaster) apply(events []*clientv3.Event) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, event := range events {
		if event.Type == clientv3.EventTypeDelete {
			b.remove(store.EnvironmentName(string(event.Kv.Key)), event.Kv.ModRevision)
		} else {
			b.put(event.Kv)
		}
		b.revision = max(b.revision, event.Kv.ModRevision)
	}
}

// interrupted stops heartbeats until the next list, as changes may be missing.
func (b *broadcaster) interrupted() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.current = false
}

// put broadcasts a record if readers do not know it. It skips malformed records.
func (b *broadcaster) put(kv *mvccpb.KeyValue) {
	e, err := store.DecodeEnvironment(kv)
	if err != nil || b.sent[e.Name].revision >= e.StoredVersion {
		return
	}
	b.sent[e.Name] = sentVersion{e.StoredVersion, e.Cluster}
	b.send(environment.Change{Environment: e, Version: e.StoredVersion})
}

// remove broadcasts a deletion if readers know the environment.
func (b *broadcaster) remove(name string, revision int64) {
	known, ok := b.sent[name]
	if !ok {
		return
	}
	delete(b.sent, name)
	deleted := environment.Environment{Name: name, Cluster: known.cluster}
	b.send(environment.Change{Environment: deleted, Deleted: true, Version: revision})
}

func (b *broadcaster) send(change environment.Change) {
	b.appended++
	b.history.Append(b.appended, &Change{Change: change})
}

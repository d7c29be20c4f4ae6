package store

import (
	"context"
	"errors"
	"iter"
	"sync"
	"time"

	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/blox/blox/daemon-scheduler/environment"
)

// ErrSlow ends the changes of a reader who has let too many wait.
var ErrSlow = errors.New("the reader is too slow")

const mostWaiting = 1000 // changes of one reader

// feed tells readers of every change of an environment's record, in etcd's order.
type feed struct {
	mu      sync.Mutex
	told    map[string]told // what readers know, by name; nil before the first list
	reached int64           // etcd's revision up to which they do
	current bool            // whether the watch lives
	readers map[*reader]bool
}

type told struct {
	revision int64
	cluster  string
}

type reader struct {
	changes chan *environment.Change // shared by readers; closed when this one was too slow
}

// Changes are those of all environments from now on, oldest first, until ctx ends or an error is yielded, which is the last.
// With a heartbeat above zero, a Heartbeat change comes once in each such time while etcd is followed. The sequence is for one
// goroutine, once. An error is environment.ErrStoreUnavailable, when etcd has not been read yet.
func (s *Store) Changes(ctx context.Context, heartbeat time.Duration) (iter.Seq2[environment.Change, error], error) {
	f := &s.feed
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.told == nil {
		return nil, environment.ErrStoreUnavailable
	}
	r := &reader{make(chan *environment.Change, mostWaiting)}
	if f.readers == nil {
		f.readers = map[*reader]bool{}
	}
	f.readers[r] = true
	stop := context.AfterFunc(ctx, func() { f.leave(r) }) // also of a sequence that nobody begins
	return func(yield func(environment.Change, error) bool) {
		defer func() { stop(); f.leave(r) }()
		var beat <-chan time.Time
		if heartbeat > 0 {
			ticker := time.NewTicker(heartbeat)
			defer ticker.Stop()
			beat = ticker.C
		}
		for {
			select {
			case <-ctx.Done():
				return
			case c, ok := <-r.changes:
				if !ok {
					yield(environment.Change{}, ErrSlow)
					return
				}
				if !yield(*c, nil) {
					return
				}
			case <-beat:
				if c, ok := f.heartbeat(r); ok && !yield(c, nil) {
					return
				}
			}
		}
	}, nil
}

// heartbeat is one for the reader; false while changes wait for it, or may have been missed.
func (f *feed) heartbeat(r *reader) (environment.Change, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return environment.Change{Heartbeat: true, Version: f.reached}, f.current && len(r.changes) == 0
}

func (f *feed) leave(r *reader) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.readers, r)
}

// listed tells of what is different in a list, made at that revision, from what readers know.
func (f *feed) listed(list []environment.Environment, unreadable map[string]bool, revision int64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	first, there := f.told == nil, map[string]bool{}
	if first {
		f.told = map[string]told{}
	}
	for _, e := range list {
		there[e.Name] = true
		f.put(e)
	}
	for name := range f.told {
		if !there[name] && !unreadable[name] {
			f.drop(name, revision)
		}
	}
	f.reached, f.current = max(f.reached, revision), true
}

// changed tells of the events of a watch.
func (f *feed) changed(events []*clientv3.Event) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, event := range events {
		if event.Type == clientv3.EventTypeDelete {
			f.drop(nameOf(event.Kv), event.Kv.ModRevision)
		} else if e, err := decodeEnvironment(event.Kv); err == nil {
			f.put(e)
		}
		f.reached = max(f.reached, event.Kv.ModRevision)
	}
}

// interrupted notes that changes may be missed until the next list.
func (f *feed) interrupted() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.current = false
}

func (f *feed) put(e environment.Environment) {
	if f.told[e.Name].revision >= e.StoredVersion {
		return
	}
	f.told[e.Name] = told{e.StoredVersion, e.Cluster}
	f.tell(environment.Change{Environment: e, Version: e.StoredVersion})
}

func (f *feed) drop(name string, revision int64) {
	known, ok := f.told[name]
	if !ok {
		return
	}
	delete(f.told, name)
	f.tell(environment.Change{Environment: environment.Environment{Name: name, Cluster: known.cluster}, Deleted: true, Version: revision})
}

func (f *feed) tell(c environment.Change) {
	for r := range f.readers {
		select {
		case r.changes <- &c:
		default:
			close(r.changes)
			delete(f.readers, r)
		}
	}
}

func nameOf(kv *mvccpb.KeyValue) string { return string(kv.Key)[len(environments):] }

// feedList tells the readers what a list of all environments shows.
func (s *Store) feedList(kvs []*mvccpb.KeyValue, revision int64) {
	list, unreadable := make([]environment.Environment, 0, len(kvs)), map[string]bool{}
	for _, kv := range kvs {
		e, err := decodeEnvironment(kv)
		if err != nil {
			unreadable[nameOf(kv)] = true
			continue
		}
		list = append(list, e)
	}
	s.feed.listed(list, unreadable, revision)
}

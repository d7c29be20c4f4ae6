package events

import (
	"cmp"
	"encoding/json"
	"maps"
	"slices"
	"strconv"

	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/blox/blox/daemon-scheduler/environment"
)

// Replace implements cache.Handler. Streams get what has changed since the copy was current last.
func (s *Store) Replace(kvs []*mvccpb.KeyValue, _ int64) {
	s.mu.Lock()
	defer s.notify()
	defer s.mu.Unlock()
	var changed []environment.Event
	listed := map[string]bool{}
	for _, kv := range kvs {
		listed[batchID(string(kv.Key))] = true
		changed = append(changed, s.put(kv)...)
	}
	for _, id := range slices.Collect(maps.Keys(s.batches)) {
		if !listed[id] {
			s.remove(id)
		}
	}
	if s.synced {
		s.publish(changed)
	}
	s.synced, s.following = true, true
}

// Apply implements cache.Handler.
func (s *Store) Apply(changes []*clientv3.Event) {
	s.mu.Lock()
	defer s.notify()
	defer s.mu.Unlock()
	var changed []environment.Event
	for _, change := range changes {
		if change.Type == clientv3.EventTypeDelete {
			s.remove(batchID(string(change.Kv.Key)))
		} else {
			changed = append(changed, s.put(change.Kv)...)
		}
	}
	s.publish(changed)
}

// Interrupted implements cache.Handler.
func (s *Store) Interrupted() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.following = false
}

// drop forgets all events and ends all streams.
func (s *Store) drop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.history.Close(errDataReplaced)
	s.history = newHistory()
	clear(s.batches)
	s.sorted, s.newest, s.appended, s.removed = nil, 0, 0, [classes]int64{}
	s.synced, s.following = false, false
}

func (s *Store) notify() {
	s.mu.Lock()
	listeners := slices.Clone(s.listeners)
	s.mu.Unlock()
	for _, changed := range listeners {
		changed()
	}
}

// put copies a record and returns its events that are new or have changed. It skips a malformed record.
func (s *Store) put(kv *mvccpb.KeyValue) (changed []environment.Event) {
	id := batchID(string(kv.Key))
	former := s.batches[id]
	if former.revision >= kv.ModRevision {
		return nil
	}
	var next record
	if err := json.Unmarshal(kv.Value, &next); err != nil {
		s.log.WithError(err).WithField("key", string(kv.Key)).Error("malformed events skipped")
		return nil
	}
	for i := range next.Events {
		e := &next.Events[i]
		e.ID, e.Index, e.Revision = id+"-"+strconv.Itoa(i), i, cmp.Or(e.Revision, kv.ModRevision)
		if i >= len(former.events) || former.events[i].Revision < e.Revision {
			changed = append(changed, *e)
		}
	}
	s.batches[id] = batch{events: next.Events, revision: kv.ModRevision, bytes: len(kv.Value)}
	s.newest = max(s.newest, kv.ModRevision)
	c := classOfBatch(id)
	s.removed[c] = max(s.removed[c], next.Removed)
	s.sorted = nil
	return changed
}

func (s *Store) remove(id string) {
	former, known := s.batches[id]
	if !known {
		return
	}
	delete(s.batches, id)
	c := classOfBatch(id)
	s.removed[c] = max(s.removed[c], former.revision)
	s.sorted = nil
}

// all returns all events, newest first. Its callers hold the lock and must not change the result.
func (s *Store) all() []environment.Event {
	if s.sorted != nil {
		return s.sorted
	}
	s.sorted = []environment.Event{}
	for _, b := range s.batches {
		s.sorted = append(s.sorted, b.events...)
	}
	slices.SortFunc(s.sorted, func(a, b environment.Event) int { return cursorOf(b).compare(cursorOf(a)) })
	return s.sorted
}

// List returns all events, newest first: by the time when they happened, which merging does not change. It returns
// environment.ErrStoreUnavailable if etcd has not been read yet. The caller must not change the result.
func (s *Store) List() ([]environment.Event, error) {
	list, _, err := s.snapshot()
	return list, err
}

// snapshot returns all events, as List does, and the position after their changes.
func (s *Store) snapshot() ([]environment.Event, Position, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.synced {
		return nil, Position{}, environment.ErrStoreUnavailable
	}
	return s.all(), s.end(), nil
}

// Newest returns the position after all changes so far.
func (s *Store) Newest() (Position, error) {
	_, position, err := s.snapshot()
	return position, err
}

// end returns the position after all changes that the copy has. Its callers hold the lock.
func (s *Store) end() Position {
	if s.newest == 0 {
		return Position{}
	}
	return endOf(s.newest)
}

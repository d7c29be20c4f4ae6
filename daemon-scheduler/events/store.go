package events

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/sirupsen/logrus"
	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/blox/blox/daemon-scheduler/cache"
	"github.com/blox/blox/daemon-scheduler/environment"
	"github.com/blox/blox/daemon-scheduler/store"
)

const (
	retention           = 14 * 24 * time.Hour // at most: writes of leaseShared share a lease
	leaseShared         = time.Hour           // time in which writes use the same lease
	maxBatches          = 200
	maxRemovalsPerWrite = 50 // batches over maxBatches
)

// Store keeps batches of events in etcd for two weeks and holds a copy of them, which Run keeps up to date.
type Store struct {
	records *store.Store
	lease   *store.SharedLease
	log     logrus.FieldLogger

	mu        sync.Mutex
	synced    bool
	batches   map[string][]environment.Event // by batch id; each oldest first
	listeners []func()
}

// NewStore returns a Store that knows no events until Run.
func NewStore(records *store.Store, log logrus.FieldLogger) *Store {
	return &Store{
		records: records, lease: records.NewSharedLease(retention, leaseShared), log: log,
		batches: map[string][]environment.Event{},
	}
}

// Run follows the events of all replicas until ctx ends, and then returns nil. When etcd was wiped or restored, it
// lists again.
func (s *Store) Run(ctx context.Context) error {
	for ctx.Err() == nil {
		data, cancel := s.records.DataContext(ctx)
		cache.Follow(data, s.records, store.EventPrefix, s, s.log)
		cancel()
	}
	return nil
}

// Subscribe adds a function that is called after the events have changed. It must not block.
func (s *Store) Subscribe(changed func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.listeners = append(s.listeners, changed)
}

// List returns all events, oldest first. It returns environment.ErrStoreUnavailable if etcd has not been read yet.
func (s *Store) List() ([]environment.Event, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.synced {
		return nil, environment.ErrStoreUnavailable
	}
	var list []environment.Event
	for _, batch := range s.batches {
		list = append(list, batch...)
	}
	slices.SortFunc(list, func(a, b environment.Event) int {
		return cmp.Or(a.LastSeenAt.Compare(b.LastSeenAt), cmp.Compare(a.ID, b.ID))
	})
	return list, nil
}

// Query returns the newest events, at most limit, newest first: those of one environment, or of all if name is empty.
func (s *Store) Query(name string, limit int) ([]environment.Event, error) {
	all, err := s.List()
	if err != nil {
		return nil, err
	}
	var found []environment.Event
	for _, event := range slices.Backward(all) {
		if len(found) == limit {
			break
		}
		if name == "" || event.Environment == name {
			found = append(found, event)
		}
	}
	return found, nil
}

// record is a batch as etcd holds it.
type record struct {
	Events []environment.Event
}

// Record stores the events of a batch in place of those it had. Ids grow with time. It removes the oldest batches over
// maxBatches.
func (s *Store) Record(ctx context.Context, id string, events []environment.Event) error {
	value, err := json.Marshal(record{events})
	if err != nil {
		return fmt.Errorf("encode events: %w", err)
	}
	lease, err := s.lease.Current(ctx)
	if err != nil {
		return fmt.Errorf("write events: %w", err)
	}
	var surplus []string
	for _, old := range s.surplus(id) {
		surplus = append(surplus, store.EventPrefix+old)
	}
	if err := s.records.PutWithLease(ctx, store.EventPrefix+id, string(value), lease, surplus); err != nil {
		s.lease.ForgetIfLost(lease, err)
		return fmt.Errorf("write events: %w", err)
	}
	return nil
}

// surplus returns the oldest batches that exceed maxBatches once id is written.
func (s *Store) surplus(id string) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := len(s.batches) - maxBatches
	if _, replaced := s.batches[id]; !replaced {
		n++
	}
	if n <= 0 {
		return nil
	}
	ids := slices.Sorted(maps.Keys(s.batches))
	return ids[:min(n, len(ids), maxRemovalsPerWrite)]
}

// Replace implements cache.Handler.
func (s *Store) Replace(kvs []*mvccpb.KeyValue, _ int64) {
	s.mu.Lock()
	defer s.notify()
	defer s.mu.Unlock()
	clear(s.batches)
	for _, kv := range kvs {
		s.put(kv)
	}
	s.synced = true
}

// Apply implements cache.Handler.
func (s *Store) Apply(changes []*clientv3.Event) {
	s.mu.Lock()
	defer s.notify()
	defer s.mu.Unlock()
	for _, change := range changes {
		if change.Type == clientv3.EventTypeDelete {
			delete(s.batches, batchID(change.Kv))
		} else {
			s.put(change.Kv)
		}
	}
}

// Interrupted implements cache.Handler.
func (s *Store) Interrupted() {}

func (s *Store) notify() {
	s.mu.Lock()
	listeners := slices.Clone(s.listeners)
	s.mu.Unlock()
	for _, changed := range listeners {
		changed()
	}
}

// put skips a malformed batch.
func (s *Store) put(kv *mvccpb.KeyValue) {
	var batch record
	if err := json.Unmarshal(kv.Value, &batch); err != nil {
		s.log.WithError(err).WithField("key", string(kv.Key)).Error("malformed events skipped")
		return
	}
	for i := range batch.Events {
		batch.Events[i].ID = batchID(kv) + "-" + strconv.Itoa(i)
	}
	s.batches[batchID(kv)] = batch.Events
}

func batchID(kv *mvccpb.KeyValue) string {
	return strings.TrimPrefix(string(kv.Key), store.EventPrefix)
}

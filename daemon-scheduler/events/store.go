package events

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/blox/blox/daemon-scheduler/cache"
	"github.com/blox/blox/daemon-scheduler/environment"
	"github.com/blox/blox/daemon-scheduler/store"
	"github.com/blox/blox/internal/broadcast"
)

const (
	retention           = 14 * 24 * time.Hour // at most: writes of leaseShared share a lease
	leaseShared         = time.Hour           // time in which writes use the same lease
	maxRemovalsPerWrite = 50                  // batches over the bounds
	maxWriteAttempts    = 3                   // of a batch whose earlier writes had unknown outcomes
)

// Store keeps batches of events in etcd for two weeks, within the bounds of each class, and holds a copy of them, which
// Run keeps up to date.
type Store struct {
	records *store.Store
	lease   *store.SharedLease
	log     logrus.FieldLogger

	mu        sync.Mutex
	synced    bool
	following bool                        // the watch has not been interrupted
	batches   map[string]batch            // by batch id
	sorted    []environment.Event         // newest first; nil: to be computed
	newest    int64                       // the greatest revision of all changes
	removed   [classes]int64              // the greatest revision of changes whose events were removed
	history   *broadcast.History[*Change] // of changes, for streams
	appended  int64                       // the version of its newest changes
	listeners []func()
}

// batch is the copy of a record.
type batch struct {
	events   []environment.Event // oldest first
	revision int64
	bytes    int
}

// NewStore returns a Store that knows no events until Run.
func NewStore(records *store.Store, log logrus.FieldLogger) *Store {
	return &Store{
		records: records, lease: records.NewSharedLease(retention, leaseShared), log: log,
		batches: map[string]batch{}, history: newHistory(),
	}
}

// Run follows the events of all replicas until ctx ends, and then returns nil. When etcd was wiped or restored, it
// ends all streams and lists again.
func (s *Store) Run(ctx context.Context) error {
	for ctx.Err() == nil {
		data, cancel := s.records.DataContext(ctx)
		cache.Follow(data, s.records, store.EventPrefix, s, s.log)
		cancel()
		s.drop()
	}
	return nil
}

// Subscribe adds a function that is called after the events have changed. It must not block.
func (s *Store) Subscribe(changed func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.listeners = append(s.listeners, changed)
}

// record is a batch as etcd holds it.
type record struct {
	Events []environment.Event
	// Removed is the greatest revision of changes of the class whose events had been removed before the write.
	Removed int64 `json:",omitempty"`
}

// Record implements Writer. It removes the oldest batches over the bounds of the class.
func (s *Store) Record(ctx context.Context, b *Batch) error {
	for range maxWriteAttempts {
		err := s.write(ctx, b)
		if err != nil {
			return fmt.Errorf("write events: %w", err)
		}
		if b.written() {
			return nil
		}
	}
	return errors.New("write events: another writer changes the batch")
}

// write writes the batch if etcd has it as known. If not, an earlier write has succeeded or the batch was removed:
// write updates b, and its caller tries again.
func (s *Store) write(ctx context.Context, b *Batch) error {
	lease, err := s.lease.Current(ctx)
	if err != nil {
		return err
	}
	next := record{Events: b.Events}
	value, err := json.Marshal(next)
	if err != nil {
		return fmt.Errorf("encode events: %w", err)
	}
	surplus, removed := s.surplus(b.ID, len(b.Events), len(value))
	if next.Removed = removed; removed > 0 {
		if value, err = json.Marshal(next); err != nil {
			return fmt.Errorf("encode events: %w", err)
		}
	}
	revision, stored, err := s.records.PutWithLease(ctx, store.Leased{
		Key: store.EventPrefix + b.ID, Value: string(value), Known: b.Revision, Lease: lease, Remove: surplus,
	})
	switch {
	case err != nil:
		s.lease.ForgetIfLost(lease, err)
		return err
	case revision > 0:
		b.setRevision(revision)
	case stored == nil:
		b.Revision = 0
	default:
		var of record
		if err := json.Unmarshal(stored.Value, &of); err != nil {
			return fmt.Errorf("decode events: %w", err)
		}
		b.adopt(of.Events, stored.ModRevision)
	}
	return nil
}

// surplus returns the keys of the oldest batches of id's class that exceed its bounds once id is written with a number
// of events and bytes, and the greatest revision of their changes and of those removed before.
func (s *Store) surplus(id string, events, bytes int) (keys []string, removed int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := classOfBatch(id)
	var ids []string
	for other, b := range s.batches {
		if other != id && classOfBatch(other) == c {
			ids = append(ids, other)
			events += len(b.events)
			bytes += b.bytes
		}
	}
	slices.Sort(ids)
	removed = s.removed[c]
	for _, oldest := range ids[:min(len(ids), maxRemovalsPerWrite)] {
		if events <= classBounds[c].events && bytes <= classBounds[c].bytes {
			break
		}
		b := s.batches[oldest]
		events -= len(b.events)
		bytes -= b.bytes
		keys = append(keys, store.EventPrefix+oldest)
		removed = max(removed, b.revision)
	}
	return keys, removed
}

func batchID(key string) string { return strings.TrimPrefix(key, store.EventPrefix) }

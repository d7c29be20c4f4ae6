package store

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"go.etcd.io/etcd/api/v3/mvccpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/blox/blox/daemon-scheduler/environment"
)

const (
	eventsKept  = time.Hour       // or a little less: they share leases
	leaseShared = 5 * time.Minute // by what is written in that time
	mostBatches = 200
	dropAtOnce  = 50 // batches too many that one write removes
)

// leased is the lease that events are written under.
type leased struct {
	mu sync.Mutex
	id clientv3.LeaseID
	at time.Time
}

// decided is a batch of events, oldest first.
type decided struct {
	Events []environment.Event
}

// Record keeps events under a batch's id, in place of those that it has had; a higher id is a later one. What is an hour
// old, and the oldest batches beyond 200, are forgotten.
func (s *Store) Record(ctx context.Context, id string, list []environment.Event) error {
	value, err := json.Marshal(decided{list})
	if err != nil {
		return fmt.Errorf("encode events: %w", err)
	}
	lease, err := s.lease(ctx)
	if err != nil {
		return err
	}
	ops := []clientv3.Op{clientv3.OpPut(events+id, string(value), clientv3.WithLease(lease))}
	for _, old := range s.surplus(id) {
		ops = append(ops, clientv3.OpDelete(events+old))
	}
	if _, err := s.client.Txn(ctx).Then(ops...).Commit(); err != nil {
		if errors.Is(err, rpctypes.ErrLeaseNotFound) {
			s.lent.mu.Lock()
			s.lent.id = 0
			s.lent.mu.Unlock()
		}
		return fmt.Errorf("write events: %w", silent(err))
	}
	return nil
}

// lease is one that has nearly an hour left.
func (s *Store) lease(ctx context.Context) (clientv3.LeaseID, error) {
	s.lent.mu.Lock()
	defer s.lent.mu.Unlock()
	if s.lent.id != 0 && time.Since(s.lent.at) < leaseShared {
		return s.lent.id, nil
	}
	granted, err := s.client.Grant(ctx, int64(eventsKept/time.Second))
	if err != nil {
		return 0, fmt.Errorf("a lease for events: %w", silent(err))
	}
	s.lent.id, s.lent.at = granted.ID, time.Now()
	return granted.ID, nil
}

// surplus are the oldest batches, of which there are too many with one more.
func (s *Store) surplus(more string) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := len(s.copied.events) + 1 - mostBatches
	if _, there := s.copied.events[more]; there {
		n--
	}
	if n <= 0 {
		return nil
	}
	ids := slices.Sorted(maps.Keys(s.copied.events))
	return ids[:min(n, len(ids), dropAtOnce)]
}

// Events are the copy's, oldest first; environment.ErrStoreSilent while it has not been read.
func (s *Store) Events() ([]environment.Event, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.copied.listed&8 == 0 {
		return nil, environment.ErrStoreUnavailable
	}
	var list []environment.Event
	for _, of := range s.copied.events {
		list = append(list, of.Events...)
	}
	slices.SortFunc(list, func(a, b environment.Event) int {
		return cmp.Or(a.LastSeenAt.Compare(b.LastSeenAt), cmp.Compare(a.ID, b.ID))
	})
	return list, nil
}

func batchOf(kv *mvccpb.KeyValue) string { return strings.TrimPrefix(string(kv.Key), events) }

// putEvents leaves out what cannot be read.
func (s *Store) putEvents(kv *mvccpb.KeyValue) (about string, news bool) {
	var of decided
	if err := json.Unmarshal(kv.Value, &of); err != nil {
		s.log.WithError(err).WithField("key", string(kv.Key)).Error("events unreadable")
		return "", false
	}
	for i := range of.Events {
		of.Events[i].ID = batchOf(kv) + "-" + strconv.Itoa(i)
	}
	s.copied.events[batchOf(kv)] = of
	return "", true
}

// followers are told of every change of the copy, own ones too.
type followers struct {
	mu  sync.RWMutex
	fns []func(name string)
}

func (f *followers) tell(name string) {
	f.mu.RLock()
	defer f.mu.RUnlock()
	for _, fn := range f.fns {
		fn(name)
	}
}

// Follow has fn told of each environment whose record or launches have changed in the copy, and with an empty name when the
// events have; it only notes that. Unlike what Run tells, own changes are among them.
func (s *Store) Follow(fn func(name string)) {
	s.followers.mu.Lock()
	defer s.followers.mu.Unlock()
	s.followers.fns = append(s.followers.fns, fn)
}

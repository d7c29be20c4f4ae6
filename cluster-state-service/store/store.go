// Package store keeps the records of container instances and tasks in etcd.
package store

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/blox/blox/cluster-state-service/state"
)

// What one transaction may carry. etcd's own limits are 128 comparisons, 128 operations and 1.5 MiB.
const (
	maxCompares = 120
	maxRecords  = 100
	maxBytes    = 512 << 10
	opTimeout   = 5 * time.Second
)

// Store writes records. It never puts an older version over a newer one.
type Store struct {
	client        *clientv3.Client
	storedVersion func(state.Key) state.StoredVersion

	outOfSpace atomic.Bool // the last transaction was refused for want of space
	tombstones tombstones
	metrics    metrics
}

// OutOfSpace tells whether etcd has no space left: nothing is recorded until somebody makes some. After a refusal it asks etcd again,
// as no event may come for long that would tell; without an answer it is as it was.
func (s *Store) OutOfSpace(ctx context.Context) bool {
	if !s.outOfSpace.Load() {
		return false
	}
	never := clientv3.Compare(clientv3.CreateRevision(state.ReconcilePrefix), "<", 0) // a full etcd refuses all that could write
	if _, err := s.client.Txn(ctx).If(never).Then(clientv3.OpPut(state.ReconcilePrefix, "")).Commit(); err == nil {
		s.outOfSpace.Store(false)
	}
	return s.outOfSpace.Load()
}

// New makes a Store. known says what is believed to be stored under a key; it may lag behind etcd, since every write is
// guarded by what it says: a belief in too old a version costs a second look, nothing else.
//
// metrics gets what the store tells of itself; nil for nobody.
func New(client *clientv3.Client, storedVersion func(state.Key) state.StoredVersion, metrics prometheus.Registerer) *Store {
	return &Store{client: client, storedVersion: storedVersion, metrics: newMetrics(metrics)}
}

// Record keeps each record whose version is higher than the stored one: all of them, or an error, and then some may be
// kept and Record may be called again with all. Records of entities that reconcile removed are dropped: such an event
// came late. No key may come twice.
func (s *Store) Record(ctx context.Context, records []state.Record) error {
	writes := make([]write, 0, len(records))
	for _, r := range records {
		known := s.storedVersion(r.Key)
		if known.Revision == 0 || known.Version < r.Version {
			writes = append(writes, write{r, r.Key.String(), known.Revision})
		} else {
			s.metrics.records.WithLabelValues(older).Inc()
		}
	}
	for len(writes) > 0 {
		n := transactionSize(writes)
		lost, err := s.commit(ctx, writes[:n])
		if err != nil {
			return fmt.Errorf("record %d of %d: %w", n, len(records), err)
		}
		writes = append(lost, writes[n:]...)
	}
	return nil
}

// write is a record and the mod revision that it is to replace; 0 for none.
type write struct {
	state.Record
	key      string
	revision int64
}

// transactionSize tells how many of writes go into one transaction, at least one.
func transactionSize(writes []write) int {
	compares, bytes := 0, 0
	for n, w := range writes {
		compares++
		if w.revision == 0 {
			compares++ // the tombstone
		}
		bytes += len(w.key) + len(w.Value)
		if n > 0 && (compares > maxCompares || bytes > maxBytes || n >= maxRecords) {
			return n
		}
	}
	return len(writes)
}

// commit tries all writes in one transaction. When one of them lost a race, none is done, and what is still to be written
// is returned, with the revisions that are right now.
func (s *Store) commit(ctx context.Context, writes []write) ([]write, error) {
	ctx, cancel := context.WithTimeout(ctx, opTimeout)
	defer cancel()
	var guards []clientv3.Cmp
	var puts, looks []clientv3.Op
	for _, w := range writes {
		guards = append(guards, clientv3.Compare(clientv3.ModRevision(w.key), "=", w.revision))
		looks = append(looks, clientv3.OpGet(w.key, clientv3.WithKeysOnly()))
		if w.revision == 0 {
			guards = append(guards, clientv3.Compare(clientv3.CreateRevision(w.Key.TombstoneKey()), "=", 0))
		}
		puts = append(puts, clientv3.OpPut(w.key, string(w.Value)))
	}
	started := time.Now()
	answer, err := s.client.Txn(ctx).If(guards...).Then(puts...).Else(looks...).Commit()
	s.metrics.seconds.Observe(time.Since(started).Seconds())
	if full := errors.Is(err, rpctypes.ErrNoSpace); full || err == nil {
		s.outOfSpace.Store(full)
	}
	if err != nil {
		return nil, fmt.Errorf("etcd transaction: %w", err)
	}
	if answer.Succeeded {
		s.metrics.batch.Observe(float64(len(writes)))
		s.metrics.records.WithLabelValues(written).Add(float64(len(writes)))
		return nil, nil
	}
	var again []write
	for i, w := range writes {
		revision := modRevision(answer.Responses[i].GetResponseRange())
		if revision == w.revision && revision != 0 {
			again = append(again, w) // lost to none itself, only to its company
			continue
		}
		current, wanted, err := s.reread(ctx, w)
		if err != nil {
			return nil, err
		}
		if wanted {
			again = append(again, current)
		}
	}
	return again, nil
}

func modRevision(found *etcdserverpb.RangeResponse) int64 {
	if len(found.GetKvs()) == 0 {
		return 0
	}
	return found.Kvs[0].ModRevision
}

// reread reads what is stored in place of what was believed, and tells whether the write is wanted all the same.
func (s *Store) reread(ctx context.Context, w write) (write, bool, error) {
	answer, err := s.client.Txn(ctx).Then(
		clientv3.OpGet(w.key), clientv3.OpGet(w.Key.TombstoneKey(), clientv3.WithKeysOnly())).Commit()
	if err != nil {
		return write{}, false, fmt.Errorf("read %s again: %w", w.key, err)
	}
	stored := answer.Responses[0].GetResponseRange()
	w.revision = modRevision(stored)
	if w.revision == 0 {
		if modRevision(answer.Responses[1].GetResponseRange()) == 0 {
			return w, true, nil
		}
		s.metrics.records.WithLabelValues(removed).Inc()
		return w, false, nil
	}
	version, err := Version(w.Key.Kind, stored.Kvs[0].Value)
	if err == nil && version >= w.Version { // a record that cannot be read is replaced
		s.metrics.records.WithLabelValues(older).Inc()
		return w, false, nil
	}
	return w, true, nil
}

// Version is ECS's version of a stored record.
func Version(kind state.Kind, value []byte) (int64, error) {
	if kind == state.KindInstance {
		instance, err := state.DecodeInstance(value)
		return instance.Version, err
	}
	task, err := state.DecodeTask(value)
	return task.Version, err
}

// Package store keeps the records of container instances and tasks in etcd.
package store

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/blox/blox/cluster-state-service/state"
)

// opTimeout bounds one request to etcd.
const opTimeout = 5 * time.Second

// Store writes records to etcd. It never replaces a newer version of a record with an older one.
type Store struct {
	client        *clientv3.Client
	storedVersion func(state.Key) state.StoredVersion

	outOfSpace atomic.Bool // etcd rejected the last transaction for lack of space
	tombstones tombstones
	metrics    metrics
}

// New returns a Store. storedVersion returns the version that is probably stored under a key. It may lag behind etcd:
// every write is guarded by it, so an outdated version costs a second transaction and nothing else. metrics may be
// nil.
func New(
	client *clientv3.Client, storedVersion func(state.Key) state.StoredVersion, metrics prometheus.Registerer,
) *Store {
	return &Store{client: client, storedVersion: storedVersion, metrics: newMetrics(metrics)}
}

// OutOfSpace reports whether etcd rejects writes for lack of space. After a rejected write it checks etcd at every
// call, because the next event may be far away. If etcd does not respond, the result is the previous one.
func (s *Store) OutOfSpace(ctx context.Context) bool {
	if !s.outOfSpace.Load() {
		return false
	}
	// The guard never holds, so nothing is written. etcd out of space rejects every transaction that contains a put.
	never := clientv3.Compare(clientv3.CreateRevision(state.ReconcilePrefix), "<", 0)
	probe := s.client.Txn(ctx).If(never).Then(clientv3.OpPut(state.ReconcilePrefix, ""))
	if _, err := probe.Commit(); err == nil {
		s.outOfSpace.Store(false)
	}
	return s.outOfSpace.Load()
}

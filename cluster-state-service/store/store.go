// Package store keeps the records of container instances and tasks in etcd.
package store

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/blox/blox/cluster-state-service/state"
	"github.com/blox/blox/internal/etcd"
)

// opTimeout bounds one request to etcd.
const opTimeout = 5 * time.Second

// Store writes records to etcd. It never replaces a newer version of a record with an older one.
type Store struct {
	client        *clientv3.Client
	storedVersion func(state.Key) state.StoredVersion

	monitor *etcd.Monitor // nil: replaced data is not detected
	space   *etcd.Space
	metrics metrics
}

// New returns a Store. storedVersion returns the version that is probably stored under a key. It may lag behind etcd:
// every write is guarded by it, so an outdated version costs a second transaction and nothing else. metrics may be
// nil.
func New(
	client *clientv3.Client, storedVersion func(state.Key) state.StoredVersion, metrics prometheus.Registerer,
) *Store {
	return &Store{
		client: client, storedVersion: storedVersion, space: etcd.NewSpace(client), metrics: newMetrics(metrics),
	}
}

// WithMonitor makes Lead end when the monitor detects that etcd's data was replaced. It must be called before the store
// is used.
func (s *Store) WithMonitor(m *etcd.Monitor) *Store {
	s.monitor = m
	return s
}

// OutOfSpace reports whether etcd rejects writes for lack of space. If etcd does not respond, the result is that of the
// previous call.
func (s *Store) OutOfSpace(ctx context.Context) bool { return s.space.OutOfSpace(ctx) }

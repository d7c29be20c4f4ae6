package store

import (
	"context"
	"errors"
	"sync"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
)

// SharedLease gives records a lease that those written at about the same time share, so that etcd keeps few of them.
type SharedLease struct {
	store       *Store
	ttl, shared time.Duration

	mu      sync.Mutex
	id      clientv3.LeaseID // 0: none
	granted time.Time
}

// NewSharedLease returns a lease that ends ttl after it was granted. A new one is granted for records that are written
// later than the time shared after that, so a record lasts for ttl at most and for ttl without shared at least.
func (s *Store) NewSharedLease(ttl, shared time.Duration) *SharedLease {
	return &SharedLease{store: s, ttl: ttl, shared: shared}
}

// Current returns the lease for a record that is written now.
func (l *SharedLease) Current(ctx context.Context) (clientv3.LeaseID, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.id != 0 && time.Since(l.granted) < l.shared {
		return l.id, nil
	}
	granted := time.Now() // before the request, as the lease begins during it
	id, err := l.store.GrantLease(ctx, int64((l.ttl+time.Second-1)/time.Second))
	if err != nil {
		return 0, err
	}
	l.id, l.granted = id, granted
	return id, nil
}

// ForgetIfLost reports whether a write failed because the lease does not exist. The next Current grants a new one.
func (l *SharedLease) ForgetIfLost(lease clientv3.LeaseID, err error) bool {
	if !errors.Is(err, rpctypes.ErrLeaseNotFound) {
		return false
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.id == lease {
		l.id = 0
	}
	return true
}

package store

import (
	"context"
	"fmt"
	"sync"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
)

const (
	// tombstoneLife is how long a removed entity's late events are turned away. EventBridge tries for 24 hours, and a queue
	// may hold an event for days; ECS itself forgets stopped tasks within hours.
	tombstoneLife = 48 * time.Hour
	// leaseShared is for how long tombstones are given the same lease: one a run of reconcile, not one a task.
	leaseShared = 10 * time.Minute
)

// tombstones holds the lease of the tombstones that are written at present.
type tombstones struct {
	mu      sync.Mutex
	id      clientv3.LeaseID
	granted time.Time
}

// lease returns one with at least tombstoneLife left.
func (t *tombstones) lease(ctx context.Context, client *clientv3.Client) (clientv3.LeaseID, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.id != 0 && time.Since(t.granted) < leaseShared {
		return t.id, nil
	}
	ctx, cancel := context.WithTimeout(ctx, opTimeout)
	defer cancel()
	grant, err := client.Grant(ctx, int64((tombstoneLife+leaseShared)/time.Second))
	if err != nil {
		return 0, fmt.Errorf("lease for tombstones: %w", err)
	}
	t.id, t.granted = grant.ID, time.Now()
	return t.id, nil
}

// dropLease makes the next tombstone ask for a new lease: an etcd that was restored does not know the old one.
func (t *tombstones) dropLease() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.id = 0
}

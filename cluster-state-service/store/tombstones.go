package store

import (
	"context"
	"fmt"
	"sync"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
)

const (
	// tombstoneLife is how long Record drops events of a removed entity. EventBridge retries for 24 hours, and a queue
	// may retain an event for days. ECS itself forgets stopped tasks within hours.
	tombstoneLife = 48 * time.Hour
	// leaseSharing is how long new tombstones share a lease: a reconciliation needs one lease, not one for each task.
	leaseSharing = 10 * time.Minute
)

// tombstones holds the lease of new tombstones.
type tombstones struct {
	mu      sync.Mutex
	id      clientv3.LeaseID
	granted time.Time
}

// lease returns a lease that lasts for at least tombstoneLife.
func (t *tombstones) lease(ctx context.Context, client *clientv3.Client) (clientv3.LeaseID, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.id != 0 && time.Since(t.granted) < leaseSharing {
		return t.id, nil
	}
	ctx, cancel := context.WithTimeout(ctx, opTimeout)
	defer cancel()
	grant, err := client.Grant(ctx, int64((tombstoneLife+leaseSharing)/time.Second))
	if err != nil {
		return 0, fmt.Errorf("grant a lease for tombstones: %w", err)
	}
	t.id = grant.ID
	t.granted = time.Now()
	return t.id, nil
}

// dropLease makes the next tombstone use a new lease, because a restored etcd does not know the old one.
func (t *tombstones) dropLease() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.id = 0
}

package etcd

import (
	"context"
	"errors"
	"sync"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
)

// leaseDeadline is until when a lease lasts whatever happens, as far as etcd's answers have shown.
type leaseDeadline struct {
	mu    sync.Mutex
	until time.Time // monotonic
}

func (p *leaseDeadline) get() time.Time {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.until
}

// renew asks etcd three times in each ttl to keep the lease, until ctx ends, or until etcd has not answered for a ttl or
// does not know the lease: then it is true.
func (p *leaseDeadline) renew(ctx context.Context, client *clientv3.Client, lease clientv3.LeaseID, ttl time.Duration) (lost bool) {
	ticker := time.NewTicker(ttl / 3)
	defer ticker.Stop()
	for {
		end := time.NewTimer(time.Until(p.get()))
		select {
		case <-ctx.Done():
			end.Stop()
			return false
		case <-end.C:
			return true
		case <-ticker.C:
			end.Stop()
		}
		sent := time.Now()
		asking, cancel := context.WithDeadline(ctx, p.get())
		kept, err := client.KeepAliveOnce(asking, lease)
		cancel()
		switch {
		case errors.Is(err, rpctypes.ErrLeaseNotFound):
			return true
		case err == nil:
			p.mu.Lock()
			p.until = sent.Add(min(ttl, time.Duration(kept.TTL)*time.Second))
			p.mu.Unlock()
		}
	}
}

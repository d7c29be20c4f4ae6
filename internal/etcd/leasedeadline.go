package etcd

import (
	"context"
	"errors"
	"sync"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
)

// leaseDeadline is until when a lease lasts at least, as proven by etcd's responses.
type leaseDeadline struct {
	mu    sync.Mutex
	until time.Time // monotonic
}

func (d *leaseDeadline) get() time.Time {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.until
}

// renew requests etcd to keep the lease three times in each ttl, until ctx ends. It reports true if the lease is lost:
// etcd does not know it, or has not confirmed it for a whole ttl.
func (d *leaseDeadline) renew(
	ctx context.Context, client *clientv3.Client, lease clientv3.LeaseID, ttl time.Duration,
) (lost bool) {
	ticker := time.NewTicker(ttl / 3)
	defer ticker.Stop()
	for {
		expired := time.NewTimer(time.Until(d.get()))
		select {
		case <-ctx.Done():
			expired.Stop()
			return false
		case <-expired.C:
			return true
		case <-ticker.C:
			expired.Stop()
		}
		sent := time.Now()
		renewing, cancel := context.WithDeadline(ctx, d.get())
		kept, err := client.KeepAliveOnce(renewing, lease)
		cancel()
		switch {
		case errors.Is(err, rpctypes.ErrLeaseNotFound):
			return true
		case err == nil:
			d.mu.Lock()
			d.until = sent.Add(min(ttl, time.Duration(kept.TTL)*time.Second))
			d.mu.Unlock()
		}
	}
}

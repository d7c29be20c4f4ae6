package etcd

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/client/v3/concurrency"
)

// ErrLeaseLost is why a context of Leased or Lead ended when etcd has not heard of this process for a lease's time.
var ErrLeaseLost = errors.New("the lease is lost")

const (
	grantTimeout  = 5 * time.Second
	revokeTimeout = time.Second
)

// WithLease works with a lease of ttl, whole seconds, that is kept alive meanwhile and given back afterwards, and with it whatever
// hangs on it. The context of work ends when the lease is lost. Leased returns what work did, or why there is no lease.
func WithLease(ctx context.Context, client *clientv3.Client, ttl time.Duration, work func(context.Context, *concurrency.Session) error) error {
	return withLease(ctx, client, ttl, func(ctx context.Context, session *concurrency.Session, _ *leaseDeadline) error {
		return work(ctx, session)
	})
}

func withLease(ctx context.Context, client *clientv3.Client, ttl time.Duration, work func(context.Context, *concurrency.Session, *leaseDeadline) error) error {
	granting, cancel := context.WithTimeout(ctx, grantTimeout)
	deadline := &leaseDeadline{until: time.Now().Add(ttl)}
	lease, err := client.Grant(granting, int64(ttl/time.Second))
	cancel()
	if err != nil {
		return fmt.Errorf("lease: %w", err)
	}
	alive, end := context.WithCancel(context.WithoutCancel(ctx)) // until it is given back below
	defer end()
	session, err := concurrency.NewSession(client, concurrency.WithLease(lease.ID), concurrency.WithContext(alive))
	if err != nil {
		return fmt.Errorf("keep the lease: %w", err)
	}
	defer revoke(client, session)

	leased, lost := context.WithCancelCause(ctx)
	var watching sync.WaitGroup
	watching.Go(func() {
		select {
		case <-session.Done():
			lost(ErrLeaseLost)
		case <-leased.Done():
		}
	})
	watching.Go(func() {
		if deadline.renew(leased, client, lease.ID, ttl) {
			lost(ErrLeaseLost)
		}
	})
	defer func() { lost(nil); watching.Wait() }()
	err = work(leased, session, deadline)
	if cause := context.Cause(leased); err != nil && errors.Is(cause, ErrLeaseLost) {
		return fmt.Errorf("%w: %w", cause, err)
	}
	return err
}

// revoke ends the lease, so that the next one need not wait for it to expire; if that fails, it does expire.
func revoke(client *clientv3.Client, session *concurrency.Session) {
	session.Orphan()
	ctx, cancel := context.WithTimeout(context.Background(), revokeTimeout)
	defer cancel()
	_, _ = client.Revoke(ctx, session.Lease())
}

// Leadership is the time for which a process leads.
type Leadership struct {
	Key      string // held in etcd
	Revision int64  // the key's create revision; writes are guarded by both, as a lease alone fences nothing
	// Until is how long the lease lasts in any case, by the monotonic clock of this machine: etcd has answered a request
	// that was sent a lease's time before. It moves on while etcd answers.
	Until func() time.Time
}

// Campaign waits until this process, called name, wins the election whose keys begin with prefix, and then works, with a
// context that ends when the lease of ttl is lost. When work returns the next one may lead at once.
func Campaign(ctx context.Context, client *clientv3.Client, prefix, name string, ttl time.Duration, work func(context.Context, Leadership) error) error {
	return withLease(ctx, client, ttl, func(ctx context.Context, session *concurrency.Session, proven *leaseDeadline) error {
		election := concurrency.NewElection(session, prefix)
		won := make(chan error, 1)
		// At its context's end it resigns, for which it takes all the time in the world; closing the client ends that.
		go func() { won <- election.Campaign(ctx, name) }()
		var err error
		select {
		case err = <-won:
		case <-ctx.Done():
			err = ctx.Err()
		}
		if err != nil {
			return fmt.Errorf("election %s: %w", prefix, cmp.Or(context.Cause(ctx), err))
		}
		return work(ctx, Leadership{election.Key(), election.Rev(), proven.get})
	})
}

// ForceLeadership leads at once, whoever led before: their keys are gone, and so are they. It is for a process that has no others
// beside it, which need not wait for the lease of the one that it follows.
func ForceLeadership(ctx context.Context, client *clientv3.Client, prefix, name string, ttl time.Duration, work func(context.Context, Leadership) error) error {
	return withLease(ctx, client, ttl, func(ctx context.Context, session *concurrency.Session, proven *leaseDeadline) error {
		key := fmt.Sprintf("%s/%x", prefix, session.Lease())
		seizing, cancel := context.WithTimeout(ctx, grantTimeout)
		defer cancel()
		put, err := client.Put(seizing, key, name, clientv3.WithLease(session.Lease()))
		if err != nil {
			return fmt.Errorf("election %s: %w", prefix, err)
		}
		_, err = client.Txn(seizing).Then(
			clientv3.OpDelete(prefix+"/", clientv3.WithRange(key)),
			clientv3.OpDelete(key+"\x00", clientv3.WithRange(clientv3.GetPrefixRangeEnd(prefix+"/"))),
		).Commit()
		if err != nil {
			return fmt.Errorf("election %s: %w", prefix, err)
		}
		return work(ctx, Leadership{key, put.Header.Revision, proven.get})
	})
}

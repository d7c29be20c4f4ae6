package etcd

import (
	"cmp"
	"context"
	"errors"
	"fmt"
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

// Leased works with a lease of ttl, whole seconds, that is kept alive meanwhile and given back afterwards, and with it whatever
// hangs on it. The context of work ends when the lease is lost. Leased returns what work did, or why there is no lease.
func Leased(ctx context.Context, client *clientv3.Client, ttl time.Duration, work func(context.Context, *concurrency.Session) error) error {
	granting, cancel := context.WithTimeout(ctx, grantTimeout)
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
	defer giveBack(client, session)

	leased, lost := context.WithCancelCause(ctx)
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		select {
		case <-session.Done():
			lost(ErrLeaseLost)
		case <-leased.Done():
		}
	}()
	defer func() { lost(nil); <-watched }()
	err = work(leased, session)
	if cause := context.Cause(leased); err != nil && errors.Is(cause, ErrLeaseLost) {
		return fmt.Errorf("%w: %w", cause, err)
	}
	return err
}

// giveBack ends the lease, so that the next one need not wait for it to expire; if that fails, it does expire.
func giveBack(client *clientv3.Client, session *concurrency.Session) {
	session.Orphan()
	ctx, cancel := context.WithTimeout(context.Background(), revokeTimeout)
	defer cancel()
	_, _ = client.Revoke(ctx, session.Lease())
}

// Lead waits until this process, called name, wins the election whose keys begin with prefix, and then works: with a
// context that ends when the lease of ttl is lost, and with the key that it holds and that key's create revision, by which
// it guards its writes, as a lease alone fences nothing. When work returns the next one may lead at once.
func Lead(ctx context.Context, client *clientv3.Client, prefix, name string, ttl time.Duration,
	work func(ctx context.Context, key string, revision int64) error,
) error {
	return Leased(ctx, client, ttl, func(ctx context.Context, session *concurrency.Session) error {
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
		return work(ctx, election.Key(), election.Rev())
	})
}

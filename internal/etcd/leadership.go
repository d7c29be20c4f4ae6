package etcd

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/client/v3/concurrency"
)

// ErrLeaseLost is why a context of WithLease, Campaign or ForceLeadership ended: the lease expired, or etcd has not
// confirmed it for as long as it lasts.
var ErrLeaseLost = errors.New("the lease is lost")

const (
	grantTimeout  = 5 * time.Second
	revokeTimeout = time.Second
)

// WithLease calls work with a lease of ttl, whole seconds. It keeps the lease alive while work runs, and then revokes
// it together with all keys attached to it. The context of work ends when the lease is lost. WithLease returns the
// error of work, or why it has no lease.
func WithLease(
	ctx context.Context, client *clientv3.Client, ttl time.Duration,
	work func(context.Context, *concurrency.Session) error,
) error {
	return withLease(ctx, client, ttl, func(ctx context.Context, session *concurrency.Session, _ *leaseDeadline) error {
		return work(ctx, session)
	})
}

func withLease(
	ctx context.Context, client *clientv3.Client, ttl time.Duration,
	work func(context.Context, *concurrency.Session, *leaseDeadline) error,
) error {
	granting, cancel := context.WithTimeout(ctx, grantTimeout)
	deadline := &leaseDeadline{until: time.Now().Add(ttl)}
	lease, err := client.Grant(granting, int64(ttl/time.Second))
	cancel()
	if err != nil {
		return fmt.Errorf("grant lease: %w", err)
	}
	alive, end := context.WithCancel(context.WithoutCancel(ctx)) // until revoke below
	defer end()
	session, err := concurrency.NewSession(client, concurrency.WithLease(lease.ID), concurrency.WithContext(alive))
	if err != nil {
		return fmt.Errorf("keep lease alive: %w", err)
	}
	defer revoke(client, session) //nolint:contextcheck // the lease is revoked after ctx has ended

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

// revoke ends the lease, so that the next leader need not wait for it to expire. If that fails, the lease expires.
func revoke(client *clientv3.Client, session *concurrency.Session) {
	session.Orphan()
	ctx, cancel := context.WithTimeout(context.Background(), revokeTimeout)
	defer cancel()
	_, _ = client.Revoke(ctx, session.Lease())
}

// Leadership is one term of a leader.
type Leadership struct {
	Key      string // the leader's key in etcd
	Revision int64  // the key's create revision; key and revision guard writes, as a lease alone is no fencing token
	// Until is how long the lease lasts at least, by the monotonic clock of this machine. It grows while etcd confirms
	// the lease: each confirmed request extends it to one lease time after the request was sent.
	Until func() time.Time
}

// Campaign waits until this process, called name, wins the election whose keys begin with prefix, and then calls work.
// The context of work ends when the lease of ttl is lost. When work returns, another process may lead at once.
func Campaign(
	ctx context.Context, client *clientv3.Client, prefix, name string, ttl time.Duration,
	work func(context.Context, Leadership) error,
) error {
	return withLease(ctx, client, ttl, func(
		ctx context.Context, session *concurrency.Session, deadline *leaseDeadline,
	) error {
		election := concurrency.NewElection(session, prefix)
		won := make(chan error, 1)
		// When its context ends, it resigns without a timeout. Closing the client ends that.
		go func() { won <- campaign(ctx, election, name) }()
		var err error
		select {
		case err = <-won:
		case <-ctx.Done():
			err = ctx.Err()
		}
		if err != nil {
			return fmt.Errorf("election %s: %w", prefix, cmp.Or(context.Cause(ctx), err))
		}
		return work(ctx, Leadership{election.Key(), election.Rev(), deadline.get})
	})
}

// campaign waits until the election is won. A candidate waits for the deletion of its predecessor's key with a watch.
// When etcd restarts, the watch resumes at its first revision, which may be compacted by then. The candidate keeps its
// place in the election and watches again.
func campaign(ctx context.Context, election *concurrency.Election, name string) error {
	for {
		if err := election.Campaign(ctx, name); !errors.Is(err, rpctypes.ErrCompacted) {
			return err
		}
	}
}

// ForceLeadership leads at once and deletes the keys of all other leaders and candidates. It is for a process without
// replicas, which need not wait for its predecessor's lease to expire.
func ForceLeadership(
	ctx context.Context, client *clientv3.Client, prefix, name string, ttl time.Duration,
	work func(context.Context, Leadership) error,
) error {
	return withLease(ctx, client, ttl, func(
		ctx context.Context, session *concurrency.Session, deadline *leaseDeadline,
	) error {
		key := fmt.Sprintf("%s/%x", prefix, session.Lease())
		writing, cancel := context.WithTimeout(ctx, grantTimeout)
		defer cancel()
		put, err := client.Put(writing, key, name, clientv3.WithLease(session.Lease()))
		if err != nil {
			return fmt.Errorf("election %s: %w", prefix, err)
		}
		_, err = client.Txn(writing).Then(
			clientv3.OpDelete(prefix+"/", clientv3.WithRange(key)),
			clientv3.OpDelete(key+"\x00", clientv3.WithRange(clientv3.GetPrefixRangeEnd(prefix+"/"))),
		).Commit()
		if err != nil {
			return fmt.Errorf("election %s: %w", prefix, err)
		}
		return work(ctx, Leadership{key, put.Header.Revision, deadline.get})
	})
}

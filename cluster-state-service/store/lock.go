package store

import (
	"cmp"
	"context"
	"fmt"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/client/v3/concurrency"

	"github.com/blox/blox/cluster-state-service/state"
)

// lockLease is how long, in seconds, a replica that died keeps the others waiting.
const lockLease = 15

// Lead waits until this replica, called name, holds the reconcile lock, and then works. The context of work ends when the
// lock is lost; what work has in hand by then is refused by its guard. Lead returns what work does, or etcd's error.
func (s *Store) Lead(ctx context.Context, name string, work func(context.Context, state.Holder) error) error {
	limited, stop := context.WithTimeout(ctx, opTimeout)
	grant, err := s.client.Grant(limited, lockLease)
	stop()
	if err != nil {
		return fmt.Errorf("lease for the reconcile lock: %w", err)
	}
	session, err := concurrency.NewSession(s.client, concurrency.WithLease(grant.ID), concurrency.WithContext(ctx))
	if err != nil {
		return fmt.Errorf("keep the lease of the reconcile lock: %w", err)
	}
	defer release(s.client, session)
	election := concurrency.NewElection(session, state.LockPrefix[:len(state.LockPrefix)-1])
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	go func() { // ends with work: Lead's cancel
		select {
		case <-session.Done():
			cancel(state.ErrLockLost)
		case <-ctx.Done():
		}
	}()
	if err := election.Campaign(ctx, name); err != nil {
		return fmt.Errorf("wait for the reconcile lock: %w", cmp.Or(context.Cause(ctx), err))
	}
	err = work(ctx, state.Holder{Key: election.Key(), Revision: election.Rev()})
	if cause := context.Cause(ctx); err != nil && cause != nil {
		return fmt.Errorf("%w: %w", cause, err)
	}
	return err
}

// release gives the lock to the next at once, also when the service is stopping.
func release(client *clientv3.Client, session *concurrency.Session) {
	session.Orphan()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(client.Ctx()), time.Second)
	defer cancel()
	_, _ = client.Revoke(ctx, session.Lease()) // else the lease ends by itself
}

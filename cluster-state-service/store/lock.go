package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.etcd.io/etcd/client/v3/concurrency"

	"github.com/blox/blox/cluster-state-service/state"
	"github.com/blox/blox/internal/etcd"
)

// lockLease is how long the other replicas wait for the lock of a replica that died.
const lockLease = 15 * time.Second

// Lead waits until this replica, called name, wins the election lock, then calls work and returns its result. The
// context of work ends when the lock is lost; etcd rejects writes that are guarded by the fencing token from then on.
// When etcd was wiped or restored, the context ends too, and the error wraps etcd.ErrDataReplaced.
func (s *Store) Lead(
	ctx context.Context, lock, name string, work func(context.Context, state.FencingToken) error,
) error {
	ctx, cancel := s.monitor.Context(ctx)
	defer cancel()
	err := etcd.Campaign(ctx, s.client, lock, name, lockLease,
		func(ctx context.Context, leadership etcd.Leadership) error {
			return work(ctx, state.FencingToken{Key: leadership.Key, Revision: leadership.Revision})
		})
	if cause := context.Cause(ctx); errors.Is(cause, etcd.ErrDataReplaced) {
		return errors.Join(cause, err)
	}
	return err
}

// withLease calls work with a lease. Errors begin with operation and, if the lease is lost, wrap lost.
func (s *Store) withLease(
	ctx context.Context, operation string, lost error, work func(context.Context, *concurrency.Session) error,
) error {
	err := etcd.WithLease(ctx, s.client, lockLease, work)
	switch {
	case err == nil:
		return nil
	case errors.Is(err, etcd.ErrLeaseLost):
		return fmt.Errorf("%s: %w: %w", operation, lost, err)
	}
	return fmt.Errorf("%s: %w", operation, err)
}

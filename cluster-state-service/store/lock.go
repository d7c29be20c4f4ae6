package store

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"go.etcd.io/etcd/client/v3/concurrency"

	"github.com/blox/blox/cluster-state-service/state"
	"github.com/blox/blox/internal/etcd"
)

// lockLease is how long a replica that died keeps the others waiting.
const lockLease = 15 * time.Second

// Lead waits until this replica, called name, holds the reconcile lock, and then works. The context of work ends when the
// lock is lost; what work has in hand by then is refused by its guard. Lead returns what work does, or etcd's error.
func (s *Store) Lead(ctx context.Context, name string, work func(context.Context, state.FencingToken) error) error {
	return etcd.Campaign(ctx, s.client, strings.TrimSuffix(state.LockPrefix, "/"), name, lockLease,
		func(ctx context.Context, term etcd.Leadership) error {
			return work(ctx, state.FencingToken{Key: term.Key, Revision: term.Revision})
		})
}

// leased works with a lease for what the error calls doing; lost is part of the error when the lease was.
func (s *Store) leased(ctx context.Context, doing string, lost error, work func(context.Context, *concurrency.Session) error) error {
	err := etcd.WithLease(ctx, s.client, lockLease, work)
	switch {
	case err == nil:
		return nil
	case errors.Is(err, etcd.ErrLeaseLost):
		return fmt.Errorf("%s: %w: %w", doing, lost, err)
	}
	return fmt.Errorf("%s: %w", doing, err)
}

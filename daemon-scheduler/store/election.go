package store

import (
	"context"
	"fmt"
	"time"

	"github.com/sirupsen/logrus"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/blox/blox/internal/backoff"
	"github.com/blox/blox/internal/etcd"
)

const electionRetryDelay = time.Second

// Lead campaigns for the leadership as the replica called name. Each time it is elected, it calls act with a context
// that ends when the lease, which lasts for ttl unless it is renewed, is lost, or when etcd was wiped or restored. If
// etcd fails, Lead retries. It returns nil after ctx has ended, and resigns first.
func (s *Store) Lead(ctx context.Context, name string, ttl time.Duration, act func(context.Context, Term) error) error {
	return s.lead(ctx, etcd.Campaign, name, ttl, act)
}

// ForceLeadership is Lead without an election: it deposes the present leader. It is for a service with one replica.
func (s *Store) ForceLeadership(
	ctx context.Context, name string, ttl time.Duration, act func(context.Context, Term) error,
) error {
	return s.lead(ctx, etcd.ForceLeadership, name, ttl, act)
}

// acquire is etcd.Campaign or etcd.ForceLeadership.
type acquire func(
	ctx context.Context, client *clientv3.Client, prefix, name string, ttl time.Duration,
	work func(context.Context, etcd.Leadership) error,
) error

func (s *Store) lead(
	ctx context.Context, acquire acquire, name string, ttl time.Duration, act func(context.Context, Term) error,
) error {
	for ctx.Err() == nil {
		data, cancel := s.DataContext(ctx)
		err := acquire(data, s.client, electionPrefix, name, ttl, func(ctx context.Context, term etcd.Leadership) error {
			log := s.log.WithFields(logrus.Fields{"replica": name, "revision": term.Revision})
			log.Info("leadership acquired")
			defer log.Info("leadership lost")
			return act(ctx, Term(term))
		})
		cancel()
		if err != nil && ctx.Err() == nil {
			s.log.WithError(err).Warn("failed to take part in the election; retrying")
			backoff.Sleep(ctx, backoff.Jitter(electionRetryDelay))
		}
	}
	return nil
}

// Leader returns the name of the replica that leads; empty if none does.
func (s *Store) Leader(ctx context.Context) (string, error) {
	got, err := s.client.Get(ctx, electionPrefix+"/", clientv3.WithFirstCreate()...)
	if err != nil {
		return "", fmt.Errorf("get the leader: %w", classify(err))
	}
	if len(got.Kvs) == 0 {
		return "", nil
	}
	return string(got.Kvs[0].Value), nil
}

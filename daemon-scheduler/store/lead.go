package store

import (
	"context"
	"math/rand/v2"
	"time"

	"github.com/sirupsen/logrus"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/blox/blox/internal/etcd"
)

// Lead campaigns in the name of this replica and, each time it has won, calls act with a context that ends with the
// leadership, which lasts while its lease of ttl is kept alive. It returns nil when ctx ends, and gives up the
// leadership first. While etcd is away it tries again and again.
func (s *Store) Lead(ctx context.Context, name string, ttl time.Duration, act func(context.Context, Term) error) error {
	return s.lead(ctx, etcd.Campaign, name, ttl, act)
}

// Seize is Lead without an election: whoever leads does so no more. It is for a replica without others.
func (s *Store) Seize(ctx context.Context, name string, ttl time.Duration, act func(context.Context, Term) error) error {
	return s.lead(ctx, etcd.ForceLeadership, name, ttl, act)
}

// way is how a replica comes to lead: etcd.Campaign or etcd.ForceLeadership.
type way func(ctx context.Context, client *clientv3.Client, prefix, name string, ttl time.Duration, work func(context.Context, etcd.Leadership) error) error

func (s *Store) lead(ctx context.Context, by way, name string, ttl time.Duration, act func(context.Context, Term) error) error {
	for ctx.Err() == nil {
		err := by(ctx, s.client, leader, name, ttl, func(ctx context.Context, term etcd.Leadership) error {
			log := s.log.WithFields(logrus.Fields{"replica": name, "revision": term.Revision})
			log.Info("leading")
			defer log.Info("no longer leading")
			return act(ctx, Term(term))
		})
		if err != nil && ctx.Err() == nil {
			s.log.WithError(err).Warn("not in the election")
			select {
			case <-ctx.Done():
			case <-time.After(retryFirst + rand.N(time.Second)):
			}
		}
	}
	return nil
}

package store

import (
	"context"
	"math/rand/v2"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/blox/blox/daemon-scheduler/environment"
	"github.com/blox/blox/internal/etcd"
)

// Lead campaigns in the name of this replica and, each time it has won, calls act with a context that ends with the
// leadership, which lasts while its lease of ttl is kept alive. It returns nil when ctx ends, and gives up the
// leadership first. While etcd is away it tries again and again.
func (s *Store) Lead(ctx context.Context, name string, ttl time.Duration, act func(context.Context, environment.Term) error) error {
	for ctx.Err() == nil {
		if err := s.leadOnce(ctx, name, ttl, act); err != nil && ctx.Err() == nil {
			s.log.WithError(err).Warn("not in the election")
			select {
			case <-ctx.Done():
			case <-time.After(retryFirst + rand.N(time.Second)):
			}
		}
	}
	return nil
}

func (s *Store) leadOnce(ctx context.Context, name string, ttl time.Duration, act func(context.Context, environment.Term) error) error {
	return etcd.Lead(ctx, s.client, leader, name, ttl, func(ctx context.Context, key string, revision int64) error {
		log := s.log.WithFields(logrus.Fields{"replica": name, "revision": revision})
		log.Info("leading")
		defer log.Info("no longer leading")
		return act(ctx, environment.Term{Key: key, Revision: revision})
	})
}

package store

import (
	"context"
	"fmt"
	"time"

	"github.com/sirupsen/logrus"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/blox/blox/internal/backoff"
	"github.com/blox/blox/internal/etcd"
	"github.com/blox/blox/internal/logging"
)

const (
	electionRetryDelay = time.Second
	// electionStableAfter is the time after which an attempt without an error holds a lease, beside the lease's time.
	electionStableAfter = 10 * time.Second
)

// Lead campaigns for the leadership as the replica called name. Each time it is elected, it calls act with a context
// that ends when the lease, which lasts for ttl unless it is renewed, is lost, or when etcd was wiped or restored. If
// etcd fails, Lead retries. It returns nil after ctx has ended, and resigns first.
func (s *Store) Lead(ctx context.Context, name string, ttl time.Duration, act func(context.Context, Term) error) error {
	return s.lead(ctx, etcd.Campaign, name, ttl, act)
}

// ForceLeadership is Lead without an election: it deposes the current leader. It is for a service with one replica.
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
	failures := logging.NewFailureLog(s.log, "failed to take part in the election; retrying",
		"resumed taking part in the election")
	for ctx.Err() == nil {
		// A candidate that does not win reports nothing. If it reports no error for this long, etcd serves it again.
		recovered := time.AfterFunc(electionStableAfter+ttl, failures.Succeeded)
		data, cancel := s.DataContext(ctx)
		err := acquire(data, s.client, electionPrefix, name, ttl, func(ctx context.Context, term etcd.Leadership) error {
			log := s.log.WithFields(logrus.Fields{"replica": name, "revision": term.Revision})
			failures.Succeeded()
			log.Info("leadership acquired")
			defer log.Info("leadership lost")
			return act(ctx, Term(term))
		})
		cancel()
		recovered.Stop()
		if err != nil && ctx.Err() == nil {
			failures.Failed(err)
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

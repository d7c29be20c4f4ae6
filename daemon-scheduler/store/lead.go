package store

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/sirupsen/logrus"
	"go.etcd.io/etcd/client/v3/concurrency"

	"github.com/blox/blox/daemon-scheduler/environment"
)

const (
	callTimeout   = 5 * time.Second
	revokeTimeout = 2 * time.Second
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
	granting, cancel := context.WithTimeout(ctx, callTimeout)
	lease, err := s.client.Grant(granting, int64(ttl/time.Second))
	cancel()
	if err != nil {
		return fmt.Errorf("lease: %w", err)
	}
	alive, end := context.WithCancel(context.WithoutCancel(ctx)) // until it is given back below
	defer end()
	session, err := concurrency.NewSession(s.client, concurrency.WithLease(lease.ID), concurrency.WithContext(alive))
	if err != nil {
		return fmt.Errorf("session: %w", err)
	}
	defer s.giveBack(session)

	leading, lost := context.WithCancel(ctx)
	defer lost()
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		select {
		case <-session.Done():
			lost()
		case <-leading.Done():
		}
	}()
	defer func() { lost(); <-watched }()

	election := concurrency.NewElection(session, leader)
	if err := election.Campaign(leading, name); err != nil {
		return fmt.Errorf("campaign: %w", err)
	}
	term := environment.Term{Key: election.Key(), Revision: election.Rev()}
	log := s.log.WithFields(logrus.Fields{"replica": name, "revision": term.Revision})
	log.Info("leading")
	err = act(leading, term)
	log.Info("no longer leading")
	return err
}

// giveBack ends the lease, so that the next leader need not wait for it to expire.
func (s *Store) giveBack(session *concurrency.Session) {
	session.Orphan()
	ctx, cancel := context.WithTimeout(context.Background(), revokeTimeout)
	defer cancel()
	if _, err := s.client.Revoke(ctx, session.Lease()); err != nil {
		s.log.WithError(err).Debug("lease left to expire")
	}
}

// Package store reads and writes daemon-scheduler's records in etcd. Every write is guarded by the revisions that
// its caller read:
//
//	ecs/environment/<name>                      an environment with its revisions and deployments
//	ecs/launch/<environment>/<instance ARN>     the latest attempt to start the environment's task on the instance
//	ecs/readiness/<attribute>/<instance ARN>    a readiness attribute that Blox has set; its name is URL-escaped
//	ecs/condition/<environment>                 conditions of the environment that only the leader observes
//	ecs/health/<environment>/<task ARN>         the last result of the task's container health checks
//	ecs/event/<time>-<part of a UUID>           a batch of events of tasks, kept for two weeks (package events)
//	ecs/event/change-<time>-<part of a UUID>    a batch of changes of environments and deployments, likewise
//	ecs/response/<SHA-256 of Idempotency-Key>   the response to a request that clients may repeat, kept for a day
//	ecs/event-sink/<sink>                       how far events have been sent to the sink (package eventsink)
//	ecs/leader/daemon-scheduler/…               the election
//	ecs/data-id                                 a random id, by which a wiped etcd is detected (package etcd)
//
// Only the leader writes launches, readiness attributes, observed conditions, health and the progress of deployments.
package store

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/sirupsen/logrus"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/blox/blox/daemon-scheduler/environment"
	"github.com/blox/blox/internal/etcd"
)

// Store reads and writes etcd.
type Store struct {
	client    *clientv3.Client
	log       logrus.FieldLogger
	committed CommitListener
	monitor   *etcd.Monitor // nil: replaced data is not detected
	space     *etcd.Space
	responses responses
}

// CommitListener applies committed changes to a cache, so that the leader's next reconciliation is not behind its own
// writes. It must not block.
type CommitListener interface {
	Committed(c Changes, revision int64)
	AttributesCommitted(put, remove []environment.ReadinessAttribute, revision int64)
	ConditionsCommitted(c environment.ObservedConditions, revision int64)
	HealthCommitted(name string, put, remove []environment.TaskHealth, revision int64)
}

// New returns a store that uses client. The caller closes client.
func New(client *clientv3.Client, log logrus.FieldLogger) *Store {
	s := &Store{client: client, log: log, space: etcd.NewSpace(client)}
	return s.WithResponses(DefaultResponseRetention, MaxResponses)
}

// WithMonitor makes DataContext and leadership end when the monitor detects that etcd's data was replaced. It must be
// called before the store is used.
func (s *Store) WithMonitor(m *etcd.Monitor) *Store {
	s.monitor = m
	return s
}

// DataContext returns a context that ends with ctx, or with the cause etcd.ErrDataReplaced when etcd was wiped or
// restored. The caller must call cancel.
func (s *Store) DataContext(ctx context.Context) (data context.Context, cancel context.CancelFunc) {
	return s.monitor.Context(ctx)
}

// DataGeneration counts how often etcd was wiped or restored. It grows before the contexts of DataContext end.
func (s *Store) DataGeneration() int64 { return s.monitor.Generation() }

// WatchOrder returns the check of a watch that begins after revision.
func (s *Store) WatchOrder(revision int64) *etcd.WatchOrder { return s.monitor.WatchOrder(revision) }

// OutOfSpace reports whether etcd rejects writes for lack of space.
func (s *Store) OutOfSpace(ctx context.Context) bool { return s.space.OutOfSpace(ctx) }

// OnCommit sets the listener to every Commit, CommitAttributes, CommitConditions and CommitHealth. It must be called
// before them.
func (s *Store) OnCommit(listener CommitListener) { s.committed = listener }

// Get reads an environment. It returns environment.ErrNotFound if there is none.
func (s *Store) Get(ctx context.Context, name string) (environment.Environment, error) {
	got, err := s.client.Get(ctx, EnvironmentKey(name))
	if err != nil {
		return environment.Environment{}, fmt.Errorf("get environment %s: %w", name, classify(err))
	}
	if len(got.Kvs) == 0 {
		return environment.Environment{}, environment.NotFound(name)
	}
	return DecodeEnvironment(got.Kvs[0])
}

// List reads all environments, ordered by name. It logs and skips malformed records.
func (s *Store) List(ctx context.Context) ([]environment.Environment, error) {
	kvs, _, err := s.Scan(ctx, EnvironmentPrefix)
	if err != nil {
		return nil, err
	}
	list := make([]environment.Environment, 0, len(kvs))
	for _, kv := range kvs {
		e, err := DecodeEnvironment(kv)
		if err != nil {
			s.log.WithError(err).WithField("key", string(kv.Key)).Error("malformed environment skipped")
			continue
		}
		list = append(list, e)
	}
	return list, nil
}

// Create stores a new environment. It returns environment.ErrExists if the name is taken.
func (s *Store) Create(ctx context.Context, e environment.Environment) error {
	return s.CreateOnce(ctx, e, nil)
}

// CreateOnce is Create for a request with an Idempotency-Key, unless that is nil. It stores the response too, and
// returns ErrResponseStored if the request has been executed already.
func (s *Store) CreateOnce(ctx context.Context, e environment.Environment, request *KeyedRequest) error {
	value, err := json.Marshal(e)
	if err != nil {
		return fmt.Errorf("encode environment %s: %w", e.Name, err)
	}
	key := EnvironmentKey(e.Name)
	done, err := s.write(ctx, request, e,
		clientv3.Compare(clientv3.CreateRevision(key), "=", 0), clientv3.OpPut(key, string(value)))
	if err != nil {
		return fmt.Errorf("create environment %s: %w", e.Name, classify(err))
	}
	if done.Succeeded {
		return nil
	}
	stored, err := s.client.Get(ctx, key)
	if err != nil {
		return fmt.Errorf("create environment %s: %w", e.Name, classify(err))
	}
	// The etcd client may have retried a transaction that had succeeded. The deployment token makes records unique.
	if request == nil && len(stored.Kvs) == 1 && string(stored.Kvs[0].Value) == string(value) {
		return nil
	}
	return environment.Exists(e.Name)
}

// Update changes an environment and returns the stored result. It calls change again if another writer was faster,
// returns change's error unchanged, and does not write if nothing changed.
func (s *Store) Update(
	ctx context.Context, name string, change func(environment.Environment) (environment.Environment, error),
) (environment.Environment, error) {
	return s.UpdateOnce(ctx, name, nil, change)
}

// UpdateOnce is Update for a request with an Idempotency-Key, unless that is nil. It stores the response too, and
// returns ErrResponseStored if the request has been executed already.
func (s *Store) UpdateOnce(
	ctx context.Context, name string, request *KeyedRequest,
	change func(environment.Environment) (environment.Environment, error),
) (environment.Environment, error) {
	for {
		e, err := s.Get(ctx, name)
		if err != nil {
			return e, err
		}
		next, err := change(e)
		if err != nil {
			return e, err
		}
		value, err := json.Marshal(next)
		if err != nil {
			return e, fmt.Errorf("encode environment %s: %w", name, err)
		}
		var ops []clientv3.Op
		stored, err := json.Marshal(e)
		switch unchanged := err == nil && string(stored) == string(value); {
		case unchanged && request == nil:
			return e, nil
		case unchanged:
			next = e
		default:
			next.StoredVersion = 0 // nothing is cached for it
			ops = append(ops, clientv3.OpPut(EnvironmentKey(name), string(value)))
		}
		guard := clientv3.Compare(clientv3.ModRevision(EnvironmentKey(name)), "=", e.StoredVersion)
		done, err := s.write(ctx, request, next, guard, ops...)
		if err != nil {
			return e, fmt.Errorf("update environment %s: %w", name, classify(err))
		}
		if done.Succeeded {
			if len(ops) > 0 {
				next.StoredVersion = done.Header.Revision
			}
			next.Incarnation = e.Incarnation
			return next, nil
		}
	}
}

// Delete removes an environment, also one that is being deleted with its tasks. It returns nil if there is none. From
// then on, no launch of it can be committed. The engine removes the records of its launches once their outcomes are
// known.
func (s *Store) Delete(ctx context.Context, name string) error {
	for {
		got, err := s.client.Get(ctx, EnvironmentKey(name))
		if err != nil {
			return fmt.Errorf("delete environment %s: %w", name, classify(err))
		}
		if len(got.Kvs) == 0 {
			return nil
		}
		done, err := s.client.Txn(ctx).
			If(clientv3.Compare(clientv3.ModRevision(EnvironmentKey(name)), "=", got.Kvs[0].ModRevision)).
			Then(clientv3.OpDelete(EnvironmentKey(name))).Commit()
		if err != nil {
			return fmt.Errorf("delete environment %s: %w", name, classify(err))
		}
		if done.Succeeded {
			return nil
		}
	}
}

// Launches reads an environment's launches, ordered by instance. It logs and skips malformed records.
func (s *Store) Launches(ctx context.Context, name string) ([]environment.Launch, error) {
	kvs, _, err := s.Scan(ctx, launchPrefix(name))
	if err != nil {
		return nil, err
	}
	list := make([]environment.Launch, 0, len(kvs))
	for _, kv := range kvs {
		l, err := DecodeLaunch(kv)
		if err != nil {
			s.log.WithError(err).WithField("key", string(kv.Key)).Error("malformed launch skipped")
			continue
		}
		list = append(list, l)
	}
	return list, nil
}

// Package store keeps what daemon-scheduler knows in etcd, every write guarded by what was read:
//
//	ecs/environment/<name>                        an environment, with its revisions and deployments
//	ecs/launch/<environment>/<instance ARN>       the latest try to start its task there
//	ecs/readiness/<attribute>/<instance ARN>      a readiness attribute that Blox has set there, its name escaped as in a URL
//	ecs/event/<time>-<a few of a uuid>         what was lately decided, for an hour; for people to read
//	ecs/leader/daemon-scheduler/…                 the election; launches, readiness and progress are the leader's alone to write
package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/sirupsen/logrus"
	"go.etcd.io/etcd/api/v3/mvccpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/blox/blox/daemon-scheduler/environment"
)

// Store reads and writes etcd, and while Run runs it has a copy of what is there in memory, for the engine.
type Store struct {
	client *clientv3.Client
	log    logrus.FieldLogger

	mu     sync.Mutex
	copied copied
	told   func(name string)
	marked func(clusterARN string)
	feed   feed
	lent   leased

	followers followers
}

// New returns a store on client, which stays its caller's.
func New(client *clientv3.Client, log logrus.FieldLogger) *Store {
	return &Store{client: client, log: log, copied: newCopied()}
}

// Get reads an environment as it is now; environment.ErrNotFound when there is none.
func (s *Store) Get(ctx context.Context, name string) (environment.Environment, error) {
	got, err := s.client.Get(ctx, environmentKey(name))
	if err != nil {
		return environment.Environment{}, fmt.Errorf("get environment %s: %w", name, silent(err))
	}
	if len(got.Kvs) == 0 {
		return environment.Environment{}, environment.NotFound(name)
	}
	return decodeEnvironment(got.Kvs[0])
}

// List reads every environment as it is now, ordered by name. A record that cannot be read is left out, and logged.
func (s *Store) List(ctx context.Context) ([]environment.Environment, error) {
	kvs, _, err := s.all(ctx, environments)
	if err != nil {
		return nil, err
	}
	list := make([]environment.Environment, 0, len(kvs))
	for _, kv := range kvs {
		e, err := decodeEnvironment(kv)
		if err != nil {
			s.log.WithError(err).WithField("key", string(kv.Key)).Error("environment unreadable")
			continue
		}
		list = append(list, e)
	}
	return list, nil
}

// Create stores a new environment; environment.ErrExists when its name is taken.
func (s *Store) Create(ctx context.Context, e environment.Environment) error {
	value, err := json.Marshal(e)
	if err != nil {
		return fmt.Errorf("encode environment %s: %w", e.Name, err)
	}
	key := environmentKey(e.Name)
	done, err := s.client.Txn(ctx).
		If(clientv3.Compare(clientv3.CreateRevision(key), "=", 0)).
		Then(clientv3.OpPut(key, string(value))).
		Else(clientv3.OpGet(key)).Commit()
	if err != nil {
		return fmt.Errorf("create environment %s: %w", e.Name, silent(err))
	}
	if !done.Succeeded {
		stored := done.Responses[0].GetResponseRange().Kvs
		if len(stored) == 1 && string(stored[0].Value) == string(value) {
			return nil // ours: the client has tried twice. The token makes every record one of its kind
		}
		return environment.Exists(e.Name)
	}
	return nil
}

// Update changes an environment by change, which may run again when someone else was faster, and returns what is
// stored then. What changes nothing is not written. What change refuses is returned as it is.
func (s *Store) Update(ctx context.Context, name string, change func(environment.Environment) (environment.Environment, error)) (environment.Environment, error) {
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
		if as, err := json.Marshal(e); err == nil && string(as) == string(value) {
			return e, nil // there is nothing to write
		}
		done, err := s.client.Txn(ctx).
			If(clientv3.Compare(clientv3.ModRevision(environmentKey(name)), "=", e.StoredVersion)).
			Then(clientv3.OpPut(environmentKey(name), string(value))).Commit()
		if err != nil {
			return e, fmt.Errorf("update environment %s: %w", name, silent(err))
		}
		if done.Succeeded {
			next.StoredVersion, next.Incarnation = done.Header.Revision, e.Incarnation
			return next, nil
		}
	}
}

// Delete removes an environment; from then on no launch is announced for it. None there is no error. One that is being
// deleted with its tasks stays until they have stopped, as was promised to whoever asked for that. The records of its
// launches are the engine's to remove, once they are settled.
func (s *Store) Delete(ctx context.Context, name string) error {
	for {
		got, err := s.client.Get(ctx, environmentKey(name))
		if err != nil {
			return fmt.Errorf("delete environment %s: %w", name, silent(err))
		}
		if len(got.Kvs) == 0 {
			return nil
		}
		// What cannot be read may still be deleted.
		if e, err := decodeEnvironment(got.Kvs[0]); err == nil && e.IsDeleting() {
			return nil
		}
		done, err := s.client.Txn(ctx).
			If(clientv3.Compare(clientv3.ModRevision(environmentKey(name)), "=", got.Kvs[0].ModRevision)).
			Then(clientv3.OpDelete(environmentKey(name))).Commit()
		if err != nil {
			return fmt.Errorf("delete environment %s: %w", name, silent(err))
		}
		if done.Succeeded {
			return nil
		}
	}
}

// Launches reads an environment's launches as they are now, ordered by instance.
func (s *Store) Launches(ctx context.Context, name string) ([]environment.Launch, error) {
	kvs, _, err := s.all(ctx, launchPrefix(name))
	if err != nil {
		return nil, err
	}
	list := make([]environment.Launch, 0, len(kvs))
	for _, kv := range kvs {
		l, err := decodeLaunch(kv)
		if err != nil {
			s.log.WithError(err).WithField("key", string(kv.Key)).Error("launch unreadable")
			continue
		}
		list = append(list, l)
	}
	return list, nil
}

// Leader is the name of the replica that leads; empty when none does.
func (s *Store) Leader(ctx context.Context) (string, error) {
	got, err := s.client.Get(ctx, leader+"/", clientv3.WithFirstCreate()...)
	if err != nil {
		return "", fmt.Errorf("get the leader: %w", silent(err))
	}
	if len(got.Kvs) == 0 {
		return "", nil
	}
	return string(got.Kvs[0].Value), nil
}

const page = 500 // records of one read

// all reads everything below prefix at one revision, which it returns too.
func (s *Store) all(ctx context.Context, prefix string) (kvs []*mvccpb.KeyValue, revision int64, err error) {
	end := clientv3.GetPrefixRangeEnd(prefix)
	for from := prefix; ; {
		got, err := s.client.Get(ctx, from, clientv3.WithRange(end), clientv3.WithLimit(page), clientv3.WithRev(revision))
		if err != nil {
			return nil, 0, fmt.Errorf("list %s: %w", prefix, silent(err))
		}
		if revision == 0 {
			revision = got.Header.Revision
		}
		kvs = append(kvs, got.Kvs...)
		if !got.More {
			return kvs, revision, nil
		}
		from = string(kvs[len(kvs)-1].Key) + "\x00"
	}
}

// silent makes err an environment.ErrStoreUnavailable when etcd gave no answer, and an environment.ErrStoreOutOfSpace when it takes no more.
func silent(err error) error {
	code := status.Code(err)
	if told := (rpctypes.EtcdError{}); errors.As(err, &told) { // which gRPC does not know for a status
		code = told.Code()
	}
	if errors.Is(err, context.DeadlineExceeded) || code == codes.DeadlineExceeded || code == codes.Unavailable {
		return errors.Join(environment.ErrStoreUnavailable, err)
	}
	if errors.Is(err, rpctypes.ErrNoSpace) {
		return errors.Join(environment.ErrStoreOutOfSpace, err)
	}
	return err
}

func decodeEnvironment(kv *mvccpb.KeyValue) (environment.Environment, error) {
	var e environment.Environment
	if err := json.Unmarshal(kv.Value, &e); err != nil {
		return e, fmt.Errorf("decode %s: %w", kv.Key, err)
	}
	e.Name = strings.TrimPrefix(string(kv.Key), environments)
	e.StoredVersion, e.Incarnation = kv.ModRevision, kv.CreateRevision
	return e, nil
}

func decodeLaunch(kv *mvccpb.KeyValue) (environment.Launch, error) {
	var l environment.Launch
	if err := json.Unmarshal(kv.Value, &l); err != nil {
		return l, fmt.Errorf("decode %s: %w", kv.Key, err)
	}
	_, instance, ok := launchOf(string(kv.Key))
	if !ok || !slices.Contains([]environment.LaunchState{environment.LaunchOpen, environment.LaunchStarted, environment.LaunchFailed}, l.State) {
		return l, fmt.Errorf("decode %s: not a launch", kv.Key)
	}
	l.Instance, l.StoredVersion = instance, kv.ModRevision
	return l, nil
}

func decodeMark(kv *mvccpb.KeyValue) (environment.ReadinessAttribute, error) {
	var m environment.ReadinessAttribute
	if err := json.Unmarshal(kv.Value, &m); err != nil {
		return m, fmt.Errorf("decode %s: %w", kv.Key, err)
	}
	key, ok := markOf(string(kv.Key))
	if !ok || m.Cluster == "" {
		return m, fmt.Errorf("decode %s: not a readiness attribute", kv.Key)
	}
	m.Name, m.Instance, m.StoredVersion = key.Name, key.Instance, kv.ModRevision
	return m, nil
}

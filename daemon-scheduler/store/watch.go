package store

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"
	"golang.org/x/sync/errgroup"

	"github.com/blox/blox/daemon-scheduler/environment"
)

const (
	listTimeout = 30 * time.Second
	retryFirst  = 100 * time.Millisecond
	retryMost   = 5 * time.Second
)

// kind is one of the prefixes that are copied.
type kind struct {
	prefix string
	bit    int
	// put and drop tell which environment a record is about or, of marks, which cluster, and whether it was news.
	put   func(*Store, *mvccpb.KeyValue) (about string, news bool)
	drop  func(*Store, *mvccpb.KeyValue) (about string, news bool)
	reset func(*Store, map[string]bool)
	feeds bool // whether readers are told of its changes
	marks bool
	aside bool // for people to read: the engine is not told, and does without
}

var kinds = []kind{
	{
		prefix: environments, bit: 1, feeds: true,
		put: (*Store).putEnvironment,
		drop: func(s *Store, kv *mvccpb.KeyValue) (string, bool) {
			name := strings.TrimPrefix(string(kv.Key), environments)
			s.copied.dropEnvironment(name, kv.ModRevision)
			return name, true
		},
		reset: func(s *Store, listed map[string]bool) {
			for name, e := range s.copied.environments {
				if !listed[environmentKey(name)] {
					s.copied.dropEnvironment(name, e.StoredVersion)
				}
			}
			for name := range s.copied.unreadable {
				if !listed[environmentKey(name)] {
					delete(s.copied.unreadable, name)
				}
			}
		},
	},
	{
		prefix: launches, bit: 2,
		put: (*Store).putLaunch,
		drop: func(s *Store, kv *mvccpb.KeyValue) (string, bool) {
			name, instance, ok := launchOf(string(kv.Key))
			return name, ok && s.copied.dropLaunch(name, instance, kv.ModRevision)
		},
		reset: func(s *Store, listed map[string]bool) {
			for name, of := range s.copied.launches {
				for instance, l := range of {
					if !listed[launchKey(name, instance)] {
						s.copied.dropLaunch(name, instance, l.StoredVersion)
					}
				}
			}
		},
	},
	{
		prefix: marks, bit: 4, marks: true,
		put: (*Store).putMark,
		drop: func(s *Store, kv *mvccpb.KeyValue) (string, bool) {
			key, _ := markOf(string(kv.Key))
			return s.copied.dropMark(key, kv.ModRevision)
		},
		reset: func(s *Store, listed map[string]bool) {
			for key, clusterARN := range s.copied.marked {
				if !listed[markKey(key)] {
					s.copied.dropMark(key, s.copied.marks[clusterARN][key].StoredVersion)
				}
			}
		},
	},
	{
		prefix: events, bit: 8, aside: true,
		put: (*Store).putEvents,
		drop: func(s *Store, kv *mvccpb.KeyValue) (string, bool) {
			delete(s.copied.events, batchOf(kv))
			return "", true
		},
		reset: func(s *Store, listed map[string]bool) {
			for id := range s.copied.events {
				if !listed[events+id] {
					delete(s.copied.events, id)
				}
			}
		},
	},
}

const allListed = 1 | 2 | 4 // the bits of all kinds that the engine needs

// Run keeps the copy up to date until ctx ends, and then returns nil. After every change that is not a Commit of this
// Store, told is called with the environment's name or, of a mark, marked with its cluster's ARN; they only note what
// there is to do.
func (s *Store) Run(ctx context.Context, told, marked func(string)) error {
	s.mu.Lock()
	s.told, s.marked = told, marked
	s.mu.Unlock()
	group, ctx := errgroup.WithContext(ctx)
	for _, k := range kinds {
		group.Go(func() error { s.follow(ctx, k); return nil })
	}
	return group.Wait()
}

// follow lists and watches a kind, again and again, until ctx ends.
func (s *Store) follow(ctx context.Context, k kind) {
	for failures := 0; ctx.Err() == nil; failures++ {
		begun := time.Now()
		err := s.once(ctx, k)
		if ctx.Err() != nil {
			return
		}
		if time.Since(begun) > time.Minute {
			failures = 0
		}
		wait := min(retryFirst<<min(failures, 10), retryMost)
		wait -= rand.N(wait / 2)
		s.log.WithError(err).WithField("prefix", k.prefix).Warn("not following etcd")
		select {
		case <-ctx.Done():
		case <-time.After(wait):
		}
	}
}

// once lists a kind and follows its changes until that fails.
func (s *Store) once(ctx context.Context, k kind) error {
	listing, cancel := context.WithTimeout(ctx, listTimeout)
	kvs, revision, err := s.all(listing, k.prefix)
	cancel()
	if err != nil {
		return err
	}
	s.listed(k, kvs)
	if k.feeds {
		s.feedList(kvs, revision)
		defer s.feed.interrupted()
	}
	watching, cancel := context.WithCancel(clientv3.WithRequireLeader(ctx))
	defer cancel()
	for changes := range s.client.Watch(watching, k.prefix, clientv3.WithPrefix(), clientv3.WithRev(revision+1)) {
		if err := changes.Err(); err != nil {
			return fmt.Errorf("watch %s: %w", k.prefix, err)
		}
		s.changed(k, changes.Events)
		if k.feeds {
			s.feed.changed(changes.Events)
		}
	}
	return fmt.Errorf("watch %s: ended", k.prefix)
}

func (s *Store) listed(k kind, kvs []*mvccpb.KeyValue) {
	s.mu.Lock()
	there, names := map[string]bool{}, map[string]bool{}
	for _, kv := range kvs {
		there[string(kv.Key)] = true
		k.put(s, kv)
	}
	k.reset(s, there)
	s.copied.listed |= k.bit
	switch {
	case k.aside:
		names[""] = true
	case k.marks:
		maps.Copy(names, trues(s.copied.marks))
	default:
		maps.Copy(names, trues(s.copied.environments))
		maps.Copy(names, trues(s.copied.launches))
	}
	s.mu.Unlock()
	s.tell(k, names)
}

// trues has the keys of m.
func trues[V any](m map[string]V) map[string]bool {
	keys := make(map[string]bool, len(m))
	for key := range m {
		keys[key] = true
	}
	return keys
}

func (s *Store) tell(k kind, names map[string]bool) {
	to := s.told
	if k.marks {
		to = s.marked
	}
	for name := range names {
		if !k.marks {
			s.followers.tell(name)
		}
		if !k.aside {
			to(name)
		}
	}
}

func (s *Store) changed(k kind, events []*clientv3.Event) {
	names := map[string]bool{}
	s.mu.Lock()
	for _, event := range events {
		is := k.put
		if event.Type == clientv3.EventTypeDelete {
			is = k.drop
		}
		if about, news := is(s, event.Kv); news { // else it is a Commit of our own
			names[about] = true
		}
	}
	s.mu.Unlock()
	s.tell(k, names)
}

func (s *Store) putEnvironment(kv *mvccpb.KeyValue) (about string, news bool) {
	name := strings.TrimPrefix(string(kv.Key), environments)
	e, err := decodeEnvironment(kv)
	if err != nil {
		s.log.WithError(err).WithField("key", string(kv.Key)).Error("environment unreadable")
		s.copied.dropEnvironment(name, kv.ModRevision)
		s.copied.unreadable[name] = err
		return name, true
	}
	return name, s.copied.setEnvironment(e)
}

// putLaunch takes a launch that cannot be read for one that is open since it was written: nobody knows.
func (s *Store) putLaunch(kv *mvccpb.KeyValue) (about string, news bool) {
	name, instance, ok := launchOf(string(kv.Key))
	if !ok {
		return "", false
	}
	l, err := decodeLaunch(kv)
	if err != nil {
		s.log.WithError(err).WithField("key", string(kv.Key)).Error("launch unreadable")
		l = environment.Launch{
			Instance: instance, State: environment.LaunchOpen, StoredVersion: kv.ModRevision, NotAfter: time.Now().Add(environment.LaunchWindow),
		}
	}
	return name, s.copied.setLaunch(name, l)
}

// Synced tells whether the copy is complete: every kind has been listed.
func (s *Store) Synced() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.copied.listed&allListed == allListed
}

// Copied is the copy's environment, with its launches by instance, which are also there when it is gone:
// environment.ErrNotFound.
func (s *Store) Copied(name string) (environment.Environment, map[string]environment.Launch, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	launches := maps.Clone(s.copied.launches[name])
	if err, unreadable := s.copied.unreadable[name]; unreadable {
		return environment.Environment{}, launches, err
	}
	e, ok := s.copied.environments[name]
	if !ok {
		return e, launches, environment.NotFound(name)
	}
	return e, launches, nil
}

// Names are the copy's environments, and those that left launches behind.
func (s *Store) Names() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	names := map[string]bool{}
	for name := range s.copied.environments {
		names[name] = true
	}
	for name := range s.copied.launches {
		names[name] = true
	}
	return slices.Sorted(maps.Keys(names))
}

// NamesOf are the copy's environments of a cluster.
func (s *Store) NamesOf(clusterARN string) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Sorted(maps.Keys(s.copied.byCluster[clusterARN]))
}

// NameOf is the copy's environment that has the deployment with that id.
func (s *Store) NameOf(deployment string) (name string, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	name, ok = s.copied.byDeployment[deployment]
	return name, ok
}

// WithScaleInRelease are the copy's environments of a cluster that give instances up which have nothing but daemons.
func (s *Store) WithScaleInRelease(clusterARN string) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Collect(maps.Keys(s.copied.yielding[clusterARN]))
}

// FailedOn are the copy's environments of a cluster whose last launch on the instance has failed.
func (s *Store) FailedOn(clusterARN, instance string) (names []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for name := range s.copied.byCluster[clusterARN] {
		if s.copied.launches[name][instance].State == environment.LaunchFailed {
			names = append(names, name)
		}
	}
	return names
}

// ClusterOf is the cluster of the copy's environment.
func (s *Store) ClusterOf(name string) (clusterARN string, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	e, ok := s.copied.environments[name]
	return e.Cluster, ok
}

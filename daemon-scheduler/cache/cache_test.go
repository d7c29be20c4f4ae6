package cache

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/goleak"

	"github.com/blox/blox/daemon-scheduler/environment"
	"github.com/blox/blox/daemon-scheduler/store"
	"github.com/blox/blox/internal/etcd"
	"github.com/blox/blox/internal/testenv"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func env(name string) environment.Environment {
	return environment.New(name, "arn:cluster/prod", "arn:td:1", "token of "+name)
}

// running returns a store with a cache that runs until the test ends.
func running(t *testing.T, client *clientv3.Client, listeners ...Listener) (*store.Store, *Cache) {
	s := store.New(client, testenv.Logger(t))
	return s, run(t, s, listeners...)
}

// run returns a cache that runs until the test ends.
func run(t *testing.T, s *store.Store, listeners ...Listener) *Cache {
	c := New(s, testenv.Logger(t))
	for _, l := range listeners {
		c.Subscribe(l)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var group sync.WaitGroup
	group.Go(func() { assert.NoError(t, c.Run(ctx)) })
	t.Cleanup(func() { cancel(); group.Wait() })
	testenv.Eventually(t, c.Synced)
	return c
}

// lead makes a replica lead until the test ends.
func lead(t *testing.T, s *store.Store) store.Term {
	ctx, cancel := context.WithCancel(context.Background())
	terms := make(chan store.Term)
	var group sync.WaitGroup
	group.Go(func() {
		assert.NoError(t, s.Lead(ctx, "one", 2*time.Second, func(ctx context.Context, term store.Term) error {
			terms <- term
			<-ctx.Done()
			return nil
		}))
	})
	t.Cleanup(func() { cancel(); group.Wait() })
	return <-terms
}

func TestCache_HoldsOwnCommitsAtOnce(t *testing.T) {
	s, c := running(t, testenv.Etcd(t))
	term := lead(t, s)
	require.NoError(t, s.Create(t.Context(), env("logs")))
	stored, err := s.Get(t.Context(), "logs")
	require.NoError(t, err)
	launch := environment.Launch{Instance: "arn:i/1", Deployment: "d", State: environment.LaunchOpen}
	changes := store.Changes{Name: "logs", Incarnation: stored.Incarnation, Put: []environment.Launch{launch}}
	revision, err := s.Commit(t.Context(), term, changes)
	require.NoError(t, err)
	_, launches, _ := c.Environment("logs")
	assert.Equal(t, revision, launches["arn:i/1"].StoredVersion)
	changes.Put = []environment.Launch{{Instance: "arn:i/2", Deployment: "d", State: environment.LaunchOpen}}
	_, err = s.Commit(t.Context(), term, changes)
	require.NoError(t, err)
	_, both, _ := c.Environment("logs")
	assert.Len(t, both, 2)
	assert.Len(t, launches, 1, "a reader's launches do not change")

	changes = store.Changes{
		Name: "logs", Incarnation: stored.Incarnation, Remove: &stored,
		Delete: slices.Collect(maps.Values(both)),
	}
	_, err = s.Commit(t.Context(), term, changes)
	require.NoError(t, err)
	_, launches, err = c.Environment("logs")
	assert.ErrorIs(t, err, environment.ErrNotFound)
	assert.Empty(t, launches)
}

func TestCache_FollowsOtherReplicasAndRecoversFromOutages(t *testing.T) {
	server := testenv.EtcdServer(t)
	_, c := running(t, server.Client())
	other := store.New(server.Client(), testenv.Logger(t))
	require.NoError(t, other.Create(t.Context(), env("logs")))
	testenv.Eventually(t, func() bool { return len(c.NamesInCluster("arn:cluster/prod")) == 1 })

	server.Stop()
	server.Start()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	require.NoError(t, other.Create(ctx, env("metrics")))
	testenv.Eventually(t, func() bool { return len(c.Names()) == 2 })
	require.NoError(t, other.Delete(ctx, "logs"))
	testenv.Eventually(t, func() bool { return len(c.NamesInCluster("arn:cluster/prod")) == 1 })
	_, _, err := c.Environment("logs")
	assert.ErrorIs(t, err, environment.ErrNotFound)
}

// monitored returns a store whose monitor runs until the test ends.
func monitored(t *testing.T, server *testenv.Server) *store.Store {
	t.Helper()
	m := etcd.NewMonitor(testenv.Logger(t), nil)
	client, err := etcd.New(etcd.Config{Endpoints: server.Endpoints()}, testenv.Logger(t), m)
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	var group sync.WaitGroup
	group.Go(func() { assert.NoError(t, m.Run(ctx, client)) })
	t.Cleanup(func() { cancel(); group.Wait(); _ = client.Close() })
	return store.New(client, testenv.Logger(t)).WithMonitor(m)
}

// An etcd that lost its data starts empty at the same address. The cache drops what it holds and follows the new data,
// streams end, and the leader is elected anew.
func TestCache_FollowsAWipedEtcd(t *testing.T) {
	server := testenv.EtcdServer(t)
	s := monitored(t, server)
	c := run(t, s)
	terms := make(chan store.Term, 10)
	ctx, cancel := context.WithCancel(context.Background())
	var group sync.WaitGroup
	group.Go(func() {
		assert.NoError(t, s.Lead(ctx, "one", time.Hour, func(ctx context.Context, term store.Term) error {
			terms <- term
			<-ctx.Done()
			return nil
		}))
	})
	t.Cleanup(func() { cancel(); group.Wait() })
	testenv.Receive(t, terms)
	require.NoError(t, s.Create(t.Context(), env("logs")))
	testenv.Eventually(t, func() bool { return len(c.Names()) == 1 })
	lines := watch(t, c, 0)

	server.Stop()
	server.Wipe()
	server.Start()
	last := testenv.Receive(t, lines)
	if strings.HasPrefix(last, "logs ") { // the cache holds a record before its streams send it
		last = testenv.Receive(t, lines)
	}
	assert.Equal(t, errDataReplaced.Error(), last)
	testenv.Eventually(t, func() bool { return c.Synced() && len(c.Names()) == 0 })
	testenv.Receive(t, terms)
	next := watch(t, c, 0)
	require.NoError(t, s.Create(t.Context(), env("metrics")))
	assert.Equal(t, "metrics deleted=false paused=false in arn:cluster/prod", testenv.Receive(t, next))
	testenv.Eventually(t, func() bool { return slices.Equal(c.Names(), []string{"metrics"}) })
}

func TestCache_ReportsMalformedEnvironmentsAndCountsMalformedLaunchesAsOpen(t *testing.T) {
	client := testenv.Etcd(t)
	_, c := running(t, client)
	_, err := client.Put(t.Context(), "ecs/environment/broken", "{")
	require.NoError(t, err)
	_, err = client.Put(t.Context(), "ecs/launch/broken/arn:i/1", "{")
	require.NoError(t, err)
	testenv.Eventually(t, func() bool {
		_, launches, err := c.Environment("broken")
		open := launches["arn:i/1"].State == environment.LaunchOpen
		return err != nil && !errors.Is(err, environment.ErrNotFound) && open
	})
}

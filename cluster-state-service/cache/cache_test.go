package cache

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/goleak"

	"github.com/blox/blox/cluster-state-service/state"
	"github.com/blox/blox/internal/testenv"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// start runs a cache of the etcd until the test ends.
func start(t *testing.T, server *testenv.Server, historyLimit int) *Cache {
	t.Helper()
	return startWithWatch(t, server, server.Client(), historyLimit)
}

// startWithWatch is start with a client of its own for the watch.
func startWithWatch(t *testing.T, server *testenv.Server, watchClient *clientv3.Client, historyLimit int) *Cache {
	t.Helper()
	cache := build(t, server, watchClient, historyLimit)
	run(t, cache)
	return cache
}

func run(t *testing.T, cache *Cache) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { assert.NoError(t, cache.Run(ctx)) })
	t.Cleanup(func() { cancel(); running.Wait() })
}

func build(t *testing.T, server *testenv.Server, watchClient *clientv3.Client, historyLimit int) *Cache {
	t.Helper()
	encode := func(key string, version, revision int64) []byte {
		return fmt.Appendf(nil, "%s v%d @%d", key, version, revision)
	}
	deleted := func(key state.Key, revision int64) []byte {
		return fmt.Appendf(nil, "%s deleted @%d", key.ARN, revision)
	}
	return New(Config{
		WatchClient: watchClient, Client: server.Client(), Log: testenv.Logger(t), HistoryLimit: historyLimit,
		Tasks: Codec[state.Task, state.TaskSummary]{
			Decode: state.DecodeTask, Version: func(t state.Task) int64 { return t.Version },
			Summarize:     (*state.Task).Summary,
			Encode:        func(t state.Task, revision int64) []byte { return encode(t.ARN, t.Version, revision) },
			EncodeDeleted: deleted,
		},
		Instances: Codec[state.Instance, state.Instance]{
			Decode: state.DecodeInstance, Version: func(i state.Instance) int64 { return i.Version },
			Summarize:     (*state.Instance).Summary,
			Encode:        func(i state.Instance, revision int64) []byte { return encode(i.ARN, i.Version, revision) },
			EncodeDeleted: deleted,
		},
	})
}

func arnOf(id string) string { return "arn:aws:ecs:eu-west-1:123456789012:task/prod/" + id }

func keyOf(id string) string { return "ecs/task/prod/" + arnOf(id) }

func valueOf(id string, version int) string {
	return fmt.Sprintf(`{"detail":{"taskArn":%q,"clusterArn":"arn:aws:ecs:eu-west-1:123456789012:cluster/prod","version":%d}}`, arnOf(id), version)
}

// write puts a task and returns the revision.
func write(t *testing.T, client *clientv3.Client, id string, version int) int64 {
	t.Helper()
	answer, err := client.Put(t.Context(), keyOf(id), valueOf(id, version))
	require.NoError(t, err)
	return answer.Header.Revision
}

func TestWaitCurrent_SeesEveryFinishedWrite(t *testing.T) {
	server := testenv.EtcdServer(t)
	client := server.Client()
	write(t, client, "before", 1)
	cache := start(t, server, 0)
	for n := range 50 {
		id := fmt.Sprint(n)
		revision := write(t, client, id, 1)
		s, err := cache.WaitCurrent(t.Context())
		require.NoError(t, err)
		assert.GreaterOrEqual(t, s.Revision, revision)
		require.NotNil(t, s.Tasks.Get(keyOf(id)))
		assert.Equal(t, revision, s.Tasks.Get(keyOf(id)).Revision)
	}
	_, err := client.Delete(t.Context(), keyOf("before"))
	require.NoError(t, err)
	s, err := cache.WaitCurrent(t.Context())
	require.NoError(t, err)
	assert.Nil(t, s.Tasks.Get(keyOf("before")))
}

// Other applications make revisions in a shared etcd that bring no event. Progress requests bridge them, or markers
// if etcd's progress notifications cannot be trusted.
func TestWaitCurrent_PassesForeignRevisions(t *testing.T) {
	for name, c := range map[string]struct {
		start       func(testing.TB) *testenv.Server
		withMarkers bool
	}{
		"progress requests": {start: func(tb testing.TB) *testenv.Server { return testenv.EtcdServer(tb) }},
		"markers":           {start: testenv.DebianEtcd, withMarkers: true},
	} {
		t.Run(name, func(t *testing.T) {
			server := c.start(t)
			client := server.Client()
			cache := start(t, server, 0)
			testenv.Eventually(t, func() bool { return c.withMarkers || cache.progress.Ordered() })
			before := markerVersion(t, client)
			const revisions = 20
			for n := range revisions {
				answer, err := client.Put(t.Context(), "others/key", fmt.Sprint(n))
				require.NoError(t, err)
				s, err := cache.WaitCurrent(t.Context())
				require.NoError(t, err)
				assert.GreaterOrEqual(t, s.Revision, answer.Header.Revision)
			}
			written := markerVersion(t, client) - before
			if c.withMarkers {
				assert.Positive(t, written)
				assert.LessOrEqual(t, written, int64(revisions)+1, "more than one marker for a revision")
			} else {
				assert.Zero(t, written)
			}
		})
	}
}

// markerVersion returns how often the marker was written.
func markerVersion(t *testing.T, client *clientv3.Client) int64 {
	t.Helper()
	got, err := client.Get(t.Context(), "ecs/marker")
	require.NoError(t, err)
	if len(got.Kvs) == 0 {
		return 0
	}
	return got.Kvs[0].Version
}

func TestSnapshot_IsImmutable(t *testing.T) {
	server := testenv.EtcdServer(t)
	client := server.Client()
	write(t, client, "a", 1)
	cache := start(t, server, 0)
	old, err := cache.WaitCurrent(t.Context())
	require.NoError(t, err)
	write(t, client, "a", 2)
	write(t, client, "b", 1)
	_, err = cache.WaitCurrent(t.Context())
	require.NoError(t, err)
	assert.Equal(t, 1, old.Tasks.Len())
	assert.Equal(t, int64(1), old.Tasks.Get(keyOf("a")).Version)
}

func TestCache_SkipsMalformedRecords(t *testing.T) {
	server := testenv.EtcdServer(t)
	client := server.Client()
	for key, value := range map[string]string{
		keyOf("malformed"): "no JSON", "ecs/task/x": valueOf("a", 1), "ecs/environment/web": "{}", "ecs/other": "",
		keyOf("good"): valueOf("good", 1),
	} {
		_, err := client.Put(t.Context(), key, value)
		require.NoError(t, err)
	}
	cache := start(t, server, 0)
	s, err := cache.WaitCurrent(t.Context())
	require.NoError(t, err)
	assert.Equal(t, 1, s.Tasks.Len())
	_, err = client.Put(t.Context(), keyOf("good"), "broken now")
	require.NoError(t, err)
	s, err = cache.WaitCurrent(t.Context())
	require.NoError(t, err)
	assert.Zero(t, s.Tasks.Len(), "a key with a malformed value leaves the list")
}

func TestSnapshot_NamesTheOldestLeader(t *testing.T) {
	server := testenv.EtcdServer(t)
	client := server.Client()
	cache := start(t, server, 0)
	s, err := cache.WaitCurrent(t.Context())
	require.NoError(t, err)
	region := state.Region{Account: "123456789012", Name: "eu-west-1"}
	_, err = client.Put(t.Context(), state.Region{Account: "123456789012", Name: "eu-west-10"}.Lock()+"/1", "elsewhere")
	require.NoError(t, err)
	assert.Empty(t, s.Leader(region))
	for _, name := range []string{"first", "second"} {
		_, err := client.Put(t.Context(), region.Lock()+"/"+name, name)
		require.NoError(t, err)
	}
	s, err = cache.WaitCurrent(t.Context())
	require.NoError(t, err)
	assert.Equal(t, "first", s.Leader(region))
	_, err = client.Delete(t.Context(), region.Lock()+"/first")
	require.NoError(t, err)
	s, err = cache.WaitCurrent(t.Context())
	require.NoError(t, err)
	assert.Equal(t, "second", s.Leader(region))
}

// While etcd is down, reads fail. When it returns, the cache reloads and streams work again.
func TestCache_RecoversFromEtcdOutage(t *testing.T) {
	server := testenv.EtcdServer(t)
	client := server.Client()
	write(t, client, "a", 1)
	cache := start(t, server, 0)
	_, err := cache.WaitCurrent(t.Context())
	require.NoError(t, err)
	server.Stop()
	short, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	_, err = cache.WaitCurrent(short)
	cancel()
	require.Error(t, err)
	server.Start()
	var revision int64
	testenv.Eventually(t, func() bool {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		answer, err := client.Put(ctx, keyOf("b"), valueOf("b", 1))
		if err == nil {
			revision = answer.Header.Revision
		}
		return err == nil
	})
	testenv.Eventually(t, func() bool {
		s, err := cache.WaitCurrent(t.Context())
		return err == nil && s.Revision >= revision && s.Tasks.Get(keyOf("b")) != nil
	})
	assert.Len(t, lines(t, cache, revision, 1), 1)
}

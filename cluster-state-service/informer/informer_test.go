package informer_test

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"net"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/sirupsen/logrus"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	clientv3 "go.etcd.io/etcd/client/v3"
	"golang.org/x/sync/errgroup"

	"github.com/blox/blox/cluster-state-service/api"
	"github.com/blox/blox/cluster-state-service/cache"
	"github.com/blox/blox/cluster-state-service/informer"
	"github.com/blox/blox/cluster-state-service/state"
	"github.com/blox/blox/internal/httpserver"
	"github.com/blox/blox/internal/testenv"
)

const account = "arn:aws:ecs:eu-west-1:123456789012:"

// world is an etcd that the replicas share.
type world struct {
	*testing.T
	server *testenv.Server
	client *clientv3.Client
	log    *logrus.Logger
}

func newWorld(t *testing.T) *world {
	log := testenv.Logger(t)
	log.SetLevel(logrus.WarnLevel)
	server := testenv.EtcdServer(t)
	return &world{t, server, server.Client(), log}
}

// commit applies ops in one transaction and returns its revision.
func (w *world) commit(ops ...clientv3.Op) int64 {
	ctx, cancel := context.WithTimeout(w.Context(), time.Minute)
	defer cancel()
	answer, err := w.client.Txn(ctx).Then(ops...).Commit()
	require.NoError(w, err)
	return answer.Header.Revision
}

// reconciled records a reconciliation, without which a cluster-state-service serves nothing.
func (w *world) reconciled() {
	const at = "2026-01-02T03:04:05Z"
	w.commit(clientv3.OpPut("ecs/reconciled/123456789012/eu-west-1", fmt.Sprintf(`{"startedAt":%q,"finishedAt":%q}`, at, at)))
}

// key returns a record's key in etcd and its ARN. kind is task or container-instance.
func key(cluster, kind, id string) (key, arn string) {
	arn = account + kind + "/" + cluster + "/" + id
	folder := map[string]string{"task": "task", "container-instance": "instance"}[kind]
	return "ecs/" + folder + "/" + cluster + "/" + arn, arn
}

func putTask(cluster, id string, version int) clientv3.Op {
	key, arn := key(cluster, "task", id)
	return clientv3.OpPut(key, fmt.Sprintf(`{"detail":{"taskArn":%q,"clusterArn":%q,"lastStatus":"RUNNING","desiredStatus":"RUNNING",`+
		`"version":%d}}`, arn, account+"cluster/"+cluster, version))
}

func putInstance(cluster, id string, version int) clientv3.Op {
	key, arn := key(cluster, "container-instance", id)
	return clientv3.OpPut(key, fmt.Sprintf(`{"detail":{"containerInstanceArn":%q,"clusterArn":%q,"status":"ACTIVE","agentConnected":true,`+
		`"version":%d}}`, arn, account+"cluster/"+cluster, version))
}

func deleteTask(cluster, id string) clientv3.Op {
	key, _ := key(cluster, "task", id)
	return clientv3.OpDelete(key)
}

// stored returns the mod revision of each record in etcd, by ARN.
func (w *world) stored() map[string]string {
	ctx, cancel := context.WithTimeout(w.Context(), time.Minute)
	defer cancel()
	found := map[string]string{}
	for _, prefix := range []string{state.KindTask.Prefix(), state.KindInstance.Prefix()} {
		answer, err := w.client.Get(ctx, prefix, clientv3.WithPrefix(), clientv3.WithKeysOnly())
		require.NoError(w, err)
		for _, kv := range answer.Kvs {
			key, err := state.ParseKey(string(kv.Key))
			require.NoError(w, err)
			found[key.ARN] = strconv.FormatInt(kv.ModRevision, 10)
		}
	}
	return found
}

// cached returns the entity version of each of m's records of the clusters, by ARN.
func cached(m *informer.Informer, clusters ...string) map[string]string {
	found := map[string]string{}
	for _, cluster := range clusters {
		for _, task := range m.Tasks(account + "cluster/" + cluster) {
			found[*task.Entity.TaskARN] = *task.Metadata.EntityVersion
		}
		for _, instance := range m.Instances(account + "cluster/" + cluster) {
			found[*instance.Entity.ContainerInstanceARN] = *instance.Metadata.EntityVersion
		}
	}
	return found
}

// replica is a cluster-state-service that can be stopped and restarted.
type replica struct {
	*world
	address string
	stop    func() // nil while stopped
}

func (w *world) replica() *replica {
	r := &replica{world: w, address: testenv.FreeAddress(w.T)}
	r.start()
	w.Cleanup(func() { r.down() })
	return r
}

func (r *replica) start() {
	listener, err := net.Listen("tcp", r.address)
	require.NoError(r, err)
	r.address = listener.Addr().String()
	v := cache.New(cache.Config{
		WatchClient: r.server.Client(), Client: r.client, Log: r.log, HistoryLimit: 20,
		Tasks: cache.Codec[state.Task, state.TaskSummary]{
			Decode: state.DecodeTask, Version: func(t state.Task) int64 { return t.Version },
			Summarize: (*state.Task).Summary,
			Encode:    api.EncodeTask, EncodeDeleted: api.EncodeDeleted,
		},
		Instances: cache.Codec[state.Instance, state.Instance]{
			Decode: state.DecodeInstance, Version: func(i state.Instance) int64 { return i.Version },
			Summarize: (*state.Instance).Summary,
			Encode:    api.EncodeInstance, EncodeDeleted: api.EncodeDeleted,
		},
	})
	ctx, cancel := context.WithCancel(context.Background())
	parts, ctx := errgroup.WithContext(ctx)
	parts.Go(func() error { return v.Run(ctx) })
	parts.Go(func() error {
		handler := api.New(api.Config{
			Cache: v, Sources: func() []state.Source {
				return []state.Source{{Region: state.Region{Account: "123456789012", Name: "eu-west-1"}, Awaited: true}}
			},
			OutOfSpace:    func(context.Context) bool { return false },
			QueueProblems: func() []state.QueueProblem { return nil }, Log: r.log,
			Progress: func() state.IngestProgress { return state.IngestProgress{} },
		})
		return httpserver.Serve(ctx, listener, handler, r.log)
	})
	r.stop = func() {
		cancel()
		assert.NoError(r, parts.Wait())
	}
}

// down stops the replica. It reports whether it was running.
func (r *replica) down() bool {
	if r.stop == nil {
		return false
	}
	r.stop()
	r.stop = nil
	return true
}

// startInformer runs an informer of the replicas until the test ends.
func (w *world) startInformer(
	subscriber func(*informer.Informer, informer.Change), replicas ...*replica,
) *informer.Informer {
	cfg := informer.Config{Log: w.log, Heartbeat: time.Second}
	for _, r := range replicas {
		cfg.Endpoints = append(cfg.Endpoints, r.address)
	}
	m, err := informer.New(cfg)
	require.NoError(w, err)
	m.AuditEvery(time.Nanosecond)
	w.Cleanup(func() {
		n, _ := m.Differences()
		assert.Zero(w, n, "an audit found a difference")
	})
	w.Cleanup(m.Subscribe(func(c informer.Change) { subscriber(m, c) }))
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- m.Run(ctx) }()
	w.Cleanup(func() {
		cancel()
		assert.NoError(w, <-ended)
	})
	return m
}

func ignore(*informer.Informer, informer.Change) {}

// List and stream miss nothing, and a subscriber can derive the whole state from changes alone.
func TestInformer_EqualsStore(t *testing.T) {
	w := newWorld(t)
	w.reconciled()
	replicas := []*replica{w.replica(), w.replica()}
	var mu sync.Mutex
	notified := map[string]string{} // the copy as the subscriber reads it at each change
	m := w.startInformer(func(m *informer.Informer, c informer.Change) {
		mu.Lock()
		defer mu.Unlock()
		delete(notified, c.ARN)
		if task := m.Task(c.ARN); c.Kind == informer.KindTask && task != nil {
			notified[c.ARN] = *task.Metadata.EntityVersion
		}
		if instance := m.Instance(c.ARN); c.Kind == informer.KindInstance && instance != nil {
			notified[c.ARN] = *instance.Metadata.EntityVersion
		}
	}, replicas...)

	chance := rand.New(rand.NewPCG(1, 2))
	cluster := func() string { return []string{"prod", "test"}[chance.IntN(2)] }
	id := func() string { return fmt.Sprintf("%032d", chance.IntN(50)) }
	for step := range 1000 {
		switch n := chance.IntN(100); {
		case n < 2: // stop or start a replica
			if r := replicas[chance.IntN(2)]; !r.down() {
				r.start()
			}
		case n < 3: // an informer that lags must list again
			revision := w.commit(putTask(cluster(), id(), step))
			_, err := w.client.Compact(t.Context(), revision)
			require.NoError(t, err)
		case n < 4: // one transaction, one version
			ops := map[string]clientv3.Op{}
			for range 50 {
				op := putTask(cluster(), id(), step)
				ops[string(op.KeyBytes())] = op
			}
			w.commit(slices.Collect(maps.Values(ops))...)
		case n < 20:
			w.commit(deleteTask(cluster(), id()))
		case n < 30:
			w.commit(putInstance(cluster(), id(), step))
		default:
			w.commit(putTask(cluster(), id(), step))
		}
	}
	if replicas[0].stop == nil {
		replicas[0].start()
	}
	want := w.stored()
	testenv.Eventually(t, func() bool { return maps.Equal(want, cached(m, "prod", "test")) })
	// A list replaces the copy before it notifies subscribers of every record.
	testenv.Eventually(t, func() bool {
		mu.Lock()
		defer mu.Unlock()
		return maps.Equal(want, notified)
	}, "the subscriber's copy differs from the store")
}

func TestInformer_ReportsMissedDeletions(t *testing.T) {
	w := newWorld(t)
	w.reconciled()
	w.commit(putTask("prod", "a", 1), putTask("prod", "b", 1))
	r := w.replica()
	changes := make(chan informer.Change, 100)
	m := w.startInformer(func(_ *informer.Informer, c informer.Change) { changes <- c }, r)
	testenv.Eventually(t, func() bool { return len(m.Tasks(account+"cluster/prod")) == 2 })
	testenv.Receive(t, changes)
	testenv.Receive(t, changes)
	listed := m.ListedAt()

	r.down()
	_, err := w.client.Compact(t.Context(), w.commit(deleteTask("prod", "a")))
	require.NoError(t, err)
	w.commit(deleteTask("test", "c"))
	r.start()
	_, arn := key("prod", "task", "a")
	change := testenv.Receive(t, changes, "the deletion of a is not reported")
	assert.Equal(t, arn, *change.OldTask.Entity.TaskARN)
	change.OldTask = nil
	assert.Equal(t, informer.Change{
		ClusterARN: account + "cluster/prod", Kind: informer.KindTask, ARN: arn, Deleted: true, Relisted: true,
	}, change)
	assert.Nil(t, m.Task(arn))
	assert.True(t, m.ListedAt().After(listed))
}

func TestInformer_WaitsForFirstReconciliation(t *testing.T) {
	w := newWorld(t)
	w.commit(putTask("prod", "b", 1), putTask("prod", "a", 1), putTask("prod2", "c", 1), putInstance("prod", "i", 1))
	m := w.startInformer(ignore, w.replica())
	assert.False(t, m.Synced())
	assert.Zero(t, m.ReconciledAt())

	w.reconciled()
	testenv.Eventually(t, m.Synced)
	assert.Equal(t, "2026-01-02T03:04:05Z", m.ReconciledAt().Format(time.RFC3339))
	assert.Less(t, m.Age(time.Now()), time.Hour)

	var ordered []string
	for _, task := range m.Tasks(account + "cluster/prod") {
		ordered = append(ordered, *task.Entity.TaskARN)
	}
	assert.Equal(t, []string{account + "task/prod/a", account + "task/prod/b"}, ordered)
	_, instance := key("prod", "container-instance", "i")
	require.NotNil(t, m.Instance(instance))
	assert.True(t, *m.Instance(instance).Entity.AgentConnected)
}

func TestInformer_AgeGrowsDuringOutage(t *testing.T) {
	w := newWorld(t)
	w.reconciled()
	r := w.replica()
	m := w.startInformer(ignore, r)
	testenv.Eventually(t, m.Synced)

	r.down()
	since := time.Now()
	assert.GreaterOrEqual(t, m.Age(since.Add(time.Minute)), time.Minute,
		"the copy counts as current although its source is down")
	r.start()
	testenv.Eventually(t, func() bool { return m.Age(since.Add(time.Minute)) < time.Minute })
}

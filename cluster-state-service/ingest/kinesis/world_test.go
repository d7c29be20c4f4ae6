package kinesis

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/sirupsen/logrus"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/goleak"

	"github.com/blox/blox/cluster-state-service/ingest"
	"github.com/blox/blox/cluster-state-service/state"
	"github.com/blox/blox/cluster-state-service/store"
	"github.com/blox/blox/internal/awsconfig"
	"github.com/blox/blox/internal/ecssim"
	"github.com/blox/blox/internal/testenv"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// world is a simulated AWS with the stream "events", and an etcd.
type world struct {
	t        *testing.T
	sim      *ecssim.Sim
	url      string
	kinesis  *kinesis.Client
	server   *testenv.Server
	etcd     *clientv3.Client
	recorded versionLog // each version when a replica first recorded it
}

func newWorld(t *testing.T, shards int) *world {
	t.Helper()
	w := &world{t: t, server: testenv.EtcdServer(t), recorded: versionLog{unique: true}}
	w.sim = ecssim.New(ecssim.Config{StreamName: "events", StreamShards: shards})
	aws := httptest.NewServer(w.sim)
	t.Cleanup(func() { w.sim.Close(); aws.Close() })
	w.url = aws.URL
	w.etcd = w.server.Client()
	w.kinesis = newClient(w.url)
	return w
}

func newClient(url string) *kinesis.Client {
	return kinesis.New(kinesis.Options{
		Region: "us-east-1", BaseEndpoint: &url, Credentials: aws.AnonymousCredentials{},
		HTTPClient: awsconfig.BufferBodies(http.DefaultClient),
	})
}

// versionLog holds the recorded versions of each task, in order.
type versionLog struct {
	mu       sync.Mutex
	versions map[string][]int64 // by ARN
	unique   bool               // ignores versions that are in the log already
}

func (l *versionLog) add(records []state.Record) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, r := range records {
		if l.versions == nil {
			l.versions = map[string][]int64{}
		}
		if !l.unique || !slices.Contains(l.versions[r.Key.ARN], r.Version) {
			l.versions[r.Key.ARN] = append(l.versions[r.Key.ARN], r.Version)
		}
	}
}

func (l *versionLog) byTask() map[string][]int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	versions := map[string][]int64{}
	for arn, all := range l.versions {
		versions[arn] = slices.Clone(all)
	}
	return versions
}

// replica is a Consumer with its Writer and Store.
type replica struct {
	store    *store.Store
	recorded versionLog
	world    *world
	paused   <-chan struct{} // Record waits until it is closed; nil for never
	etcd     *clientv3.Client
	metrics  *prometheus.Registry
	stop     func()
}

func (r *replica) Record(ctx context.Context, records []state.Record) error {
	if r.paused != nil {
		select {
		case <-r.paused:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	r.recorded.add(records)
	r.world.recorded.add(records)
	return r.store.Record(ctx, records)
}

// options differ from one replica to the next. The zero value gives the defaults.
type options struct {
	client      *kinesis.Client
	readTimeout time.Duration
	paused      <-chan struct{} // no record is stored before it is closed
	log         logrus.FieldLogger
}

// start runs a replica until the test ends or calls stop.
func (w *world) start(name string, o options) *replica {
	w.t.Helper()
	if o.client == nil {
		o.client = w.kinesis
	}
	if o.log == nil {
		o.log = testenv.Logger(w.t).WithField("replica", name)
	}
	r := &replica{world: w, paused: o.paused, etcd: w.server.Client(), metrics: prometheus.NewRegistry()}
	r.store = store.New(r.etcd, func(state.Key) state.StoredVersion { return state.StoredVersion{} }, nil)
	writer := ingest.NewWriter(ingest.WriterConfig{Recorder: r, Log: o.log, Metrics: r.metrics})
	consumer := NewConsumer(Config{
		Connectivity: ingest.NewConnectivity(nil),
		Client:       o.client, Address: ingest.Address{Name: "events"}, Member: name,
		Store: r.store, Writer: writer, Log: o.log,
		ReadInterval: 5 * time.Millisecond, RebalanceInterval: 30 * time.Millisecond, ReadTimeout: o.readTimeout,
	})
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { assert.NoError(w.t, writer.Run(ctx)) })
	running.Go(func() { assert.NoError(w.t, consumer.Run(ctx)) })
	r.stop = sync.OnceFunc(func() { cancel(); running.Wait() })
	w.t.Cleanup(r.stop)
	return r
}

func taskARN(n int) string {
	return fmt.Sprintf("arn:aws:ecs:eu-west-1:123456789012:task/prod/1a2b3c4d5e6f47889900%012d", n)
}

// putEvents puts an event with the version into the stream for each task.
func (w *world) putEvents(version, tasks int) {
	w.t.Helper()
	for n := range tasks {
		w.putRecord(taskARN(n), string(testenv.Event(w.t, "task-ec2-running.json",
			"arn:aws:ecs:eu-west-1:123456789012:task/prod/1a2b3c4d5e6f47889900aabbccddeeff", taskARN(n),
			`"version": 3`, fmt.Sprintf(`"version": %d`, version))))
	}
}

func (w *world) putRecord(key, body string) {
	w.t.Helper()
	_, err := w.kinesis.PutRecord(w.t.Context(), &kinesis.PutRecordInput{
		StreamName: aws.String("events"), PartitionKey: &key, Data: []byte(body),
	})
	require.NoError(w.t, err)
}

// awaitVersion waits until etcd holds the version of each task.
func (w *world) awaitVersion(version int64, tasks int) {
	w.t.Helper()
	testenv.Eventually(w.t, func() bool {
		response, err := w.etcd.Get(w.t.Context(), "ecs/task/", clientv3.WithPrefix())
		require.NoError(w.t, err)
		for _, kv := range response.Kvs {
			if got, err := state.DecodeVersion(state.KindTask, kv.Value); err != nil || got != version {
				return false
			}
		}
		return len(response.Kvs) == tasks
	}, "version %d of %d tasks", version, tasks)
}

func (w *world) shards() []types.Shard {
	w.t.Helper()
	output, err := w.kinesis.ListShards(w.t.Context(), &kinesis.ListShardsInput{StreamName: aws.String("events")})
	require.NoError(w.t, err)
	return output.Shards
}

func (w *world) checkpoint(shard string) (c checkpoint) {
	w.t.Helper()
	response, err := w.etcd.Get(w.t.Context(), "ecs/kinesis/events/"+shard)
	require.NoError(w.t, err)
	if len(response.Kvs) > 0 {
		require.NoError(w.t, json.Unmarshal(response.Kvs[0].Value, &c))
	}
	return c
}

// awaitCheckpoints waits until every shard has a checkpoint at its last record. A checkpoint that Kinesis rejects
// counts as none: the reader replaces it after its first commit.
func (w *world) awaitCheckpoints() {
	w.t.Helper()
	s := newStream(w.kinesis, ingest.Address{Name: "events"})
	for _, shard := range w.shards() {
		testenv.Eventually(w.t, func() bool {
			c := w.checkpoint(*shard.ShardId)
			iterator, err := s.iterator(w.t.Context(), *shard.ShardId, c.SequenceNumber)
			if isInvalid(err) {
				return false
			}
			require.NoError(w.t, err)
			unread, next, err := s.read(w.t.Context(), iterator)
			require.NoError(w.t, err)
			return len(unread) == 0 && c.Ended == (next == nil)
		}, "checkpoint of %s", *shard.ShardId)
	}
}

func isClosed(s types.Shard) bool { return s.SequenceNumberRange.EndingSequenceNumber != nil }

// owners returns the number of shards that each replica owns.
func (w *world) owners() map[string]int {
	w.t.Helper()
	response, err := w.etcd.Get(w.t.Context(), "ecs/lock/kinesis/events/shardId", clientv3.WithPrefix())
	require.NoError(w.t, err)
	count := map[string]int{}
	for _, kv := range response.Kvs {
		count[string(kv.Value)]++
	}
	return count
}

func (w *world) awaitOwners(want map[string]int) {
	w.t.Helper()
	testenv.Eventually(w.t, func() bool { return assert.ObjectsAreEqual(want, w.owners()) }, "%v", want)
}

// versions returns the versions from first to last of each task.
func versions(first, last int64, tasks int) map[string][]int64 {
	all := map[string][]int64{}
	for n := range tasks {
		for v := first; v <= last; v++ {
			all[taskARN(n)] = append(all[taskARN(n)], v)
		}
	}
	return all
}

func (w *world) splitShard(shard, newStartingHashKey string) {
	w.t.Helper()
	_, err := w.kinesis.SplitShard(w.t.Context(), &kinesis.SplitShardInput{
		StreamName: aws.String("events"), ShardToSplit: &shard, NewStartingHashKey: &newStartingHashKey,
	})
	require.NoError(w.t, err)
}

func (w *world) mergeShards(shard, adjacent string) {
	w.t.Helper()
	_, err := w.kinesis.MergeShards(w.t.Context(), &kinesis.MergeShardsInput{
		StreamName: aws.String("events"), ShardToMerge: &shard, AdjacentShardToMerge: &adjacent,
	})
	require.NoError(w.t, err)
}

package ingest

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/sirupsen/logrus"
	"github.com/sirupsen/logrus/hooks/test"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/blox/blox/cluster-state-service/state"
	"github.com/blox/blox/cluster-state-service/store"
	"github.com/blox/blox/internal/awsconfig"
	"github.com/blox/blox/internal/ecssim"
	"github.com/blox/blox/internal/testenv"
)

// streamWorld is a simulated AWS with the stream "events", and an etcd.
type streamWorld struct {
	t       *testing.T
	sim     *ecssim.Sim
	url     string
	kinesis *kinesis.Client
	server  *testenv.Server
	etcd    *clientv3.Client
	first   seen // each version, the first time that any replica sent it to the store
}

func newStreamWorld(t *testing.T, shards int) *streamWorld {
	t.Helper()
	w := &streamWorld{t: t, sim: ecssim.New(ecssim.Config{StreamName: "events", StreamShards: shards}), server: testenv.EtcdServer(t)}
	aws := httptest.NewServer(w.sim)
	t.Cleanup(func() { w.sim.Close(); aws.Close() })
	w.url, w.etcd = aws.URL, w.server.Client()
	w.kinesis = w.client()
	return w
}

func (w *streamWorld) client() *kinesis.Client { return clientOf(w.url) }

func clientOf(url string) *kinesis.Client {
	return kinesis.New(kinesis.Options{Region: "us-east-1", BaseEndpoint: &url, Credentials: aws.AnonymousCredentials{}, HTTPClient: awsconfig.BufferBodies(http.DefaultClient)})
}

// seen notes the versions of each entity on their way to the store.
type seen struct {
	mu    sync.Mutex
	of    map[string][]int64
	again bool // a version that was there before is noted again
}

func (s *seen) note(records []state.Record) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range records {
		if s.of == nil {
			s.of = map[string][]int64{}
		}
		if s.again || !slices.Contains(s.of[r.Key.ARN], r.Version) {
			s.of[r.Key.ARN] = append(s.of[r.Key.ARN], r.Version)
		}
	}
}

func (s *seen) versions() map[string][]int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	versions := map[string][]int64{}
	for arn, all := range s.of {
		versions[arn] = slices.Clone(all)
	}
	return versions
}

// replica is one reader of the stream, and what it has sent to the store.
type replica struct {
	*store.Store
	seen
	first   *seen // of all replicas
	etcd    *clientv3.Client
	metrics *prometheus.Registry
	stop    func()
}

func (r *replica) Record(ctx context.Context, records []state.Record) error {
	r.note(records)
	r.first.note(records)
	return r.Store.Record(ctx, records)
}

// start runs a replica until the test ends or it is stopped.
func (w *streamWorld) start(name string, log ...logrus.FieldLogger) *replica {
	w.t.Helper()
	log = append(log, testenv.Logger(w.t).WithField("replica", name))
	return w.startWith(name, w.client(), Options{}, log[0])
}

// startWith is start with a client of Kinesis, and some options, of its own.
func (w *streamWorld) startWith(name string, kinesis *kinesis.Client, options Options, log logrus.FieldLogger) *replica {
	w.t.Helper()
	client := w.server.Client()
	r := &replica{
		Store: store.New(client, func(state.Key) state.StoredVersion { return state.StoredVersion{} }, nil), seen: seen{again: true}, first: &w.first,
		etcd: client, metrics: prometheus.NewRegistry(),
	}
	from := Stream{
		Client: kinesis, Name: "events", Member: name,
		Join: func(ctx context.Context, work func(context.Context, Membership) error) error {
			return r.JoinGroup(ctx, "events", name, func(ctx context.Context, s *store.GroupMember) error { return work(ctx, s) })
		},
	}
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	options.ReadInterval, options.RebalanceInterval, options.Metrics = 5*time.Millisecond, 30*time.Millisecond, r.metrics
	running.Go(func() {
		assert.NoError(w.t, ConsumeStream(ctx, from, r, log, options))
	})
	r.stop = sync.OnceFunc(func() { cancel(); running.Wait() })
	w.t.Cleanup(r.stop)
	return r
}

// taskARN is that of one of the tests' own tasks.
func taskARN(n int) string {
	return fmt.Sprintf("arn:aws:ecs:eu-west-1:123456789012:task/prod/1a2b3c4d5e6f47889900%012d", n)
}

// put puts an event of a version of each of the tasks into the stream.
func (w *streamWorld) put(version, tasks int) {
	w.t.Helper()
	for n := range tasks {
		w.putRaw(taskARN(n), string(testenv.Event(w.t, "task-ec2-running.json",
			"arn:aws:ecs:eu-west-1:123456789012:task/prod/1a2b3c4d5e6f47889900aabbccddeeff", taskARN(n), `"version": 3`, fmt.Sprintf(`"version": %d`, version))))
	}
}

func (w *streamWorld) putRaw(key, body string) {
	w.t.Helper()
	_, err := w.kinesis.PutRecord(w.t.Context(), &kinesis.PutRecordInput{StreamName: aws.String("events"), PartitionKey: &key, Data: []byte(body)})
	require.NoError(w.t, err)
}

// stored waits until the store has the version of each of the tasks.
func (w *streamWorld) stored(version int64, tasks int) {
	w.t.Helper()
	testenv.Eventually(w.t, func() bool {
		answer, err := w.etcd.Get(w.t.Context(), "ecs/task/", clientv3.WithPrefix())
		require.NoError(w.t, err)
		for _, kv := range answer.Kvs {
			if got, err := store.Version(state.KindTask, kv.Value); err != nil || got != version {
				return false
			}
		}
		return len(answer.Kvs) == tasks
	}, "version %d of %d tasks", version, tasks)
}

func (w *streamWorld) shards() []types.Shard {
	w.t.Helper()
	out, err := w.kinesis.ListShards(w.t.Context(), &kinesis.ListShardsInput{StreamName: aws.String("events")})
	require.NoError(w.t, err)
	return out.Shards
}

func (w *streamWorld) checkpoint(shard string) (c checkpoint) {
	w.t.Helper()
	answer, err := w.etcd.Get(w.t.Context(), "ecs/kinesis/events/"+shard)
	require.NoError(w.t, err)
	if len(answer.Kvs) > 0 {
		require.NoError(w.t, json.Unmarshal(answer.Kvs[0].Value, &c))
	}
	return c
}

// settled waits until every shard has a checkpoint behind its last record.
func (w *streamWorld) settled() {
	w.t.Helper()
	from := stream{w.kinesis, "events"}
	for _, s := range w.shards() {
		testenv.Eventually(w.t, func() bool {
			c := w.checkpoint(*s.ShardId)
			iterator, err := from.iterator(w.t.Context(), *s.ShardId, c.SequenceNumber)
			require.NoError(w.t, err)
			left, next, err := from.read(w.t.Context(), iterator)
			require.NoError(w.t, err)
			return len(left) == 0 && c.Ended == (next == nil)
		}, "checkpoint of %s", *s.ShardId)
	}
}

// holders is how many shards each replica holds.
func (w *streamWorld) holders() map[string]int {
	w.t.Helper()
	answer, err := w.etcd.Get(w.t.Context(), "ecs/lock/kinesis/events/shardId", clientv3.WithPrefix())
	require.NoError(w.t, err)
	count := map[string]int{}
	for _, kv := range answer.Kvs {
		count[string(kv.Value)]++
	}
	return count
}

func (w *streamWorld) held(want map[string]int) {
	w.t.Helper()
	testenv.Eventually(w.t, func() bool { return assert.ObjectsAreEqual(want, w.holders()) }, "%v", want)
}

// upTo is the versions from one to another, of each of the tasks.
func upTo(from, to int64, tasks int) map[string][]int64 {
	all := map[string][]int64{}
	for n := range tasks {
		for v := from; v <= to; v++ {
			all[taskARN(n)] = append(all[taskARN(n)], v)
		}
	}
	return all
}

func TestAStreamIsFollowedAndResumed(t *testing.T) {
	w := newStreamWorld(t, 3)
	w.sim.RegisterTaskDefinition("agent")
	w.put(1, 10) // before anybody reads
	first := w.start("first")
	w.put(2, 10)
	w.stored(2, 10)
	w.settled()
	first.stop()
	assert.Equal(t, upTo(1, 2, 10), first.versions(), "each once, in order")
	assert.Empty(t, w.holders(), "all is given back")

	w.put(3, 10)
	second := w.start("second")
	w.stored(3, 10)
	w.settled()
	assert.Equal(t, upTo(3, 3, 10), second.versions(), "nothing that had a checkpoint is read again")
}

// What ECS itself sends arrives.
func TestEventsOfECSArriveByStream(t *testing.T) {
	w := newStreamWorld(t, 2)
	w.start("one")
	instances := w.sim.AddInstances("default", 5)
	w.sim.StartFargateTask("default", "web")
	require.NoError(t, w.sim.DrainInstance(instances[0]))
	testenv.Eventually(t, func() bool {
		for _, i := range w.sim.Instances("") {
			answer, err := w.etcd.Get(t.Context(), "ecs/instance/default/"+i.ARN)
			require.NoError(t, err)
			if len(answer.Kvs) == 0 || !strings.Contains(string(answer.Kvs[0].Value), fmt.Sprintf(`"status":%q`, i.Status)) {
				return false
			}
		}
		answer, err := w.etcd.Get(t.Context(), "ecs/task/default/"+w.sim.Tasks("")[0].ARN)
		require.NoError(t, err)
		return len(answer.Kvs) == 1
	})
}

func TestReshardingKeepsTheOrderAndLosesNothing(t *testing.T) {
	for name, replicas := range map[string]int{"one replica": 1, "three replicas": 3} {
		t.Run(name, func(t *testing.T) {
			w := newStreamWorld(t, 1)
			var running []*replica
			for i := range replicas {
				running = append(running, w.start(fmt.Sprint("replica", i)))
			}
			const tasks, versions = 12, 40
			for v := 1; v <= versions; v++ {
				w.put(v, tasks)
				open := slices.DeleteFunc(w.shards(), func(s types.Shard) bool { return s.SequenceNumberRange.EndingSequenceNumber != nil })
				switch {
				case v == 10:
					w.split(*open[0].ShardId, "170141183460469231731687303715884105728")
				case v == 12:
					w.split(*open[1].ShardId, "255211775190703847597530955573826158592")
				case v == 20:
					w.merge(*open[0].ShardId, *open[1].ShardId)
				case v == 30:
					w.merge(*open[0].ShardId, *open[1].ShardId)
				}
			}
			w.stored(versions, tasks)
			w.settled()
			assert.Equal(t, upTo(1, versions, tasks), w.first.versions(), "each in order")
			if replicas == 1 {
				assert.Equal(t, upTo(1, versions, tasks), running[0].versions(), "each once")
			}
			for _, s := range w.shards() {
				assert.Equal(t, s.SequenceNumberRange.EndingSequenceNumber != nil, w.checkpoint(*s.ShardId).Ended)
			}
			// Nobody reads to the end again what had ended.
			for _, r := range running {
				r.stop()
			}
			last := w.start("last")
			w.put(versions+1, tasks)
			w.stored(versions+1, tasks)
			assert.Equal(t, upTo(versions+1, versions+1, tasks), last.versions())
		})
	}
}

func (w *streamWorld) split(shard, at string) {
	w.t.Helper()
	_, err := w.kinesis.SplitShard(w.t.Context(), &kinesis.SplitShardInput{StreamName: aws.String("events"), ShardToSplit: &shard, NewStartingHashKey: &at})
	require.NoError(w.t, err)
}

func (w *streamWorld) merge(shard, with string) {
	w.t.Helper()
	_, err := w.kinesis.MergeShards(w.t.Context(), &kinesis.MergeShardsInput{StreamName: aws.String("events"), ShardToMerge: &shard, AdjacentShardToMerge: &with})
	require.NoError(w.t, err)
}

func TestExpiredIteratorsAndThrottling(t *testing.T) {
	w := newStreamWorld(t, 2)
	r := w.start("one")
	for v := 1; v <= 20; v++ {
		w.put(v, 5)
		require.NoError(t, w.sim.ExpireIterators("events"))
		if v == 10 {
			w.sim.SetFaults(ecssim.Faults{Throttle: map[string]float64{"GetRecords": 0.3, "GetShardIterator": 0.3, "ListShards": 0.3}})
		}
	}
	w.stored(20, 5)
	calls := w.sim.Counters().Calls
	assert.Positive(t, calls["GetRecords"]["ExpiredIteratorException"])
	assert.Positive(t, calls["GetRecords"]["ProvisionedThroughputExceededException"])
	assert.Equal(t, upTo(1, 20, 5), r.versions(), "each once, in order")
}

func TestReplicasShareTheShardsAndTheDeadAreSucceeded(t *testing.T) {
	w := newStreamWorld(t, 4)
	one := w.start("one")
	w.held(map[string]int{"one": 4})
	w.start("two")
	w.held(map[string]int{"one": 2, "two": 2})
	three := w.start("three")
	testenv.Eventually(t, func() bool { h := w.holders(); return h["one"] > 0 && h["two"] > 0 && h["three"] > 0 })
	three.stop()
	w.held(map[string]int{"one": 2, "two": 2})
	w.put(1, 20)
	w.stored(1, 20)

	// One is cut off from etcd, and its lease runs out.
	locks, err := w.etcd.Get(t.Context(), "ecs/lock/kinesis/events/replica/one")
	require.NoError(t, err)
	require.Len(t, locks.Kvs, 1)
	require.NoError(t, one.etcd.Close())
	w.put(2, 20)
	_, err = w.etcd.Revoke(t.Context(), clientv3.LeaseID(locks.Kvs[0].Lease))
	require.NoError(t, err)
	w.stored(2, 20)
	w.held(map[string]int{"two": 4})
}

func TestABrokenRecordIsSkipped(t *testing.T) {
	w := newStreamWorld(t, 1)
	log, logged := test.NewNullLogger()
	r := w.start("one", log)
	w.putRaw("k", string(testenv.Event(t, "broken.txt")))
	w.putRaw("k", string(testenv.Event(t, "service-action.json")))
	w.put(1, 2)
	w.stored(1, 2)
	w.putRaw("k", "{}") // the last one of all
	w.settled()
	r.stop()
	broken := slices.DeleteFunc(logged.AllEntries(), func(e *logrus.Entry) bool { return e.Message != "event cannot be decoded" })
	assert.Len(t, broken, 2, "each is logged once")
	counted, err := r.metrics.Gather()
	require.NoError(t, err)
	outcomes := map[string]float64{}
	for _, family := range counted {
		for _, m := range family.GetMetric() {
			if family.GetName() == "blox_events_total" {
				outcomes[m.GetLabel()[0].GetValue()+" "+m.GetLabel()[1].GetValue()] = m.GetCounter().GetValue()
			}
		}
	}
	assert.Equal(t, map[string]float64{"task recorded": 2, "other skipped": 1, "other undecodable": 2}, outcomes)
	again := w.start("two")
	w.put(2, 2)
	w.stored(2, 2)
	assert.Equal(t, upTo(2, 2, 2), again.versions())
}

// Another stream of the same name has shards of the same names; the checkpoints of the first are not for it.
func TestAStreamMadeAnewIsReadFromItsBeginning(t *testing.T) {
	w := newStreamWorld(t, 1)
	w.start("one")
	w.put(1, 3)
	w.split(*w.shards()[0].ShardId, "5")
	w.put(2, 3)
	w.stored(2, 3)
	w.settled()
	_, err := w.kinesis.DeleteStream(t.Context(), &kinesis.DeleteStreamInput{StreamName: aws.String("events")})
	require.NoError(t, err)
	w.held(map[string]int{})
	_, err = w.kinesis.CreateStream(t.Context(), &kinesis.CreateStreamInput{StreamName: aws.String("events"), ShardCount: aws.Int32(1)})
	require.NoError(t, err)
	w.put(3, 3)
	w.stored(3, 3)
	w.settled()
	keys, err := w.etcd.Get(t.Context(), "ecs/kinesis/events/", clientv3.WithPrefix(), clientv3.WithCountOnly())
	require.NoError(t, err)
	testenv.Eventually(t, func() bool {
		keys, err = w.etcd.Get(t.Context(), "ecs/kinesis/events/", clientv3.WithPrefix(), clientv3.WithCountOnly())
		require.NoError(t, err)
		return keys.Count == 1
	}, "checkpoints of shards that are not there any more are forgotten")
}

// A checkpoint that Kinesis refuses does not stop the reading.
func TestACheckpointOfNothing(t *testing.T) {
	w := newStreamWorld(t, 1)
	created, err := stream{w.kinesis, "events"}.created(t.Context())
	require.NoError(t, err)
	value, err := json.Marshal(checkpoint{SequenceNumber: "17", StreamCreated: created})
	require.NoError(t, err)
	_, err = w.etcd.Put(t.Context(), "ecs/kinesis/events/shardId-000000000000", string(value))
	require.NoError(t, err)
	w.put(1, 3)
	w.start("one")
	w.stored(1, 3)
	w.settled()
}

// Etcd and Kinesis go away and come back.
func TestAStreamOutlivesOutages(t *testing.T) {
	w := newStreamWorld(t, 2)
	w.start("one")
	w.put(1, 5)
	w.stored(1, 5)
	w.server.Stop()
	w.put(2, 5)
	w.server.Start()
	w.stored(2, 5)
	w.sim.SetDown("kinesis", true)
	calls := w.sim.Calls("GetRecords")
	testenv.Eventually(t, func() bool { return w.sim.Calls("GetRecords") > calls+2 })
	w.sim.SetDown("kinesis", false)
	w.put(3, 5)
	w.stored(3, 5)
}

// A replica that reaches etcd but not Kinesis leaves its shards to those that do, and has its share again when it can read.
func TestShardsThatCannotBeReadAreGivenUp(t *testing.T) {
	w := newStreamWorld(t, 4)
	way := testenv.NewProxy(t, strings.TrimPrefix(w.url, "http://"))
	log := testenv.Logger(t).WithField("replica", "one")
	one := w.startWith("one", clientOf("http://"+way.Address()), Options{ReadTimeout: 300 * time.Millisecond}, log)
	w.held(map[string]int{"one": 4})
	w.start("two")
	w.held(map[string]int{"one": 2, "two": 2})
	w.put(1, 20)
	w.stored(1, 20)

	way.Cut(true)
	w.put(2, 20)
	w.stored(2, 20)
	w.held(map[string]int{"two": 4})
	replicas, err := w.etcd.Get(t.Context(), "ecs/lock/kinesis/events/replica/", clientv3.WithPrefix(), clientv3.WithCountOnly())
	require.NoError(t, err)
	assert.Equal(t, int64(1), replicas.Count, "who cannot read has no share")

	way.Cut(false)
	w.held(map[string]int{"one": 2, "two": 2})
	w.put(3, 20)
	w.stored(3, 20)
	assert.Equal(t, upTo(1, 3, 20), w.first.versions(), "each in order")
	one.stop()
}

// A replica that can list the shards but not read them, as for want of a permission, has no share either.
func TestWhoMayNotReadHasNoShare(t *testing.T) {
	w := newStreamWorld(t, 2)
	w.sim.SetFaults(ecssim.Faults{ServerErrors: map[string]float64{"GetRecords": 1}})
	w.startWith("one", w.client(), Options{ReadTimeout: 100 * time.Millisecond}, testenv.Logger(t))
	testenv.Eventually(t, func() bool { return w.sim.Calls("GetRecords") > 3 })
	assert.Empty(t, w.holders())
	w.sim.SetFaults(ecssim.Faults{})
	w.held(map[string]int{"one": 2})

	w.sim.SetFaults(ecssim.Faults{ServerErrors: map[string]float64{"GetRecords": 1}})
	w.held(map[string]int{})
	w.put(1, 5)
	w.sim.SetFaults(ecssim.Faults{})
	w.stored(1, 5)
}

// Also one that has no shard, and was just about to look whether the stream is still the same.
func TestAnIdleReplicaNoticesThatItIsCutOff(t *testing.T) {
	for name, checked := range map[string]time.Time{
		"about to list": time.Now(), "about to describe": time.Now().Add(-describeEvery),
	} {
		f := &follower{stream: stream{clientOf("http://127.0.0.1:1"), "events"}, checked: checked, log: testenv.Logger(t)}
		require.Error(t, f.look(t.Context()), name)
		testenv.Eventually(t, func() bool { return f.reach.lost(0) })
	}
}

package kinesis

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/sirupsen/logrus"
	"github.com/sirupsen/logrus/hooks/test"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/blox/blox/cluster-state-service/ingest"
	"github.com/blox/blox/internal/ecssim"
	"github.com/blox/blox/internal/testenv"
)

func TestConsumer_ResumesAtCheckpoints(t *testing.T) {
	w := newWorld(t, 3)
	w.sim.RegisterTaskDefinition("agent")
	w.putEvents(1, 10) // before any reader starts
	first := w.start("first", options{})
	w.putEvents(2, 10)
	w.awaitVersion(2, 10)
	w.awaitCheckpoints()
	first.stop()
	assert.Equal(t, versions(1, 2, 10), first.recorded.byTask(), "each once, in order")
	assert.Empty(t, w.owners(), "all shards are released")

	w.putEvents(3, 10)
	second := w.start("second", options{})
	w.awaitVersion(3, 10)
	w.awaitCheckpoints()
	assert.Equal(t, versions(3, 3, 10), second.recorded.byTask(), "records before the checkpoints are not read again")
}

func TestConsumer_RecordsEventsOfECS(t *testing.T) {
	w := newWorld(t, 2)
	w.start("one", options{})
	instances := w.sim.AddInstances("default", 5)
	w.sim.StartFargateTask("default", "web")
	require.NoError(t, w.sim.DrainInstance(instances[0]))
	testenv.Eventually(t, func() bool {
		for _, i := range w.sim.Instances("") {
			response, err := w.etcd.Get(t.Context(), "ecs/instance/default/"+i.ARN)
			require.NoError(t, err)
			if len(response.Kvs) == 0 || !strings.Contains(string(response.Kvs[0].Value), fmt.Sprintf(`"status":%q`, i.Status)) {
				return false
			}
		}
		response, err := w.etcd.Get(t.Context(), "ecs/task/default/"+w.sim.Tasks("")[0].ARN)
		require.NoError(t, err)
		return len(response.Kvs) == 1
	})
}

func TestConsumer_KeepsOrderWhileShardsSplitAndMerge(t *testing.T) {
	for name, replicas := range map[string]int{"one replica": 1, "three replicas": 3} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, 1)
			var running []*replica
			for i := range replicas {
				running = append(running, w.start(fmt.Sprint("replica", i), options{}))
			}
			const tasks, last = 12, 40
			for v := 1; v <= last; v++ {
				w.putEvents(v, tasks)
				open := slices.DeleteFunc(w.shards(), isClosed)
				switch {
				case v == 10:
					w.splitShard(*open[0].ShardId, "170141183460469231731687303715884105728")
				case v == 12:
					w.splitShard(*open[1].ShardId, "255211775190703847597530955573826158592")
				case v == 20:
					w.mergeShards(*open[0].ShardId, *open[1].ShardId)
				case v == 30:
					w.mergeShards(*open[0].ShardId, *open[1].ShardId)
				}
			}
			w.awaitVersion(last, tasks)
			w.awaitCheckpoints()
			assert.Equal(t, versions(1, last, tasks), w.recorded.byTask(), "each in order")
			if replicas == 1 {
				assert.Equal(t, versions(1, last, tasks), running[0].recorded.byTask(), "each once")
			}
			for _, s := range w.shards() {
				assert.Equal(t, isClosed(s), w.checkpoint(*s.ShardId).Ended)
			}
			// No replica reads an ended shard again.
			for _, r := range running {
				r.stop()
			}
			final := w.start("final", options{})
			w.putEvents(last+1, tasks)
			w.awaitVersion(last+1, tasks)
			assert.Equal(t, versions(last+1, last+1, tasks), final.recorded.byTask())
		})
	}
}

func TestConsumer_SurvivesExpiredIteratorsAndThrottling(t *testing.T) {
	w := newWorld(t, 2)
	r := w.start("one", options{})
	for v := 1; v <= 20; v++ {
		w.putEvents(v, 5)
		require.NoError(t, w.sim.ExpireIterators("events"))
		if v == 10 {
			w.sim.SetFaults(ecssim.Faults{
				Throttle: map[string]float64{"GetRecords": 0.3, "GetShardIterator": 0.3, "ListShards": 0.3},
			})
		}
	}
	w.awaitVersion(20, 5)
	calls := w.sim.Counters().Calls
	assert.Positive(t, calls["GetRecords"]["ExpiredIteratorException"])
	assert.Positive(t, calls["GetRecords"]["ProvisionedThroughputExceededException"])
	assert.Equal(t, versions(1, 20, 5), r.recorded.byTask(), "each once, in order")
}

func TestConsumer_SharesShardsAndReplacesDeadMembers(t *testing.T) {
	w := newWorld(t, 4)
	one := w.start("one", options{})
	w.awaitOwners(map[string]int{"one": 4})
	w.start("two", options{})
	w.awaitOwners(map[string]int{"one": 2, "two": 2})
	three := w.start("three", options{})
	testenv.Eventually(t, func() bool { h := w.owners(); return h["one"] > 0 && h["two"] > 0 && h["three"] > 0 })
	three.stop()
	w.awaitOwners(map[string]int{"one": 2, "two": 2})
	w.putEvents(1, 20)
	w.awaitVersion(1, 20)

	// Replica "one" loses etcd, and its lease expires.
	locks, err := w.etcd.Get(t.Context(), "ecs/lock/kinesis/events/replica/one")
	require.NoError(t, err)
	require.Len(t, locks.Kvs, 1)
	require.NoError(t, one.etcd.Close())
	w.putEvents(2, 20)
	_, err = w.etcd.Revoke(t.Context(), clientv3.LeaseID(locks.Kvs[0].Lease))
	if !errors.Is(err, rpctypes.ErrLeaseNotFound) { // the member may have revoked it already
		require.NoError(t, err)
	}
	w.awaitVersion(2, 20)
	w.awaitOwners(map[string]int{"two": 4})
}

func TestConsumer_SkipsMalformedRecords(t *testing.T) {
	w := newWorld(t, 1)
	log, logged := test.NewNullLogger()
	r := w.start("one", options{log: log})
	w.putRecord("k", string(testenv.Event(t, "broken.txt")))
	w.putRecord("k", string(testenv.Event(t, "service-action.json")))
	w.putEvents(1, 2)
	w.awaitVersion(1, 2)
	w.putRecord("k", "{}") // the last record
	w.awaitCheckpoints()
	r.stop()
	malformed := slices.DeleteFunc(logged.AllEntries(), func(e *logrus.Entry) bool {
		return e.Message != "failed to decode event"
	})
	assert.Len(t, malformed, 2, "each is logged once")
	counted, err := r.metrics.Gather()
	require.NoError(t, err)
	outcomes := map[string]float64{}
	for _, family := range counted {
		for _, m := range family.GetMetric() {
			if family.GetName() == "blox_css_ingest_events_total" {
				outcomes[m.GetLabel()[0].GetValue()+" "+m.GetLabel()[1].GetValue()] = m.GetCounter().GetValue()
			}
		}
	}
	assert.Equal(t, map[string]float64{"task recorded": 2, "service skipped": 1, "other malformed": 2}, outcomes)
	again := w.start("two", options{})
	w.putEvents(2, 2)
	w.awaitVersion(2, 2)
	assert.Equal(t, versions(2, 2, 2), again.recorded.byTask())
}

// A new stream of the same name has shards of the same names, for which the old checkpoints are not valid.
func TestConsumer_ReadsReplacedStreamFromItsBeginning(t *testing.T) {
	w := newWorld(t, 1)
	w.start("one", options{})
	w.putEvents(1, 3)
	w.splitShard(*w.shards()[0].ShardId, "5")
	w.putEvents(2, 3)
	w.awaitVersion(2, 3)
	w.awaitCheckpoints()
	_, err := w.kinesis.DeleteStream(t.Context(), &kinesis.DeleteStreamInput{StreamName: aws.String("events")})
	require.NoError(t, err)
	w.awaitOwners(map[string]int{})
	_, err = w.kinesis.CreateStream(t.Context(), &kinesis.CreateStreamInput{
		StreamName: aws.String("events"), ShardCount: aws.Int32(1),
	})
	require.NoError(t, err)
	w.putEvents(3, 3)
	w.awaitVersion(3, 3)
	w.awaitCheckpoints()
	keys, err := w.etcd.Get(t.Context(), "ecs/kinesis/events/", clientv3.WithPrefix(), clientv3.WithCountOnly())
	require.NoError(t, err)
	testenv.Eventually(t, func() bool {
		keys, err = w.etcd.Get(t.Context(), "ecs/kinesis/events/", clientv3.WithPrefix(), clientv3.WithCountOnly())
		require.NoError(t, err)
		return keys.Count == 1
	}, "checkpoints of unlisted shards are deleted")
}

func TestConsumer_ReplacesCheckpointThatKinesisRejects(t *testing.T) {
	w := newWorld(t, 1)
	createdAt, err := newStream(w.kinesis, ingest.Address{Name: "events"}).createdAt(t.Context())
	require.NoError(t, err)
	value, err := json.Marshal(checkpoint{SequenceNumber: "17", StreamCreated: createdAt})
	require.NoError(t, err)
	_, err = w.etcd.Put(t.Context(), "ecs/kinesis/events/shardId-000000000000", string(value))
	require.NoError(t, err)
	w.putEvents(1, 3)

	// The rejected checkpoint stays until the first commit, however long that takes.
	commits := make(chan struct{})
	w.start("one", options{paused: commits})
	w.awaitOwners(map[string]int{"one": 1})
	time.AfterFunc(50*time.Millisecond, func() { close(commits) })
	w.awaitCheckpoints()
	w.awaitVersion(1, 3)
}

func TestConsumer_RecoversFromOutagesOfEtcdAndKinesis(t *testing.T) {
	w := newWorld(t, 2)
	w.start("one", options{})
	w.putEvents(1, 5)
	w.awaitVersion(1, 5)
	w.server.Stop()
	w.putEvents(2, 5)
	w.server.Start()
	w.awaitVersion(2, 5)
	w.sim.SetDown("kinesis", true)
	calls := w.sim.Calls("GetRecords")
	testenv.Eventually(t, func() bool { return w.sim.Calls("GetRecords") > calls+2 })
	w.sim.SetDown("kinesis", false)
	w.putEvents(3, 5)
	w.awaitVersion(3, 5)
}

// A replica that reaches etcd but not Kinesis leaves the group until it can read again.
func TestConsumer_ReleasesShardsThatItCannotRead(t *testing.T) {
	w := newWorld(t, 4)
	proxy := testenv.NewProxy(t, strings.TrimPrefix(w.url, "http://"))
	one := w.start("one", options{client: newClient("http://" + proxy.Address()), readTimeout: 300 * time.Millisecond})
	w.awaitOwners(map[string]int{"one": 4})
	w.start("two", options{})
	w.awaitOwners(map[string]int{"one": 2, "two": 2})
	w.putEvents(1, 20)
	w.awaitVersion(1, 20)

	proxy.SetDisconnected(true)
	w.putEvents(2, 20)
	w.awaitVersion(2, 20)
	w.awaitOwners(map[string]int{"two": 4})
	replicas, err := w.etcd.Get(t.Context(), "ecs/lock/kinesis/events/replica/",
		clientv3.WithPrefix(), clientv3.WithCountOnly())
	require.NoError(t, err)
	assert.Equal(t, int64(1), replicas.Count, "a replica that cannot read is no member")

	proxy.SetDisconnected(false)
	w.awaitOwners(map[string]int{"one": 2, "two": 2})
	w.putEvents(3, 20)
	w.awaitVersion(3, 20)
	assert.Equal(t, versions(1, 3, 20), w.recorded.byTask(), "each in order")
	one.stop()
}

// A replica may list the shards but lack the permission to read them.
func TestConsumer_OwnsNoShardsWithoutReadPermission(t *testing.T) {
	w := newWorld(t, 2)
	w.sim.SetFaults(ecssim.Faults{ServerErrors: map[string]float64{"GetRecords": 1}})
	w.start("one", options{readTimeout: 100 * time.Millisecond})
	testenv.Eventually(t, func() bool { return w.sim.Calls("GetRecords") > 3 })
	assert.Empty(t, w.owners())
	w.sim.SetFaults(ecssim.Faults{})
	w.awaitOwners(map[string]int{"one": 2})

	w.sim.SetFaults(ecssim.Faults{ServerErrors: map[string]float64{"GetRecords": 1}})
	w.awaitOwners(map[string]int{})
	w.putEvents(1, 5)
	w.sim.SetFaults(ecssim.Faults{})
	w.awaitVersion(1, 5)
}

func TestGroup_NoticesWithoutReadersThatKinesisIsUnreachable(t *testing.T) {
	for name, checkedAt := range map[string]time.Time{
		"about to list": time.Now(), "about to describe": time.Now().Add(-streamCheckInterval),
	} {
		unreachable := kinesis.New(newClient("http://127.0.0.1:1").Options(), func(o *kinesis.Options) {
			o.Retryer = aws.NopRetryer{} // each retry waits for up to seconds
		})
		g := &group{
			stream: newStream(unreachable, ingest.Address{Name: "events"}), checkedAt: checkedAt,
			connectivity: ingest.NewConnectivity(nil),
		}
		require.Error(t, g.rebalance(t.Context()), name)
		testenv.Eventually(t, func() bool { return g.connectivity.FailedFor(0) })
	}
}

package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"math/big"
	"net/http/httptest"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/blox/blox/internal/awsconfig"
	"github.com/blox/blox/internal/backoff"
	"github.com/blox/blox/internal/ecssim"
	"github.com/blox/blox/internal/testenv"
)

// Two processes share a stream whose shards are split and merged while events arrive. One of them is killed. The
// store then equals the simulator's state, without the help of a reconciliation.
func TestKinesis_LosesNothingWhenAReaderIsKilled(t *testing.T) {
	etcd := testenv.EtcdServer(t)
	sim := ecssim.New(ecssim.Config{StreamName: "events", StreamShards: 4, Seed: 1,
		Faults: ecssim.Faults{Events: ecssim.EventFaults{Duplicate: 0.1}}})
	server := httptest.NewServer(sim)
	t.Cleanup(func() { sim.Close(); server.Close() })
	s := sharedStream{t, etcd.Client(), kinesis.New(kinesis.Options{Region: "us-east-1", BaseEndpoint: &server.URL,
		Credentials: aws.AnonymousCredentials{}, HTTPClient: awsconfig.BufferBodies(server.Client())})}
	instances := sim.AddInstances("default", 20)
	one := startProcess(t, etcd, server.URL, "kinesis://events")
	two := startProcess(t, etcd, server.URL, "kinesis://events")
	listed := sim.Calls("ListTasks")
	testenv.Eventually(t, func() bool { return slices.Equal([]int{2, 2}, s.locks()) }, "not two shards for each process")

	ctx, stopChanges := context.WithCancel(t.Context())
	var changing sync.WaitGroup
	changing.Go(func() { s.changeUntil(ctx, sim, instances) })
	defer changing.Wait()
	defer stopChanges()
	s.split(0)
	s.split(2)
	s.awaitTasks(200)
	s.merge(0)
	two.Kill() // the other process reconciles; killing that one would start a reconciliation
	s.split(1) // while no process reads the killed one's shards
	s.merge(2)
	testenv.Eventually(t, func() bool { return len(s.locks()) == 1 }, "the killed process's shards are not acquired")
	s.awaitTasks(200)
	s.split(0)
	s.awaitTasks(200)
	stopChanges()
	changing.Wait()

	want := map[string]int64{}
	for _, task := range sim.Tasks("") {
		want[task.ARN] = task.Version
	}
	for _, i := range sim.Instances("") {
		want[i.ARN] = i.Version
	}
	awaitDecrease(t, 0, func() (outdated int) {
		stored := s.stored()
		for arn, version := range want {
			if stored[arn] != version {
				outdated++
			}
		}
		return outdated
	}, "records are outdated")
	assert.Equal(t, want, s.stored())
	assert.Equal(t, listed, sim.Calls("ListTasks"), "no reconciliation")
	t.Logf("%d records, %d shards", len(want), len(s.shards(false)))
	assert.Zero(t, one.Stop(syscall.SIGTERM, time.Minute), "the other process ends cleanly")
}

// changeUntil starts and kills tasks, and connects and disconnects agents, until ctx ends.
func (s sharedStream) changeUntil(ctx context.Context, sim *ecssim.Sim, instances []string) {
	for n := 0; ctx.Err() == nil; n++ {
		task := sim.StartFargateTask("default", fmt.Sprint("family", n%5))
		assert.NoError(s, sim.SetAgentConnected(instances[n%len(instances)], n%40 >= 20))
		assert.NoError(s, sim.KillTask(task, n%2))
		backoff.Sleep(ctx, 5*time.Millisecond)
	}
}

// sharedStream is a stream, and the etcd of the processes that share it.
type sharedStream struct {
	*testing.T
	etcd   *clientv3.Client
	stream *kinesis.Client
}

func (s sharedStream) get(prefix string) *clientv3.GetResponse {
	s.Helper()
	answer, err := s.etcd.Get(s.Context(), prefix, clientv3.WithPrefix())
	require.NoError(s, err)
	return answer
}

// locks returns the number of shards that each process holds.
func (s sharedStream) locks() (counts []int) {
	s.Helper()
	by := map[string]int{}
	for _, kv := range s.get("ecs/lock/kinesis/events/shardId").Kvs {
		by[string(kv.Value)]++
	}
	for _, n := range by {
		counts = append(counts, n)
	}
	return counts
}

// stored returns the version of each record in etcd, by ARN.
func (s sharedStream) stored() map[string]int64 {
	s.Helper()
	versions := map[string]int64{}
	for _, prefix := range []string{"ecs/task/", "ecs/instance/"} {
		for _, kv := range s.get(prefix).Kvs {
			var record struct {
				Detail struct {
					TaskARN, ContainerInstanceARN string
					Version                       int64
				}
			}
			require.NoError(s, json.Unmarshal(kv.Value, &record))
			arn := record.Detail.TaskARN
			if prefix == "ecs/instance/" {
				arn = record.Detail.ContainerInstanceARN
			}
			versions[arn] = record.Detail.Version
		}
	}
	return versions
}

// awaitTasks returns when that many more tasks are stored.
func (s sharedStream) awaitTasks(tasks int64) {
	s.Helper()
	count := func() int64 {
		answer, err := s.etcd.Get(s.Context(), "ecs/task/", clientv3.WithPrefix(), clientv3.WithCountOnly())
		require.NoError(s, err)
		return answer.Count
	}
	target := count() + tasks
	awaitDecrease(s.T, 0, func() int { return int(target - count()) }, "events are not ingested")
}

// shards returns all shards, or the open ones in the order of their hash keys.
func (s sharedStream) shards(open bool) []types.Shard {
	s.Helper()
	out, err := s.stream.ListShards(s.Context(), &kinesis.ListShardsInput{StreamName: aws.String("events")})
	require.NoError(s, err)
	if !open {
		return out.Shards
	}
	found := slices.DeleteFunc(out.Shards, func(shard types.Shard) bool {
		return shard.SequenceNumberRange.EndingSequenceNumber != nil
	})
	slices.SortFunc(found, func(a, b types.Shard) int {
		return hashKey(a.HashKeyRange.StartingHashKey).Cmp(hashKey(b.HashKeyRange.StartingHashKey))
	})
	return found
}

func hashKey(text *string) *big.Int {
	n, _ := new(big.Int).SetString(*text, 10)
	return n
}

// split splits the nth open shard in its middle.
func (s sharedStream) split(n int) {
	s.Helper()
	shard := s.shards(true)[n]
	middle := new(big.Int).Add(hashKey(shard.HashKeyRange.StartingHashKey), hashKey(shard.HashKeyRange.EndingHashKey))
	_, err := s.stream.SplitShard(s.Context(), &kinesis.SplitShardInput{
		StreamName: aws.String("events"), ShardToSplit: shard.ShardId,
		NewStartingHashKey: aws.String(middle.Rsh(middle, 1).String()),
	})
	require.NoError(s, err)
}

// merge merges the nth open shard with the next one.
func (s sharedStream) merge(n int) {
	s.Helper()
	open := s.shards(true)
	_, err := s.stream.MergeShards(s.Context(), &kinesis.MergeShardsInput{StreamName: aws.String("events"),
		ShardToMerge: open[n].ShardId, AdjacentShardToMerge: open[n+1].ShardId})
	require.NoError(s, err)
}

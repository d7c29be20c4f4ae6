package main

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
	"github.com/blox/blox/internal/ecssim"
	"github.com/blox/blox/internal/testenv"
)

// Two processes share a stream whose shards are split and merged while events flow, and one of them is killed: what is
// stored in the end is the simulator's truth, without the help of a comparison with ECS.
func TestAKilledReaderOfAStreamLosesNothing(t *testing.T) {
	etcd := testenv.EtcdServer(t)
	sim := ecssim.New(ecssim.Config{StreamName: "events", StreamShards: 4, Seed: 1,
		Faults: ecssim.Faults{Events: ecssim.EventFaults{Duplicate: 0.1}}})
	server := httptest.NewServer(sim)
	t.Cleanup(func() { sim.Close(); server.Close() })
	s := shared{t, etcd.Client(), kinesis.New(kinesis.Options{Region: "us-east-1", BaseEndpoint: &server.URL,
		Credentials: aws.AnonymousCredentials{}, HTTPClient: awsconfig.InMemory(server.Client())})}
	instances := sim.AddInstances("default", 20)
	one := startState(t, etcd, server.URL, "kinesis://events")
	two := startState(t, etcd, server.URL, "kinesis://events")
	compared := sim.Calls("ListTasks")
	testenv.Eventually(t, func() bool { return slices.Equal([]int{2, 2}, s.held()) }, "each reads two shards")

	ctx, calm := context.WithCancel(t.Context())
	var changing sync.WaitGroup
	changing.Go(func() {
		for n := 0; ctx.Err() == nil; n++ {
			task := sim.StartFargateTask("default", fmt.Sprint("family", n%5))
			assert.NoError(t, sim.SetAgentConnected(instances[n%len(instances)], n%40 >= 20))
			assert.NoError(t, sim.KillTask(task, n%2))
			select {
			case <-time.After(5 * time.Millisecond):
			case <-ctx.Done():
			}
		}
	})
	defer changing.Wait()
	defer calm()
	s.split(0)
	s.split(2)
	s.progress(200)
	s.merge(0)
	two.end(syscall.SIGKILL) // not the one that compares with ECS: who takes that over does so at once
	s.split(1)               // while nobody reads what was the dead one's
	s.merge(2)
	testenv.Eventually(t, func() bool { return len(s.held()) == 1 }, "the dead one's shards are the other's")
	s.progress(200)
	s.split(0)
	s.progress(200)
	calm()
	changing.Wait()

	truth := map[string]int64{}
	for _, task := range sim.Tasks("") {
		truth[task.ARN] = task.Version
	}
	for _, i := range sim.Instances("") {
		truth[i.ARN] = i.Version
	}
	behind := func() (n int) {
		stored := s.stored()
		for arn, version := range truth {
			if stored[arn] != version {
				n++
			}
		}
		return n
	}
	for left := behind(); left > 0; { // as slowly as the machine is, but on and on
		before := left
		testenv.Eventually(t, func() bool { left = behind(); return left < before }, "%d of %d records are not the truth's", before, len(truth))
	}
	assert.Equal(t, truth, s.stored())
	assert.Equal(t, compared, sim.Calls("ListTasks"), "nobody compared with ECS meanwhile")
	t.Logf("%d records, %d shards", len(truth), len(s.shards(false)))
	assert.Zero(t, one.end(syscall.SIGTERM), "the other one ends cleanly")
}

// shared is a stream, and the etcd of those who share it.
type shared struct {
	*testing.T
	etcd   *clientv3.Client
	stream *kinesis.Client
}

func (s shared) get(prefix string) *clientv3.GetResponse {
	s.Helper()
	answer, err := s.etcd.Get(s.Context(), prefix, clientv3.WithPrefix())
	require.NoError(s, err)
	return answer
}

// held is how many shards each reader holds.
func (s shared) held() (counts []int) {
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

// stored is ECS's version of each record in etcd.
func (s shared) stored() map[string]int64 {
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

// progress waits until so many more tasks are stored.
func (s shared) progress(tasks int64) {
	s.Helper()
	count := func() int64 {
		answer, err := s.etcd.Get(s.Context(), "ecs/task/", clientv3.WithPrefix(), clientv3.WithCountOnly())
		require.NoError(s, err)
		return answer.Count
	}
	from := count()
	testenv.Eventually(s, func() bool { return count() >= from+tasks }, "events are not read")
}

// shards are the stream's, in the order of their hash keys when only the open ones are wanted.
func (s shared) shards(open bool) []types.Shard {
	s.Helper()
	out, err := s.stream.ListShards(s.Context(), &kinesis.ListShardsInput{StreamName: aws.String("events")})
	require.NoError(s, err)
	if !open {
		return out.Shards
	}
	found := slices.DeleteFunc(out.Shards, func(shard types.Shard) bool { return shard.SequenceNumberRange.EndingSequenceNumber != nil })
	slices.SortFunc(found, func(a, b types.Shard) int {
		return key(a.HashKeyRange.StartingHashKey).Cmp(key(b.HashKeyRange.StartingHashKey))
	})
	return found
}

func key(text *string) *big.Int {
	n, _ := new(big.Int).SetString(*text, 10)
	return n
}

// split splits the nth open shard in its middle.
func (s shared) split(n int) {
	s.Helper()
	shard := s.shards(true)[n]
	middle := new(big.Int).Add(key(shard.HashKeyRange.StartingHashKey), key(shard.HashKeyRange.EndingHashKey))
	_, err := s.stream.SplitShard(s.Context(), &kinesis.SplitShardInput{StreamName: aws.String("events"), ShardToSplit: shard.ShardId,
		NewStartingHashKey: aws.String(middle.Rsh(middle, 1).String())})
	require.NoError(s, err)
}

// merge merges the nth open shard with the next one.
func (s shared) merge(n int) {
	s.Helper()
	open := s.shards(true)
	_, err := s.stream.MergeShards(s.Context(), &kinesis.MergeShardsInput{StreamName: aws.String("events"),
		ShardToMerge: open[n].ShardId, AdjacentShardToMerge: open[n+1].ShardId})
	require.NoError(s, err)
}

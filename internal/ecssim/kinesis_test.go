package ecssim

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const firstShard, halfway = "shardId-000000000000", "170141183460469231731687303715884105728"

// kinesisWorld is a world with a Kinesis client.
type kinesisWorld struct {
	*fixture
	kinesis *kinesis.Client
}

func newKinesisWorld(t *testing.T, cfg Config) *kinesisWorld {
	var client *kinesis.Client
	w := newFixture(t, cfg, func(sdk *aws.Config) { client = kinesis.NewFromConfig(*sdk) })
	return &kinesisWorld{w, client}
}

// from is an iterator of a shard of the stream "events".
func (w *kinesisWorld) from(shard string, kind types.ShardIteratorType, seq ...string) (*string, error) {
	in := &kinesis.GetShardIteratorInput{StreamName: aws.String("events"), ShardId: &shard, ShardIteratorType: kind}
	if len(seq) > 0 {
		in.StartingSequenceNumber = &seq[0]
	}
	out, err := w.kinesis.GetShardIterator(w.ctx, in)
	if err != nil {
		return nil, err
	}
	return out.ShardIterator, nil
}

// all returns the records of a shard and whether the shard has ended.
func (w *kinesisWorld) all(shard string) (records []types.Record, ended bool) {
	w.t.Helper()
	at, err := w.from(shard, types.ShardIteratorTypeTrimHorizon)
	require.NoError(w.t, err)
	for {
		out, err := w.kinesis.GetRecords(w.ctx, &kinesis.GetRecordsInput{ShardIterator: at, Limit: aws.Int32(2)})
		require.NoError(w.t, err)
		records = append(records, out.Records...)
		if out.NextShardIterator == nil || len(out.Records) == 0 {
			return records, out.NextShardIterator == nil
		}
		at = out.NextShardIterator
	}
}

func (w *kinesisWorld) put(key, data string) *kinesis.PutRecordOutput {
	w.t.Helper()
	out, err := w.kinesis.PutRecord(w.ctx, &kinesis.PutRecordInput{
		StreamName: aws.String("events"), PartitionKey: &key, Data: []byte(data),
	})
	require.NoError(w.t, err)
	return out
}

func (w *kinesisWorld) shards() []types.Shard {
	w.t.Helper()
	var all []types.Shard
	for in := (&kinesis.ListShardsInput{StreamName: aws.String("events"), MaxResults: aws.Int32(2)}); ; {
		page, err := w.kinesis.ListShards(w.ctx, in)
		require.NoError(w.t, err)
		assert.LessOrEqual(w.t, len(page.Shards), 2)
		all = append(all, page.Shards...)
		if page.NextToken == nil {
			return all
		}
		in = &kinesis.ListShardsInput{NextToken: page.NextToken, MaxResults: aws.Int32(2)}
	}
}

func TestKinesis_EventsReachStreamAndQueue(t *testing.T) {
	w := newKinesisWorld(t, Config{StreamName: "events", StreamShards: 3})
	w.RegisterTaskDefinition("agent")
	w.start("agent", "me", w.AddInstances("default", 5)...)
	queued := map[string]bool{}
	for _, e := range w.events() {
		queued[e.raw] = true
	}
	streamed := 0
	for _, sh := range w.shards() {
		last := map[string]float64{}
		records, ended := w.all(*sh.ShardId)
		assert.False(t, ended)
		for _, r := range records {
			streamed++
			assert.True(t, queued[string(r.Data)])
			var e event
			require.NoError(t, json.Unmarshal(r.Data, &e))
			assert.Equal(t, e.Resources[0], *r.PartitionKey)
			version := e.Detail["version"].(float64)
			assert.Greater(t, version, last[*r.PartitionKey], "in order")
			last[*r.PartitionKey] = version
		}
	}
	assert.Len(t, queued, streamed)
	assert.Equal(t, streamed, w.state("").Streams["events"])
}

func TestKinesis_Iterators(t *testing.T) {
	w := newKinesisWorld(t, Config{StreamName: "events"})
	var seq []string
	for i := range 5 {
		seq = append(seq, *w.put("k", fmt.Sprint(i)).SequenceNumber)
	}
	latest, err := w.from(firstShard, types.ShardIteratorTypeLatest)
	require.NoError(t, err)
	w.put("k", "5")
	read := func(at *string, limit int32) (text string, out *kinesis.GetRecordsOutput) {
		t.Helper()
		out, err := w.kinesis.GetRecords(w.ctx, &kinesis.GetRecordsInput{ShardIterator: at, Limit: &limit})
		require.NoError(t, err)
		for _, r := range out.Records {
			text += string(r.Data)
		}
		return text, out
	}
	text, _ := read(latest, 10)
	assert.Equal(t, "5", text)
	for want, kind := range map[string]types.ShardIteratorType{
		"2345": types.ShardIteratorTypeAtSequenceNumber, "345": types.ShardIteratorTypeAfterSequenceNumber,
	} {
		at, err := w.from(firstShard, kind, seq[2])
		require.NoError(t, err)
		text, _ := read(at, 10)
		assert.Equal(t, want, text)
	}
	start, err := w.from(firstShard, types.ShardIteratorTypeTrimHorizon)
	require.NoError(t, err)
	text, out := read(start, 4)
	assert.Equal(t, "0123", text)
	assert.Equal(t, seq[3], *out.Records[3].SequenceNumber)
	text, out = read(out.NextShardIterator, 4)
	assert.Equal(t, "45", text)
	assert.Zero(t, *out.MillisBehindLatest)
	text, _ = read(out.NextShardIterator, 4)
	assert.Empty(t, text)

	require.NoError(t, w.ExpireIterators("events"))
	_, err = w.kinesis.GetRecords(w.ctx, &kinesis.GetRecordsInput{ShardIterator: start})
	assert.ErrorAs(t, err, new(*types.ExpiredIteratorException))
	at, err := w.from(firstShard, types.ShardIteratorTypeAfterSequenceNumber, seq[4])
	require.NoError(t, err)
	text, _ = read(at, 4)
	assert.Equal(t, "5", text, "a new one works")
}

func TestKinesis_RejectsInvalidInput(t *testing.T) {
	w := newKinesisWorld(t, Config{StreamName: "events"})
	name := aws.String("events")
	for what, in := range map[string]*kinesis.PutRecordInput{
		"an empty key":  {PartitionKey: aws.String(""), Data: []byte("1")},
		"a long key":    {PartitionKey: aws.String(strings.Repeat("k", 257)), Data: []byte("1")},
		"too much data": {PartitionKey: aws.String("k"), Data: bytes.Repeat([]byte("x"), 1<<20)},
		"no hash key":   {PartitionKey: aws.String("k"), Data: []byte("1"), ExplicitHashKey: aws.String("-1")},
		"a key too high": {
			PartitionKey: aws.String("k"), Data: []byte("1"),
			ExplicitHashKey: aws.String("340282366920938463463374607431768211456"),
		},
	} {
		in.StreamName = name
		_, err := w.kinesis.PutRecord(w.ctx, in)
		assert.Error(t, err, what)
	}
	for what, call := range map[string]func() error{
		"records 0": func() error {
			at, err := w.from(firstShard, types.ShardIteratorTypeTrimHorizon)
			require.NoError(t, err)
			_, err = w.kinesis.GetRecords(w.ctx, &kinesis.GetRecordsInput{ShardIterator: at, Limit: aws.Int32(0)})
			return err
		},
		"rubbish": func() error {
			_, err := w.kinesis.GetRecords(w.ctx, &kinesis.GetRecordsInput{ShardIterator: aws.String("x")})
			return err
		},
		"a number that is none": func() error {
			_, err := w.from(firstShard, types.ShardIteratorTypeAfterSequenceNumber, "17")
			return err
		},
		"no such kind": func() error { _, err := w.from(firstShard, "SOMEWHERE"); return err },
		"token and name": func() error {
			_, err := w.kinesis.ListShards(w.ctx, &kinesis.ListShardsInput{StreamName: name, NextToken: aws.String("x")})
			return err
		},
		"no token": func() error {
			_, err := w.kinesis.ListShards(w.ctx, &kinesis.ListShardsInput{NextToken: aws.String("x")})
			return err
		},
	} {
		assert.Error(t, call(), what)
	}
	_, err := w.kinesis.CreateStream(w.ctx, &kinesis.CreateStreamInput{
		StreamName: aws.String("a b"), ShardCount: aws.Int32(1),
	})
	assert.Error(t, err)

	w.SetFaults(Faults{Throttle: map[string]float64{"kinesis": 1, "ListShards": 0}})
	_, err = w.from(firstShard, types.ShardIteratorTypeTrimHorizon)
	assert.ErrorAs(t, err, new(*types.ProvisionedThroughputExceededException))
	assert.Len(t, w.shards(), 1)
	w.SetDown("kinesis", true)
	_, err = w.kinesis.ListShards(w.ctx, &kinesis.ListShardsInput{StreamName: name})
	assert.Error(t, err)
	assert.Equal(t, []string{"kinesis"}, w.state("").Down)
	assert.Error(t, w.ExpireIterators("nope"))
}

// The test uses synctest: the expiry takes hours.
func TestKinesis_IteratorAndRecordExpiry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		all := newStreams(Config{IteratorLife: 5 * time.Minute})
		st, err := all.create("events", 2)
		require.NoError(t, err)
		id, _ := st.put("k", nil, []byte("1"))
		sh, err := st.findShard(id)
		require.NoError(t, err)
		at := st.newIterator(sh, 0).String()
		time.Sleep(5 * time.Minute)
		resolved, _, _, err := all.resolve(at)
		require.NoError(t, err)
		resolved.mu.Unlock()
		time.Sleep(time.Second)
		_, _, _, err = all.resolve(at)
		assert.ErrorContains(t, err, "ExpiredIteratorException")

		require.NoError(t, st.merge("shardId-000000000000", "shardId-000000000001"))
		time.Sleep(time.Hour)
		st.put("k", nil, []byte("2"))
		time.Sleep(streamRetention - time.Hour + time.Second)
		assert.Equal(t, 1, st.records(), "the older one is too old")
		require.Len(t, st.shards, 1, "so are the closed shards")
		assert.Equal(t, "shardId-000000000002", st.shards[0].id)
		time.Sleep(2 * time.Hour)
		assert.Zero(t, st.records())
		assert.Len(t, st.shards, 1, "the open one stays")
	})
}

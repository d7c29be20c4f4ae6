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

// kinesisFixture is a fixture with a Kinesis client.
type kinesisFixture struct {
	*fixture
	kinesis *kinesis.Client
}

func newKinesisFixture(t *testing.T, cfg Config) *kinesisFixture {
	var client *kinesis.Client
	w := newFixture(t, cfg, func(sdk *aws.Config) { client = kinesis.NewFromConfig(*sdk) })
	return &kinesisFixture{w, client}
}

// iterator returns an iterator of a shard of the stream "events".
func (w *kinesisFixture) iterator(shard string, kind types.ShardIteratorType, seq ...string) (*string, error) {
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

// records returns the records of a shard and whether the shard is closed and read to its end.
func (w *kinesisFixture) records(shard string) (all []types.Record, ended bool) {
	w.t.Helper()
	at, err := w.iterator(shard, types.ShardIteratorTypeTrimHorizon)
	require.NoError(w.t, err)
	for {
		out, err := w.kinesis.GetRecords(w.ctx, &kinesis.GetRecordsInput{ShardIterator: at, Limit: aws.Int32(2)})
		require.NoError(w.t, err)
		all = append(all, out.Records...)
		if out.NextShardIterator == nil || len(out.Records) == 0 {
			return all, out.NextShardIterator == nil
		}
		at = out.NextShardIterator
	}
}

func (w *kinesisFixture) put(key, data string) *kinesis.PutRecordOutput {
	w.t.Helper()
	out, err := w.kinesis.PutRecord(w.ctx, &kinesis.PutRecordInput{
		StreamName: aws.String("events"), PartitionKey: &key, Data: []byte(data),
	})
	require.NoError(w.t, err)
	return out
}

func (w *kinesisFixture) shards() []types.Shard {
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
	w := newKinesisFixture(t, Config{StreamName: "events", StreamShards: 3})
	w.RegisterTaskDefinition("agent")
	w.start("agent", "me", w.AddInstances("default", 5)...)
	queued := map[string]bool{}
	for _, e := range w.events() {
		queued[e.raw] = true
	}
	streamed := 0
	for _, sh := range w.shards() {
		last := map[string]float64{}
		records, ended := w.records(*sh.ShardId)
		assert.False(t, ended)
		for _, r := range records {
			streamed++
			assert.True(t, queued[string(r.Data)])
			var e event
			require.NoError(t, json.Unmarshal(r.Data, &e))
			assert.Equal(t, e.Resources[0], *r.PartitionKey)
			version := e.Detail["version"].(float64)
			assert.Greater(t, version, last[*r.PartitionKey], "records are in order")
			last[*r.PartitionKey] = version
		}
	}
	assert.Len(t, queued, streamed)
	assert.Equal(t, streamed, w.state("").Streams["events"])
}

func TestKinesis_Iterators(t *testing.T) {
	w := newKinesisFixture(t, Config{StreamName: "events"})
	var seq []string
	for i := range 5 {
		seq = append(seq, *w.put("k", fmt.Sprint(i)).SequenceNumber)
	}
	latest, err := w.iterator(firstShard, types.ShardIteratorTypeLatest)
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
		at, err := w.iterator(firstShard, kind, seq[2])
		require.NoError(t, err)
		text, _ := read(at, 10)
		assert.Equal(t, want, text)
	}
	start, err := w.iterator(firstShard, types.ShardIteratorTypeTrimHorizon)
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
	at, err := w.iterator(firstShard, types.ShardIteratorTypeAfterSequenceNumber, seq[4])
	require.NoError(t, err)
	text, _ = read(at, 4)
	assert.Equal(t, "5", text, "a new iterator works")
}

func TestKinesis_RejectsInvalidInput(t *testing.T) {
	w := newKinesisFixture(t, Config{StreamName: "events"})
	stream := aws.String("events")
	for name, in := range map[string]*kinesis.PutRecordInput{
		"an empty key":        {PartitionKey: aws.String(""), Data: []byte("1")},
		"a long key":          {PartitionKey: aws.String(strings.Repeat("k", 257)), Data: []byte("1")},
		"too much data":       {PartitionKey: aws.String("k"), Data: bytes.Repeat([]byte("x"), 1<<20)},
		"a negative hash key": {PartitionKey: aws.String("k"), Data: []byte("1"), ExplicitHashKey: aws.String("-1")},
		"a hash key that is too high": {
			PartitionKey: aws.String("k"), Data: []byte("1"),
			ExplicitHashKey: aws.String("340282366920938463463374607431768211456"),
		},
	} {
		in.StreamName = stream
		_, err := w.kinesis.PutRecord(w.ctx, in)
		assert.Error(t, err, name)
	}
	for name, call := range map[string]func() error{
		"a limit of 0": func() error {
			at, err := w.iterator(firstShard, types.ShardIteratorTypeTrimHorizon)
			require.NoError(t, err)
			_, err = w.kinesis.GetRecords(w.ctx, &kinesis.GetRecordsInput{ShardIterator: at, Limit: aws.Int32(0)})
			return err
		},
		"an invalid iterator": func() error {
			_, err := w.kinesis.GetRecords(w.ctx, &kinesis.GetRecordsInput{ShardIterator: aws.String("x")})
			return err
		},
		"an unknown sequence number": func() error {
			_, err := w.iterator(firstShard, types.ShardIteratorTypeAfterSequenceNumber, "17")
			return err
		},
		"an unknown iterator type": func() error { _, err := w.iterator(firstShard, "UNKNOWN"); return err },
		"token and name": func() error {
			_, err := w.kinesis.ListShards(w.ctx, &kinesis.ListShardsInput{StreamName: stream, NextToken: aws.String("x")})
			return err
		},
		"an invalid token": func() error {
			_, err := w.kinesis.ListShards(w.ctx, &kinesis.ListShardsInput{NextToken: aws.String("x")})
			return err
		},
	} {
		assert.Error(t, call(), name)
	}
	_, err := w.kinesis.CreateStream(w.ctx, &kinesis.CreateStreamInput{
		StreamName: aws.String("a b"), ShardCount: aws.Int32(1),
	})
	assert.Error(t, err)

	w.SetFaults(Faults{Throttle: map[string]float64{"kinesis": 1, "ListShards": 0}})
	_, err = w.iterator(firstShard, types.ShardIteratorTypeTrimHorizon)
	assert.ErrorAs(t, err, new(*types.ProvisionedThroughputExceededException))
	assert.Len(t, w.shards(), 1)
	w.SetDown("kinesis", true)
	_, err = w.kinesis.ListShards(w.ctx, &kinesis.ListShardsInput{StreamName: stream})
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
		assert.Equal(t, 1, st.records(), "the older record has expired")
		require.Len(t, st.shards, 1, "the closed shards have expired")
		assert.Equal(t, "shardId-000000000002", st.shards[0].id)
		time.Sleep(2 * time.Hour)
		assert.Zero(t, st.records())
		assert.Len(t, st.shards, 1, "the open shard stays")
	})
}

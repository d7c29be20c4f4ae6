package ecssim

import (
	"net/http"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestKinesis_Resharding(t *testing.T) {
	w := newKinesisFixture(t, Config{StreamName: "events"})
	reshard := func(err error) { t.Helper(); require.NoError(t, err) }
	split := func(shard, at string) error {
		_, err := w.kinesis.SplitShard(w.ctx, &kinesis.SplitShardInput{
			StreamName: aws.String("events"), ShardToSplit: &shard, NewStartingHashKey: &at,
		})
		return err
	}
	merge := func(shard, with string) error {
		_, err := w.kinesis.MergeShards(w.ctx, &kinesis.MergeShardsInput{
			StreamName: aws.String("events"), ShardToMerge: &shard, AdjacentShardToMerge: &with,
		})
		return err
	}
	w.put("a", "before")
	reshard(split(firstShard, halfway))
	shards := w.shards()
	require.Len(t, shards, 3)
	assert.Equal(t, []string{firstShard, firstShard}, []string{*shards[1].ParentShardId, *shards[2].ParentShardId})
	assert.NotNil(t, shards[0].SequenceNumberRange.EndingSequenceNumber)
	assert.Nil(t, shards[1].SequenceNumberRange.EndingSequenceNumber)
	assert.NotEqual(t, firstShard, *w.put("a", "between").ShardId)
	records, ended := w.records(firstShard)
	assert.Len(t, records, 1)
	assert.True(t, ended, "the closed shard has an end")

	reshard(merge(*shards[2].ShardId, *shards[1].ShardId))
	shards = w.shards()
	require.Len(t, shards, 4)
	assert.ElementsMatch(t, []string{*shards[1].ShardId, *shards[2].ShardId}, []string{
		*shards[3].ParentShardId, *shards[3].AdjacentParentShardId,
	})
	assert.Equal(t, *shards[3].ShardId, *w.put("a", "after").ShardId)
	assert.Equal(t, *shards[0].HashKeyRange, *shards[3].HashKeyRange)
	at, err := w.iterator(*shards[1].ShardId, types.ShardIteratorTypeLatest)
	require.NoError(t, err)
	out, err := w.kinesis.GetRecords(w.ctx, &kinesis.GetRecordsInput{ShardIterator: at})
	require.NoError(t, err)
	require.Len(t, out.ChildShards, 1)
	assert.Len(t, out.ChildShards[0].ParentShards, 2)

	reshard(split(*shards[3].ShardId, halfway))
	shards = w.shards()
	reshard(split(*shards[4].ShardId, "5"))
	for name, err := range map[string]error{
		"a closed shard":               split(firstShard, halfway),
		"a hash key out of range":      split(*shards[5].ShardId, "5"),
		"an invalid hash key":          split(*shards[5].ShardId, "x"),
		"shards that are not adjacent": merge("shardId-000000000006", *shards[5].ShardId),
	} {
		assert.ErrorAs(t, err, new(*types.InvalidArgumentException), name)
	}
	assert.ErrorAs(t, split("nope", halfway), new(*types.ResourceNotFoundException))
}

func TestKinesis_CreateAndDeleteStreams(t *testing.T) {
	w := newKinesisFixture(t, Config{})
	name := aws.String("events")
	create := func(shards int32) error {
		_, err := w.kinesis.CreateStream(w.ctx, &kinesis.CreateStreamInput{StreamName: name, ShardCount: &shards})
		return err
	}
	describe := func() (*types.StreamDescriptionSummary, error) {
		out, err := w.kinesis.DescribeStreamSummary(w.ctx, &kinesis.DescribeStreamSummaryInput{StreamName: name})
		if err != nil {
			return nil, err
		}
		return out.StreamDescriptionSummary, nil
	}
	_, err := describe()
	assert.ErrorAs(t, err, new(*types.ResourceNotFoundException))
	require.NoError(t, create(3))
	assert.ErrorAs(t, create(3), new(*types.ResourceInUseException))
	summary, err := describe()
	require.NoError(t, err)
	assert.EqualValues(t, 3, *summary.OpenShardCount)
	assert.Equal(t, types.StreamStatusActive, summary.StreamStatus)
	assert.Equal(t, "arn:aws:kinesis:us-east-1:123456789012:stream/events", *summary.StreamARN)
	assert.WithinDuration(t, time.Now(), *summary.StreamCreationTimestamp, time.Minute)
	seq := *w.put("k", "old").SequenceNumber
	old, err := w.iterator(firstShard, types.ShardIteratorTypeTrimHorizon)
	require.NoError(t, err)
	_, err = w.kinesis.DeleteStream(w.ctx, &kinesis.DeleteStreamInput{StreamARN: summary.StreamARN})
	require.NoError(t, err)
	_, err = w.iterator(firstShard, types.ShardIteratorTypeTrimHorizon)
	assert.ErrorAs(t, err, new(*types.ResourceNotFoundException))

	w.eventually(func() bool { return now().After(*summary.StreamCreationTimestamp) }, "a millisecond passes")
	require.NoError(t, create(1))
	_, err = w.kinesis.GetRecords(w.ctx, &kinesis.GetRecordsInput{ShardIterator: old})
	assert.ErrorAs(t, err, new(*types.InvalidArgumentException), "the iterator belongs to the deleted stream")
	_, err = w.iterator(firstShard, types.ShardIteratorTypeAfterSequenceNumber, seq)
	assert.ErrorAs(t, err, new(*types.InvalidArgumentException))

	put, err := w.kinesis.PutRecords(w.ctx, &kinesis.PutRecordsInput{
		StreamName: name, Records: []types.PutRecordsRequestEntry{
			{PartitionKey: aws.String("a"), Data: []byte("1")},
			{PartitionKey: aws.String("b"), Data: []byte("2"), ExplicitHashKey: aws.String("0")},
		},
	})
	require.NoError(t, err)
	assert.Zero(t, *put.FailedRecordCount)
	records, _ := w.records(firstShard)
	assert.Len(t, records, 2)
}

func TestKinesis_StreamFromTheControlAPI(t *testing.T) {
	w := newFixture(t, Config{})
	t.Cleanup(http.DefaultClient.CloseIdleConnections)
	for path, want := range map[string]int{"stream=a%20b": 400, "stream=events&shards=0": 400, "": 400} {
		assert.Equal(t, want, w.curl("POST", "/_sim/streams?"+path, "", nil), path)
	}
	w.AddInstances("default", 1) // before the stream exists
	require.Equal(t, http.StatusOK, w.curl("POST", "/_sim/streams?stream=events&shards=2", "", nil))
	assert.Equal(
		t, http.StatusBadRequest, w.curl("POST", "/_sim/streams?stream=events", "", nil), "a stream with the name exists",
	)
	w.AddInstances("default", 3)
	var state State
	require.Equal(t, http.StatusOK, w.curl("GET", "/_sim/state", "", &state))
	assert.Equal(t, map[string]int{"events": 3}, state.Streams)
}

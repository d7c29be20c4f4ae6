package kinesis

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"
	"github.com/go-openapi/swag/conv"

	"github.com/blox/blox/cluster-state-service/ingest"
)

const (
	// maxRecords bounds one read. It is what a shard receives in a second, and bounds memory to a batch or two a shard.
	maxRecords  = 1000
	callTimeout = 10 * time.Second
)

// stream is an Amazon Kinesis data stream.
type stream struct {
	client *kinesis.Client
	name   string
	// ref is the name, or the ARN of a stream of another account. One of them is nil.
	ref struct{ name, arn *string }
}

// newStream returns a stream, given a client of its region.
func newStream(client *kinesis.Client, address ingest.Address) stream {
	s := stream{client: client, name: address.Name}
	if address.ARN != "" {
		s.ref.arn = &address.ARN
	} else {
		s.ref.name = &address.Name
	}
	return s
}

// shard is a part of a stream, open or closed.
type shard struct {
	id      string
	parents []string // one after a split, two after a merge
}

// createdAt returns the stream's creation time, which distinguishes it from earlier streams of the same name.
func (s stream) createdAt(ctx context.Context) (time.Time, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	output, err := s.client.DescribeStreamSummary(ctx,
		&kinesis.DescribeStreamSummaryInput{StreamName: s.ref.name, StreamARN: s.ref.arn})
	if err != nil {
		return time.Time{}, fmt.Errorf("describe stream %s: %w", s.name, err)
	}
	return conv.Value(output.StreamDescriptionSummary.StreamCreationTimestamp).UTC(), nil
}

// listShards returns all shards that have records, including closed ones.
func (s stream) listShards(ctx context.Context) ([]shard, error) {
	var shards []shard
	input := &kinesis.ListShardsInput{StreamName: s.ref.name, StreamARN: s.ref.arn}
	for { // the SDK has no paginator for ListShards
		output, err := s.listShardsPage(ctx, input)
		if err != nil {
			return nil, fmt.Errorf("list shards of stream %s: %w", s.name, err)
		}
		for _, listed := range output.Shards {
			shards = append(shards, newShard(listed))
		}
		if conv.Value(output.NextToken) == "" {
			return shards, nil
		}
		input = &kinesis.ListShardsInput{NextToken: output.NextToken} // Kinesis rejects a name beside a token
	}
}

func (s stream) listShardsPage(ctx context.Context, input *kinesis.ListShardsInput) (*kinesis.ListShardsOutput, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	return s.client.ListShards(ctx, input)
}

func newShard(listed types.Shard) shard {
	s := shard{id: conv.Value(listed.ShardId)}
	for _, parent := range []*string{listed.ParentShardId, listed.AdjacentParentShardId} {
		if conv.Value(parent) != "" {
			s.parents = append(s.parents, *parent)
		}
	}
	return s
}

// iterator returns an iterator that starts after a sequence number, or at the oldest record if the number is empty.
func (s stream) iterator(ctx context.Context, shard, after string) (*string, error) {
	input := &kinesis.GetShardIteratorInput{
		StreamName: s.ref.name, StreamARN: s.ref.arn, ShardId: &shard, ShardIteratorType: types.ShardIteratorTypeTrimHorizon,
	}
	if after != "" {
		input.ShardIteratorType = types.ShardIteratorTypeAfterSequenceNumber
		input.StartingSequenceNumber = &after
	}
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	output, err := s.client.GetShardIterator(ctx, input, noRetry)
	if err != nil {
		return nil, fmt.Errorf("get iterator of shard %s after %q: %w", shard, after, err)
	}
	return output.ShardIterator, nil
}

// read returns records as messages whose ID is the sequence number, and the next iterator. The next iterator is nil
// at the end of a closed shard.
func (s stream) read(ctx context.Context, iterator *string) (messages []ingest.Message, next *string, err error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	input := &kinesis.GetRecordsInput{
		ShardIterator: iterator, StreamARN: s.ref.arn, Limit: conv.Pointer(int32(maxRecords)),
	}
	output, err := s.client.GetRecords(ctx, input, noRetry)
	if err != nil {
		return nil, nil, fmt.Errorf("get records: %w", err)
	}
	messages = make([]ingest.Message, len(output.Records))
	for i, r := range output.Records {
		messages[i] = ingest.Message{
			ID: conv.Value(r.SequenceNumber), Body: r.Data, Sent: conv.Value(r.ApproximateArrivalTimestamp),
		}
	}
	return messages, output.NextShardIterator, nil
}

// checkAccess reads a record of some shard. An error says why this replica cannot read the stream.
func (s stream) checkAccess(ctx context.Context) error {
	shards, err := s.listShards(ctx)
	if err != nil || len(shards) == 0 {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	output, err := s.client.GetShardIterator(ctx, &kinesis.GetShardIteratorInput{
		StreamName: s.ref.name, StreamARN: s.ref.arn, ShardId: &shards[len(shards)-1].id,
		ShardIteratorType: types.ShardIteratorTypeLatest,
	}, noRetry)
	if err == nil {
		input := &kinesis.GetRecordsInput{
			ShardIterator: output.ShardIterator, StreamARN: s.ref.arn, Limit: conv.Pointer(int32(1)),
		}
		_, err = s.client.GetRecords(ctx, input, noRetry)
	}
	if err == nil || isThrottled(err) {
		return nil
	}
	return fmt.Errorf("check access to stream %s: %w", s.name, err)
}

// noRetry leaves retries to the shard's reader: those of the SDK would use up the shard's five calls a second.
func noRetry(o *kinesis.Options) { o.Retryer = aws.NopRetryer{} }

func isThrottled(err error) bool {
	return errors.As(err, new(*types.ProvisionedThroughputExceededException)) ||
		errors.As(err, new(*types.LimitExceededException))
}

func isExpired(err error) bool { return errors.As(err, new(*types.ExpiredIteratorException)) }

func isInvalid(err error) bool { return errors.As(err, new(*types.InvalidArgumentException)) }

func isNotFound(err error) bool { return errors.As(err, new(*types.ResourceNotFoundException)) }

package ingest

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"
)

// maxRead is the most records of one read: what a shard takes in a second, and a batch or two in memory.
const maxRead = 1000

// stream is a data stream of Amazon Kinesis.
type stream struct {
	client *kinesis.Client
	name   string
}

// created is when the stream was made, which tells it from earlier ones of the same name.
func (s stream) created(ctx context.Context) (time.Time, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	answer, err := s.client.DescribeStreamSummary(ctx, &kinesis.DescribeStreamSummaryInput{StreamName: &s.name})
	if err != nil {
		return time.Time{}, fmt.Errorf("describe stream %s: %w", s.name, err)
	}
	return aws.ToTime(answer.StreamDescriptionSummary.StreamCreationTimestamp).UTC(), nil
}

// shards lists all shards that have records, closed ones too.
func (s stream) shards(ctx context.Context) ([]shard, error) {
	var all []shard
	for in := (&kinesis.ListShardsInput{StreamName: &s.name}); ; {
		page, err := s.page(ctx, in)
		if err != nil {
			return nil, fmt.Errorf("list shards of stream %s: %w", s.name, err)
		}
		for _, found := range page.Shards {
			one := shard{id: aws.ToString(found.ShardId)}
			for _, parent := range []*string{found.ParentShardId, found.AdjacentParentShardId} {
				if aws.ToString(parent) != "" {
					one.parents = append(one.parents, *parent)
				}
			}
			all = append(all, one)
		}
		if aws.ToString(page.NextToken) == "" {
			return all, nil
		}
		in = &kinesis.ListShardsInput{NextToken: page.NextToken} // which knows the stream
	}
}

func (s stream) page(ctx context.Context, in *kinesis.ListShardsInput) (*kinesis.ListShardsOutput, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	return s.client.ListShards(ctx, in)
}

// iterator begins after a sequence number; without one, at the oldest record.
func (s stream) iterator(ctx context.Context, shard, after string) (*string, error) {
	in := &kinesis.GetShardIteratorInput{StreamName: &s.name, ShardId: &shard, ShardIteratorType: types.ShardIteratorTypeTrimHorizon}
	if after != "" {
		in.ShardIteratorType, in.StartingSequenceNumber = types.ShardIteratorTypeAfterSequenceNumber, &after
	}
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	answer, err := s.client.GetShardIterator(ctx, in, once)
	if err != nil {
		return nil, fmt.Errorf("iterator of shard %s after %q: %w", shard, after, err)
	}
	return answer.ShardIterator, nil
}

// read gives records as messages whose id is the sequence number, and the next iterator; none at the end of a closed shard.
func (s stream) read(ctx context.Context, iterator *string) (messages []Message, next *string, err error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	answer, err := s.client.GetRecords(ctx, &kinesis.GetRecordsInput{ShardIterator: iterator, Limit: aws.Int32(maxRead)}, once)
	if err != nil {
		return nil, nil, fmt.Errorf("get records: %w", err)
	}
	messages = make([]Message, len(answer.Records))
	for i, r := range answer.Records {
		messages[i] = Message{ID: aws.ToString(r.SequenceNumber), Body: r.Data, Sent: aws.ToTime(r.ApproximateArrivalTimestamp)}
	}
	return messages, answer.NextShardIterator, nil
}

// once leaves it to the reader of the shard to try again: the SDK's retries would use up the five calls a second.
func once(o *kinesis.Options) { o.Retryer = aws.NopRetryer{} }

func isThrottled(err error) bool {
	return errors.As(err, new(*types.ProvisionedThroughputExceededException)) || errors.As(err, new(*types.LimitExceededException))
}

func isExpired(err error) bool { return errors.As(err, new(*types.ExpiredIteratorException)) }

func isInvalid(err error) bool { return errors.As(err, new(*types.InvalidArgumentException)) }

func isGone(err error) bool { return errors.As(err, new(*types.ResourceNotFoundException)) }

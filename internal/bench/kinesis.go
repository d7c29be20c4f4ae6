package bench

import (
	"context"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"
	"github.com/go-openapi/swag/conv"

	"github.com/blox/blox/internal/awsconfig"
)

const (
	streamName     = "events"
	streamShards   = 8
	kinesisEvents  = 40_000 // in the stream before a run
	recordsPerRead = 1000   // as the service reads
	recordsPerPut  = 500    // the limit of Kinesis
	ingestedTasks  = `blox_css_ingest_events_total{kind="task",outcome="recorded"}`
)

// measureKinesis measures how quickly the service reads a stream into etcd. The baseline is a loop that only gets the
// same records.
func measureKinesis(ctx context.Context, cfg config, t *table) error {
	s, err := newSystem(ctx, cfg, "--stream", fmt.Sprintf("%s:%d", streamName, streamShards))
	if err != nil {
		return err
	}
	defer s.close()
	s.queue = "kinesis://" + streamName
	aws, err := awsconfig.Load(ctx, s.getenv)
	if err != nil {
		return err
	}
	client := awsconfig.Kinesis(aws)
	var samples []sample
	for run := range cfg.runs {
		iterators, err := latestIterators(ctx, client)
		if err != nil {
			return err
		}
		if err := putRecords(ctx, client, lifecycleEvents(run*kinesisEvents, kinesisEvents)); err != nil {
			return err
		}
		baseline, err := getRecordsBaseline(ctx, client, iterators)
		if err != nil {
			return err
		}
		measured, err := s.streamRate(ctx)
		if err != nil {
			return err
		}
		samples = append(samples, sample{measured, baseline})
	}
	t.add("kinesis", fmt.Sprintf("events from Kinesis into etcd, %d shards", streamShards), "events/s", samples)
	return nil
}

// latestIterators returns an iterator of each shard that starts with the next record put.
func latestIterators(ctx context.Context, client *kinesis.Client) (iterators []*string, err error) {
	shards, err := client.ListShards(ctx, &kinesis.ListShardsInput{StreamName: conv.Pointer(streamName)})
	if err != nil {
		return nil, err
	}
	for _, shard := range shards.Shards {
		out, err := client.GetShardIterator(ctx, &kinesis.GetShardIteratorInput{
			StreamName: conv.Pointer(streamName), ShardId: shard.ShardId,
			ShardIteratorType: types.ShardIteratorTypeLatest,
		})
		if err != nil {
			return nil, err
		}
		iterators = append(iterators, out.ShardIterator)
	}
	return iterators, nil
}

// putRecords puts lifecycle events. The partition key is the task's id, as EventBridge is configured in production.
func putRecords(ctx context.Context, client *kinesis.Client, events []string) error {
	tasks := len(events) / 4
	for first := 0; first < len(events); first += recordsPerPut {
		var entries []types.PutRecordsRequestEntry
		for i, event := range events[first:min(first+recordsPerPut, len(events))] {
			entries = append(entries, types.PutRecordsRequestEntry{
				PartitionKey: conv.Pointer(id('a', (first+i)%tasks)), Data: []byte(event),
			})
		}
		out, err := client.PutRecords(ctx, &kinesis.PutRecordsInput{
			StreamName: conv.Pointer(streamName), Records: entries,
		})
		if err != nil {
			return err
		}
		if failed := conv.Value(out.FailedRecordCount); failed > 0 {
			return fmt.Errorf("put records: %d of %d failed", failed, len(entries))
		}
	}
	return nil
}

// streamRate starts a service, which continues at the checkpoints of the previous one, and returns its rate.
func (s *system) streamRate(ctx context.Context) (float64, error) {
	css, err := s.launchClusterState()
	if err != nil {
		return 0, err
	}
	defer css.stop()
	ingested := func() int {
		values, err := css.metrics(ctx)
		if err != nil {
			return 0 // the service is still starting
		}
		return int(values[ingestedTasks])
	}
	rate, err := middleRate(ctx, kinesisEvents, 20*time.Millisecond, func() (int, error) { return ingested(), nil })
	if err != nil {
		return 0, fmt.Errorf("%w: %s", err, css.Output())
	}
	// The next run would count the events that this service leaves in the stream.
	return rate, poll(ctx, time.Minute, 20*time.Millisecond, "the end of the stream", func() (bool, error) {
		return ingested() >= kinesisEvents, nil
	})
}

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"
	"golang.org/x/sync/errgroup"

	"github.com/blox/blox/internal/awsconfig"
)

const (
	streamName     = "events"
	streamShards   = 8
	kinesisEvents  = 40_000 // are in the stream before a run
	recordsAtOnce  = 1000   // of a read, as many as the service's
	recordsPutOnce = 500    // the most that Kinesis takes
)

// kinesis measures how quickly the service reads a stream into etcd, beside a loop that only gets the same records. Both
// rates are those between a tenth and nine tenths. The service keeps to Kinesis's five reads of a shard a second, the loop
// does not.
func kinesis(ctx context.Context, cfg config, t *table) error {
	w, err := newWorld(ctx, cfg, "--stream", fmt.Sprintf("%s:%d", streamName, streamShards))
	if err != nil {
		return err
	}
	defer w.close()
	w.queue = "kinesis://" + streamName
	loaded, err := awsconfig.Load(ctx, w.getenv)
	if err != nil {
		return err
	}
	client := awsconfig.Kinesis(loaded)
	var pairs []pair
	for run := range cfg.runs {
		iterators, err := latest(ctx, client)
		if err != nil {
			return err
		}
		if err := putRecords(ctx, client, lives(run*kinesisEvents, kinesisEvents)); err != nil {
			return err
		}
		var p pair
		if p.floor, err = getRate(ctx, client, iterators); err != nil {
			return err
		}
		if p.measured, err = w.streamRate(); err != nil {
			return err
		}
		pairs = append(pairs, p)
	}
	t.add(row{"kinesis", fmt.Sprintf("events through Kinesis into etcd, %d shards", streamShards), "events/s", pairs, nil})
	return nil
}

// latest is an iterator of each shard that begins with what is put next.
func latest(ctx context.Context, client *sdk.Client) (iterators []*string, err error) {
	out, err := client.ListShards(ctx, &sdk.ListShardsInput{StreamName: aws.String(streamName)})
	if err != nil {
		return nil, err
	}
	for _, shard := range out.Shards {
		out, err := client.GetShardIterator(ctx, &sdk.GetShardIteratorInput{
			StreamName: aws.String(streamName), ShardId: shard.ShardId, ShardIteratorType: types.ShardIteratorTypeLatest})
		if err != nil {
			return nil, err
		}
		iterators = append(iterators, out.ShardIterator)
	}
	return iterators, nil
}

// putRecords puts events under the id of their task, as EventBridge is told to.
func putRecords(ctx context.Context, client *sdk.Client, events []string) error {
	tasks := len(events) / 4 // lives come in the order of their versions
	for from := 0; from < len(events); from += recordsPutOnce {
		var entries []types.PutRecordsRequestEntry
		for i, event := range events[from:min(from+recordsPutOnce, len(events))] {
			entries = append(entries, types.PutRecordsRequestEntry{PartitionKey: aws.String(id('a', (from+i)%tasks)), Data: []byte(event)})
		}
		out, err := client.PutRecords(ctx, &sdk.PutRecordsInput{StreamName: aws.String(streamName), Records: entries})
		if err != nil {
			return err
		}
		if failed := aws.ToInt32(out.FailedRecordCount); failed > 0 {
			return fmt.Errorf("put records: %d of %d failed", failed, len(entries))
		}
	}
	return nil
}

// getRate gets all records from the iterators on, shard by shard at the same time.
func getRate(ctx context.Context, client *sdk.Client, iterators []*string) (float64, error) {
	var got atomic.Int64
	readers, ctx := errgroup.WithContext(ctx)
	for _, iterator := range iterators {
		readers.Go(func() error {
			for {
				out, err := client.GetRecords(ctx, &sdk.GetRecordsInput{ShardIterator: iterator, Limit: aws.Int32(recordsAtOnce)})
				if err != nil || len(out.Records) == 0 {
					return err
				}
				got.Add(int64(len(out.Records)))
				iterator = out.NextShardIterator
			}
		})
	}
	rate, err := middleRate(kinesisEvents, time.Millisecond, func() (int, error) { return int(got.Load()), ctx.Err() })
	return rate, errors.Join(readers.Wait(), err)
}

// streamRate has a service go on where the one before it was.
func (w *world) streamRate() (float64, error) {
	s, err := w.serviceSoon()
	if err != nil {
		return 0, err
	}
	defer s.stop()
	rate, err := middleRate(kinesisEvents, 20*time.Millisecond, s.recorded)
	if err != nil {
		return 0, fmt.Errorf("%w: %s", err, s.output)
	}
	// The next run is to have its own events only, and the few that are not checkpointed by now.
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		if n, err := s.recorded(); err != nil || n >= kinesisEvents {
			return rate, err
		}
	}
	return 0, errors.New("events are left in the stream")
}

// recorded is how many task events the service says that it has recorded; none before it answers.
func (s *service) recorded() (int, error) {
	answer, err := http.Get(s.url + "/metrics")
	if err != nil {
		return 0, nil // it is still starting
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		return 0, err
	}
	_, rest, found := strings.Cut(string(text), `blox_css_ingest_events_total{kind="task",outcome="recorded"} `)
	if !found {
		return 0, nil
	}
	value, _, _ := strings.Cut(rest, "\n")
	n, err := strconv.ParseFloat(value, 64)
	return int(n), err
}

// middleRate is how many a second come between a tenth and nine tenths of all.
func middleRate(all int, every time.Duration, count func() (int, error)) (float64, error) {
	var from time.Time // when first had come
	var first int
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(every) {
		n, err := count()
		at := time.Now()
		switch {
		case n >= all*9/10:
			return float64(n-first) / at.Sub(from).Seconds(), nil
		case err != nil:
			return 0, err
		case from.IsZero() && n >= all/10:
			from, first = at, n
		case at.After(deadline):
			return 0, fmt.Errorf("%d of %d have come after a minute", n, all)
		}
	}
}

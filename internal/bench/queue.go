package bench

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"golang.org/x/sync/errgroup"
)

const (
	senders   = 4  // concurrent calls of SendMessageBatch
	batchSize = 10 // messages, the limit of SQS
)

// sendEvents sends events to the queue. Concurrent senders take batches in turn, so the order is roughly kept.
func (s *system) sendEvents(ctx context.Context, events []string) error {
	work, ctx := errgroup.WithContext(ctx)
	for sender := range senders {
		work.Go(func() error {
			for first := sender * batchSize; first < len(events); first += senders * batchSize {
				if err := s.sendBatch(ctx, events[first:min(first+batchSize, len(events))]); err != nil {
					return err
				}
			}
			return nil
		})
	}
	return work.Wait()
}

// sendBatch sends at most batchSize events.
func (s *system) sendBatch(ctx context.Context, events []string) error {
	entries := make([]types.SendMessageBatchRequestEntry, len(events))
	for i := range events {
		number := strconv.Itoa(i)
		entries[i] = types.SendMessageBatchRequestEntry{Id: &number, MessageBody: &events[i]}
	}
	out, err := s.sqs.SendMessageBatch(ctx, &sqs.SendMessageBatchInput{QueueUrl: s.queueURL, Entries: entries})
	if err == nil && len(out.Failed) > 0 {
		return fmt.Errorf("send: %d of %d events failed", len(out.Failed), len(events))
	}
	return err
}

// queueLength returns how many messages are in the queue, in flight or not.
func (s *system) queueLength(ctx context.Context) (int, error) {
	out, err := s.sqs.GetQueueAttributes(ctx, &sqs.GetQueueAttributesInput{
		QueueUrl: s.queueURL, AttributeNames: []types.QueueAttributeName{types.QueueAttributeNameAll},
	})
	if err != nil {
		return 0, err
	}
	sum := 0
	for _, name := range []string{"ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"} {
		n, err := strconv.Atoi(out.Attributes[name])
		if err != nil {
			return 0, err
		}
		sum += n
	}
	return sum, nil
}

// purgeQueue deletes all messages.
func (s *system) purgeQueue(ctx context.Context) error {
	_, err := s.sqs.PurgeQueue(ctx, &sqs.PurgeQueueInput{QueueUrl: s.queueURL})
	return err
}

// awaitQueueLength waits until the queue holds at most limit messages.
func (s *system) awaitQueueLength(ctx context.Context, consumer *service, limit int) error {
	var length int
	err := poll(ctx, 3*time.Minute, 50*time.Millisecond, "the queue", func() (bool, error) {
		var err error
		length, err = s.queueLength(ctx)
		return length <= limit, err
	})
	if err != nil {
		return fmt.Errorf("%w; %d events are left: %s", err, length, consumer.Output())
	}
	return nil
}

// middleRate returns the events per second between the first tenth and the last tenth of all, so that neither start nor
// end counts. The function count returns how many events have been processed.
func middleRate(ctx context.Context, all int, interval time.Duration, count func() (int, error)) (float64, error) {
	var from time.Time // when first events had been processed
	var first, processed int
	var rate float64
	err := poll(ctx, time.Minute, interval, "events", func() (bool, error) {
		asked := time.Now()
		n, err := count()
		now := asked.Add(time.Since(asked) / 2) // the middle of the request
		processed = n
		switch {
		case n >= all*9/10:
			rate = float64(n-first) / now.Sub(from).Seconds()
			return true, nil
		case err != nil:
			return false, err
		case from.IsZero() && n >= all/10:
			from = now
			first = n
		}
		return false, nil
	})
	if err != nil {
		return 0, fmt.Errorf("%w; %d of %d events were processed", err, processed, all)
	}
	return rate, nil
}

package ingest

import (
	"context"
	"time"

	"github.com/sirupsen/logrus"
	"golang.org/x/sync/errgroup"

	"github.com/blox/blox/internal/backoff"
	"github.com/blox/blox/internal/logging"
)

// The delays between retries double from firstRetryDelay to longestRetryDelay.
const (
	firstRetryDelay   = 100 * time.Millisecond
	longestRetryDelay = 10 * time.Second
)

// Consumer receives messages from a queue, passes them to a Writer and deletes them.
type Consumer struct {
	queue   Queue
	writer  *Writer
	pollers int

	receiveFailures *logging.FailureLog
	deleteFailures  *logging.FailureLog
}

// NewConsumer returns a Consumer with the given number of concurrent receives. The Writer must run while it runs.
func NewConsumer(queue Queue, writer *Writer, pollers int, log logrus.FieldLogger) *Consumer {
	return &Consumer{
		queue: queue, writer: writer, pollers: pollers,
		receiveFailures: logging.NewFailureLog(log, "failed to receive events", "receiving events again"),
		deleteFailures:  logging.NewFailureLog(log, "failed to delete events", "deleting events again"),
	}
}

// Run consumes messages until ctx ends; it retries every failure. It deletes a message only after its record is
// committed, so an event may be recorded twice and is never lost. Memory is bounded by the pollers: each holds at
// most one receive.
func (c *Consumer) Run(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	for range c.pollers {
		group.Go(func() error { c.poll(ctx); return nil })
	}
	return group.Wait()
}

// poll receives, writes and deletes messages until ctx ends. Malformed messages stay in the queue for its redrive
// policy. The queue delivers deferred messages again after its visibility timeout.
func (c *Consumer) poll(ctx context.Context) {
	retry := backoff.New(firstRetryDelay, longestRetryDelay)
	for ctx.Err() == nil {
		messages, err := c.queue.Receive(ctx)
		if ctx.Err() != nil {
			return
		}
		if err != nil {
			c.receiveFailures.Failed(err)
			retry.Wait(ctx)
			continue
		}
		c.receiveFailures.Succeeded()
		retry.Reset()
		result, err := c.writer.Write(ctx, messages)
		if err != nil || len(result.Done) == 0 {
			continue
		}
		c.delete(ctx, result.Done)
	}
}

// delete deletes messages. If that fails for a message, the queue delivers it again, and recording it again changes
// nothing.
func (c *Consumer) delete(ctx context.Context, messages []Message) {
	err := c.queue.Delete(ctx, messages)
	switch {
	case err == nil:
		c.deleteFailures.Succeeded()
	case ctx.Err() == nil:
		c.deleteFailures.Failed(err)
	}
}

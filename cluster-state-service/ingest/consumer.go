package ingest

import (
	"context"
	"time"

	"github.com/sirupsen/logrus"
	"golang.org/x/sync/errgroup"

	"github.com/blox/blox/internal/backoff"
	"github.com/blox/blox/internal/logging"
)

// The delays between retries of a commit double from firstRetryDelay to longestRetryDelay.
const (
	firstRetryDelay   = 100 * time.Millisecond
	longestRetryDelay = 10 * time.Second
)

// ConsumerConfig configures a Consumer.
type ConsumerConfig struct {
	Queue        Queue
	Writer       *Writer // must run while the Consumer runs
	Pollers      int     // number of concurrent receives
	Connectivity *Connectivity
	Log          logrus.FieldLogger
}

// Consumer receives messages from a queue, passes them to a Writer and deletes them.
type Consumer struct {
	ConsumerConfig
	backoff receiveBackoff

	receiveFailures *logging.FailureLog
	deleteFailures  *logging.FailureLog
	extendFailures  *logging.FailureLog
	undecided       undecided
}

// NewConsumer returns a Consumer.
func NewConsumer(cfg ConsumerConfig) *Consumer {
	log := cfg.Log
	return &Consumer{
		ConsumerConfig: cfg, backoff: receiveBackoff{pollers: cfg.Pollers},
		receiveFailures: logging.NewFailureLog(log, "failed to receive events", "resumed receiving events"),
		deleteFailures:  logging.NewFailureLog(log, "failed to delete events", "resumed deleting events"),
		extendFailures: logging.NewFailureLog(log, "failed to keep undecided events hidden in the queue",
			"resumed keeping undecided events"),
		undecided: undecided{messages: map[string]heldMessage{}},
	}
}

// Run consumes messages until ctx ends; it retries every failure. It deletes a message only after its record is
// committed, so an event may be recorded twice and is never lost. Memory is bounded by the pollers, each of which holds
// at most one receive, and by maxUndecided.
func (c *Consumer) Run(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { c.decide(ctx); return nil })
	for range c.Pollers {
		group.Go(func() error { c.poll(ctx); return nil })
	}
	return group.Wait()
}

// poll receives, writes and deletes messages until ctx ends. Malformed messages stay in the queue for its redrive
// policy. Deferred messages are kept until ECS responds.
func (c *Consumer) poll(ctx context.Context) {
	for failures := 0; ctx.Err() == nil; {
		c.Connectivity.Begin()
		wait := longPoll
		if failures > 0 {
			wait = 0 // the response shows at once that the queue works again
		}
		messages, err := c.Queue.Receive(ctx, wait)
		c.Connectivity.End(err)
		if ctx.Err() != nil {
			return
		}
		if err != nil {
			c.receiveFailures.Failed(err)
			failures++
			backoff.Sleep(ctx, c.backoff.failed(failures))
			continue
		}
		c.receiveFailures.Succeeded()
		c.Connectivity.Received()
		c.backoff.succeeded()
		failures = 0
		result, err := c.Writer.Write(ctx, messages)
		if err != nil {
			return // ctx has ended
		}
		if kept := c.undecided.add(result.Deferred); len(kept) > 0 {
			c.extend(ctx, kept)
		}
		c.finish(ctx, result.Done)
	}
}

// finish deletes messages that are decided.
func (c *Consumer) finish(ctx context.Context, messages []Message) {
	if len(messages) > 0 {
		c.undecided.remove(messages)
		c.delete(ctx, messages)
	}
}

// delete deletes messages. If that fails for a message, the queue delivers it again, and recording it again changes
// nothing.
func (c *Consumer) delete(ctx context.Context, messages []Message) {
	err := c.Queue.Delete(ctx, messages)
	switch {
	case err == nil:
		c.deleteFailures.Succeeded()
	case ctx.Err() == nil:
		c.deleteFailures.Failed(err)
	}
}

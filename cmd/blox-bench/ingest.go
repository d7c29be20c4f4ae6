package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"golang.org/x/sync/errgroup"

	"github.com/blox/blox/internal/awsconfig"
)

// ingestEvents are in the queue before a run: four versions each of a quarter as many new tasks.
const ingestEvents = 24_000

// ingest measures how quickly the whole service empties a queue, beside a loop with as many pollers that only receives and
// deletes. Both rates are those between a tenth and nine tenths, so that neither's start counts.
func ingest(ctx context.Context, cfg config, t *table) error {
	w, err := newWorld(ctx, cfg)
	if err != nil {
		return err
	}
	defer w.close()
	var pairs []pair
	for run := range cfg.runs {
		var p pair
		events := lives(run*ingestEvents, ingestEvents)
		if p.floor, err = w.rate(events, w.floorRate); err != nil {
			return err
		}
		if p.measured, err = w.rate(events, w.ingestRate); err != nil {
			return err
		}
		pairs = append(pairs, p)
	}
	t.add(row{"ingest", fmt.Sprintf("events through SQS into etcd, %d pollers", cfg.pollers), "events/s", pairs,
		[]goal{atLeast("8000 events/s", 8000), ratioAtLeast(0.5)}})
	return nil
}

// rate sends events and has them received; what is left of them is forgotten.
func (w *world) rate(events []string, measure func() (float64, error)) (float64, error) {
	if err := w.send(events); err != nil {
		return 0, err
	}
	rate, err := measure()
	if err != nil {
		return 0, err
	}
	time.Sleep(100 * time.Millisecond) // for the long polls that were given up
	_, err = w.sqs.PurgeQueue(w.ctx, &sqs.PurgeQueueInput{QueueUrl: w.queueURL})
	return rate, err
}

// lives is the events of n/4 tasks, from number first on: all are PENDING, then all RUNNING, and so on.
func lives(first, n int) []string {
	var events []string
	for version, status := range []string{"PENDING", "RUNNING", "STOPPING", "STOPPED"} {
		for i := range n / 4 {
			events = append(events, task(first+i, i%10_000, version+1, status, "bench"))
		}
	}
	return events
}

func (w *world) floorRate() (float64, error) {
	ctx, cancel := context.WithCancel(w.ctx)
	aws, err := awsconfig.Load(ctx, w.getenv)
	if err != nil {
		cancel()
		return 0, err
	}
	client := awsconfig.SQS(aws)
	var pollers errgroup.Group
	for range w.cfg.pollers {
		pollers.Go(func() error {
			for ctx.Err() == nil {
				if err := receiveAndDelete(ctx, client, w.queueURL); err != nil && ctx.Err() == nil {
					return err
				}
			}
			return nil
		})
	}
	rate, err := w.drained(nil)
	cancel()
	return rate, errors.Join(err, pollers.Wait())
}

func receiveAndDelete(ctx context.Context, client *sqs.Client, queue *string) error {
	got, err := client.ReceiveMessage(ctx, &sqs.ReceiveMessageInput{QueueUrl: queue, MaxNumberOfMessages: 10, WaitTimeSeconds: 20})
	if err != nil || len(got.Messages) == 0 {
		return err
	}
	var entries []types.DeleteMessageBatchRequestEntry
	for i, m := range got.Messages {
		number := strconv.Itoa(i)
		entries = append(entries, types.DeleteMessageBatchRequestEntry{Id: &number, ReceiptHandle: m.ReceiptHandle})
	}
	_, err = client.DeleteMessageBatch(ctx, &sqs.DeleteMessageBatchInput{QueueUrl: queue, Entries: entries})
	return err
}

func (w *world) ingestRate() (float64, error) {
	s, err := w.serviceSoon()
	if err != nil {
		return 0, err
	}
	defer s.stop()
	return w.drained(s)
}

// drained returns the rate at which the queue empties, in messages a second.
func (w *world) drained(by *service) (float64, error) {
	all, err := w.queued()
	if err != nil {
		return 0, err
	}
	var from time.Time // when first were left
	var first int
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(10 * time.Millisecond) {
		asked := time.Now()
		left, err := w.queued()
		if err != nil {
			return 0, err
		}
		at := asked.Add(time.Since(asked) / 2)
		switch {
		case left <= all/10:
			return float64(first-left) / at.Sub(from).Seconds(), nil
		case from.IsZero() && left <= all*9/10:
			from, first = at, left
		case at.After(deadline):
			why := ""
			if by != nil {
				why = by.output.String()
			}
			return 0, fmt.Errorf("%d of %d messages are left after a minute: %s", left, all, why)
		}
	}
}

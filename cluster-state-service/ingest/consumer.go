package ingest

import (
	"cmp"
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/sirupsen/logrus"
	"golang.org/x/sync/errgroup"

	"github.com/blox/blox/cluster-state-service/state"
)

// Recorder is what consuming needs of a store; store.Store is the one in production.
type Recorder interface {
	// Record keeps each record that is newer than the stored one: all of them, or an error. No key comes twice.
	Record(ctx context.Context, records []state.Record) error
}

// Options are the dials of Consume and ConsumeStream; the zero value gives the defaults.
type Options struct {
	Pollers           int           // how many receive from a queue at a time; 16 by default
	Partitions        int           // how many commit at a time; an entity keeps to one; 2 by default
	BatchSize         int           // the most records in one commit; 100 by default
	ReadInterval      time.Duration // between two reads of a shard; 200ms by default, for Kinesis allows five a second
	RebalanceInterval time.Duration // between two looks at a stream's shards and who reads them; 2s by default
	ReadTimeout       time.Duration // how long reads of a stream fail before its shards are left to other replicas; 30s by default

	Metrics prometheus.Registerer // gets what consuming tells of itself; nil for nobody
}

func (o Options) withDefaults() Options {
	return Options{
		Pollers: cmp.Or(o.Pollers, 16), Partitions: cmp.Or(o.Partitions, 2), BatchSize: cmp.Or(o.BatchSize, 100),
		ReadInterval: cmp.Or(o.ReadInterval, 200*time.Millisecond), RebalanceInterval: cmp.Or(o.RebalanceInterval, 2*time.Second),
		ReadTimeout: cmp.Or(o.ReadTimeout, 30*time.Second), Metrics: o.Metrics,
	}
}

// ConsumeQueue records events until ctx ends. A message is deleted only after its record is committed, so an event may be
// recorded twice and is never lost. Memory is bounded by the pollers: each has at most ten messages in hand and
// receives again when they are done. No failure ends it: it backs off and goes on.
func ConsumeQueue(ctx context.Context, queue Queue, to Recorder, log logrus.FieldLogger, o Options) error {
	o = o.withDefaults()
	parts, ctx := errgroup.WithContext(ctx)
	lanes := newLanes(o, log)
	parts.Go(func() error { lanes.run(ctx, to); return nil })
	for range o.Pollers {
		parts.Go(func() error { poll(ctx, queue, lanes, log); return nil })
	}
	return parts.Wait()
}

// poll receives, hands on, waits for the commits and deletes, until ctx ends. What cannot be decoded is left to the queue's
// redrive policy.
func poll(ctx context.Context, queue Queue, lanes *lanes, log logrus.FieldLogger) {
	for wait := newBackoff(); ctx.Err() == nil; {
		messages, err := queue.Receive(ctx)
		if err != nil {
			if ctx.Err() == nil {
				log.WithError(err).Warn("receive events")
				wait.sleep(ctx)
			}
			continue
		}
		wait.reset()
		done, err := lanes.process(ctx, messages)
		if err != nil || len(done) == 0 {
			continue
		}
		if err := queue.Delete(ctx, done); err != nil && ctx.Err() == nil {
			log.WithError(err).Warn("delete events") // they come again, and change nothing
		}
	}
}

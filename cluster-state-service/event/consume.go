package event

import (
	"context"
	"errors"
	"hash/maphash"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/sirupsen/logrus"
	"golang.org/x/sync/errgroup"

	"github.com/blox/blox/cluster-state-service/state"
)

// Recorder is what Consume needs of a store; store.Store is the one in production.
type Recorder interface {
	// Record keeps each record that is newer than the stored one: all of them, or an error. No key comes twice.
	Record(ctx context.Context, records []state.Record) error
}

// Options are Consume's dials; the zero value gives the defaults.
type Options struct {
	Pollers int // how many receive at a time; 4 by default
	Lanes   int // how many commit at a time; an entity keeps to one; 2 by default
	Batch   int // the most records in one commit; 100 by default
}

// pending is one record on its way to the store.
type pending struct {
	record    state.Record
	committed func()
}

// Consume records events until ctx ends. A message is deleted only after its record is committed, so an event may be
// recorded twice and is never lost. Memory is bounded by the pollers: each has at most ten messages in hand and
// receives again when they are done. No failure ends it: it backs off and goes on.
func Consume(ctx context.Context, queue Queue, to Recorder, log logrus.FieldLogger, o Options) error {
	o.Pollers, o.Lanes, o.Batch = orDefault(o.Pollers, 4), orDefault(o.Lanes, 2), orDefault(o.Batch, 100)
	parts, ctx := errgroup.WithContext(ctx)
	c := &consumer{queue: queue, log: log, lanes: make([]chan pending, o.Lanes), seed: maphash.MakeSeed()}
	for i := range c.lanes {
		c.lanes[i] = make(chan pending, o.Batch)
		parts.Go(func() error { commit(ctx, c.lanes[i], to.Record, log, o.Batch); return nil })
	}
	for range o.Pollers {
		parts.Go(func() error { c.poll(ctx); return nil })
	}
	return parts.Wait()
}

// consumer is what the pollers share.
type consumer struct {
	queue Queue
	log   logrus.FieldLogger
	lanes []chan pending
	seed  maphash.Seed
	odd   onceEach
}

// lane is where all records of an entity go.
func (c *consumer) lane(key state.Key) chan<- pending {
	return c.lanes[maphash.String(c.seed, key.ARN)%uint64(len(c.lanes))]
}

// onceEach tells the first time of a message from the times that the queue delivers it again. It remembers a thousand.
type onceEach struct {
	mu   sync.Mutex
	seen map[string]bool
}

func (o *onceEach) first(id string) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.seen[id] {
		return false
	}
	if o.seen == nil || len(o.seen) >= 1000 {
		o.seen = map[string]bool{}
	}
	o.seen[id] = true
	return true
}

func orDefault(n, otherwise int) int {
	if n > 0 {
		return n
	}
	return otherwise
}

// poll receives, hands on, waits for the commits and deletes, until ctx ends.
func (c *consumer) poll(ctx context.Context) {
	for wait := newBackoff(); ctx.Err() == nil; {
		messages, err := c.queue.Receive(ctx)
		if err != nil {
			if ctx.Err() == nil {
				c.log.WithError(err).Warn("receive events")
				wait.sleep(ctx)
			}
			continue
		}
		wait.reset()
		done := c.process(ctx, messages)
		if ctx.Err() != nil || len(done) == 0 {
			continue
		}
		if err := c.queue.Delete(ctx, done); err != nil && ctx.Err() == nil {
			c.log.WithError(err).Warn("delete events") // they come again, and change nothing
		}
	}
}

// process returns the messages that are dealt with: recorded, or of no interest. Those of ctx's end are not.
func (c *consumer) process(ctx context.Context, messages []Message) []Message {
	var done []Message
	committed := make(chan Message, len(messages))
	waiting := 0
	for _, m := range messages {
		record, err := Decode(m.Body)
		switch {
		case errors.Is(err, ErrNotStored):
			c.log.WithError(err).WithField("message", m.ID).Debug("skip event")
			done = append(done, m)
			continue
		case err != nil: // left to the queue's redrive policy
			if c.odd.first(m.ID) {
				c.log.WithError(err).WithField("message", m.ID).Error("event cannot be decoded")
			}
			continue
		}
		select {
		case c.lane(record.Key) <- pending{record, func() { committed <- m }}:
			waiting++
		case <-ctx.Done():
			return nil
		}
	}
	for ; waiting > 0; waiting-- {
		select {
		case m := <-committed:
			done = append(done, m)
		case <-ctx.Done():
			return nil
		}
	}
	return done
}

// commit gathers what waits into batches without repeated keys and records them, until ctx ends. It tries a batch again
// for as long as it takes: the messages are kept in the queue, and receiving stops meanwhile.
func commit(ctx context.Context, lane <-chan pending, record func(context.Context, []state.Record) error,
	log logrus.FieldLogger, most int,
) {
	wait := newBackoff()
	var held *pending // its key was in the batch before
	for ctx.Err() == nil {
		var group []pending
		if held == nil {
			select {
			case p := <-lane:
				held = &p
			case <-ctx.Done():
				return
			}
		}
		group, held = gather(*held, lane, most)
		records := make([]state.Record, len(group))
		for i := range group {
			records[i] = group[i].record
		}
		for ctx.Err() == nil {
			err := record(ctx, records)
			if err == nil {
				wait.reset()
				for i := range group {
					group[i].committed()
				}
				break
			}
			if ctx.Err() == nil {
				log.WithError(err).WithField("records", len(records)).Warn("record events")
				wait.sleep(ctx)
			}
		}
	}
}

// gather takes what waits in the lane, up to a key that the batch has already: that one is returned beside it.
func gather(first pending, lane <-chan pending, most int) (group []pending, held *pending) {
	group = []pending{first}
	seen := map[state.Key]bool{first.record.Key: true}
	for len(group) < most {
		select {
		case p := <-lane:
			if seen[p.record.Key] {
				return group, &p
			}
			seen[p.record.Key] = true
			group = append(group, p)
		default:
			return group, nil
		}
	}
	return group, nil
}

// backoff waits longer and longer, with jitter, from 0.1 s to 10 s.
type backoff struct{ next time.Duration }

func newBackoff() *backoff { return &backoff{next: firstWait} }

const (
	firstWait   = 100 * time.Millisecond
	longestWait = 10 * time.Second
)

func (b *backoff) reset() { b.next = firstWait }

func (b *backoff) sleep(ctx context.Context) {
	timer := time.NewTimer(b.next/2 + rand.N(b.next/2))
	defer timer.Stop()
	b.next = min(2*b.next, longestWait)
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

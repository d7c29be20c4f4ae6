package ingest

import (
	"context"
	"errors"
	"hash/maphash"
	"sync"

	"github.com/sirupsen/logrus"

	"github.com/blox/blox/cluster-state-service/state"
)

// lanes take events to the store, from wherever they come: an entity keeps to one lane, and so its events keep their
// order, and each lane commits batches.
type lanes struct {
	each []chan pending
	most int // records in a batch
	seed maphash.Seed
	odd  onceEach
	log  logrus.FieldLogger
	metrics
}

// pending is one record on its way to the store.
type pending struct {
	record    state.Record
	committed func()
}

func newLanes(o Options, log logrus.FieldLogger) *lanes {
	l := &lanes{each: make([]chan pending, o.Partitions), most: o.BatchSize, seed: maphash.MakeSeed(), log: log, metrics: newMetrics(o.Metrics)}
	for i := range l.each {
		l.each[i] = make(chan pending, o.BatchSize)
	}
	return l
}

// run commits until ctx ends.
func (l *lanes) run(ctx context.Context, to Recorder) {
	var running sync.WaitGroup
	for _, lane := range l.each {
		running.Go(func() { commit(ctx, lane, to.Record, l.log, l.most) })
	}
	running.Wait()
}

// of is the lane where all records of an entity go.
func (l *lanes) of(key state.Key) chan<- pending {
	return l.each[maphash.String(l.seed, key.ARN)%uint64(len(l.each))]
}

// process waits until all messages are dealt with, and returns those that are recorded or of no interest. Those that cannot
// be decoded are logged and counted, once each, and not returned. An error means that ctx ended before.
func (l *lanes) process(ctx context.Context, messages []Message) (done []Message, err error) {
	committed := make(chan Message, len(messages)) // room for all, so that commit never waits
	waiting := 0
	for _, m := range messages {
		record, err := Decode(m.Body)
		switch {
		case errors.Is(err, ErrUnsupportedKind):
			l.log.WithError(err).WithField("message", m.ID).Debug("skip event")
			l.skipped()
			done = append(done, m)
			continue
		case err != nil:
			if l.odd.first(m.ID) {
				l.undecodable()
				l.log.WithError(err).WithField("message", m.ID).Error("event cannot be decoded")
			}
			continue
		}
		select {
		case l.of(record.Key) <- pending{record, func() { l.recorded(record.Key.Kind, m.Sent); committed <- m }}:
			waiting++
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	for ; waiting > 0; waiting-- {
		select {
		case m := <-committed:
			done = append(done, m)
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	return done, nil
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

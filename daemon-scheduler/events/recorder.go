// Package events writes down what the leader decides, off its way: nobody waits for it, and it is bounded.
package events

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/sirupsen/logrus"

	"github.com/blox/blox/daemon-scheduler/environment"
)

// Writer is what a Journal needs of a store.
type Writer interface {
	// Record keeps the events under id, in place of those that it has had; a higher id is a later one.
	Record(ctx context.Context, id string, events []environment.Event) error
}

const (
	pace         = time.Second      // between two writes
	grown        = 30 * time.Second // after which a batch is not added to any more
	mostInBatch  = 20               // events; each may be about many instances
	mostWaiting  = 200              // events not written yet
	writeTimeout = 5 * time.Second
	endTimeout   = time.Second
	mostBackoff  = 30 * time.Second
)

// Journal gathers events: those that are alike become one.
type Journal struct {
	to  Writer
	log logrus.FieldLogger

	mu      sync.Mutex
	waiting []environment.Event
	leftOut int // events for which there was no room
	noted   chan struct{}
}

// New returns a journal that Run has to write.
func New(to Writer, log logrus.FieldLogger) *Journal {
	return &Journal{to: to, log: log, noted: make(chan struct{}, 1)}
}

// Note takes a event down. It does not wait.
func (j *Journal) Note(d environment.Event) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if left := add(&j.waiting, d.Truncated(), mostWaiting); left {
		j.leftOut += max(1, d.Count)
	}
	select {
	case j.noted <- struct{}{}:
	default:
	}
}

// add joins d with one of list, or puts it last; it tells whether there was no room.
func add(list *[]environment.Event, d environment.Event, room int) (leftOut bool) {
	for i := len(*list) - 1; i >= 0; i-- {
		if joined, alike := (*list)[i].Merge(d); alike {
			(*list)[i] = joined
			return false
		}
	}
	if len(*list) >= room {
		return true
	}
	*list = append(*list, d)
	return false
}

// Run writes until ctx ends, and then returns nil. Nothing is written while nothing is decided.
func (j *Journal) Run(ctx context.Context) error {
	b, failures := batch{}, 0
	for {
		select {
		case <-ctx.Done():
			ending, cancel := context.WithTimeout(context.WithoutCancel(ctx), endTimeout)
			defer cancel()
			for j.waits(&b) {
				if err := j.write(ending, &b); err != nil {
					j.log.WithError(err).Debug("last events not written")
					break
				}
			}
			return nil
		case <-j.noted:
		}
		wait := pace
		writing, cancel := context.WithTimeout(ctx, writeTimeout)
		if err := j.write(writing, &b); err != nil && ctx.Err() == nil {
			failures++
			wait = min(pace<<min(failures, 10), mostBackoff)
			if failures == 1 {
				j.log.WithError(err).Warn("events not written yet")
			}
		} else {
			failures = 0
		}
		cancel()
		select {
		case <-ctx.Done():
		case <-time.After(wait):
		}
	}
}

// batch is what is written together.
type batch struct {
	id      string
	began   time.Time
	events  []environment.Event
	written bool
}

// write has what waits written, as far as it goes into one batch: the one that is open or a new one.
func (j *Journal) write(ctx context.Context, b *batch) error {
	if !j.fill(b, time.Now()) {
		return nil
	}
	defer j.again() // there may be more
	if err := j.to.Record(ctx, b.id, b.events); err != nil {
		return fmt.Errorf("record %d events: %w", len(b.events), err)
	}
	b.written = true
	return nil
}

// fill moves what waits into the batch, or into a new one once it is full or old; false when there is nothing to write.
func (j *Journal) fill(b *batch, now time.Time) bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	if len(j.waiting) == 0 && j.leftOut == 0 {
		return !b.written && len(b.events) > 0
	}
	if b.written && (now.Sub(b.began) > grown || len(b.events) >= mostInBatch) || b.id == "" {
		*b = batch{id: fmt.Sprintf("%020d-%s", now.UnixNano(), uuid.NewString()[:8]), began: now}
	}
	b.written = false
	n := 0
	for ; n < len(j.waiting); n++ {
		if full := add(&b.events, j.waiting[n], mostInBatch); full {
			break
		}
	}
	j.waiting = append(j.waiting[:0:0], j.waiting[n:]...)
	if len(j.waiting) == 0 && j.leftOut > 0 && len(b.events) < mostInBatch {
		b.events = append(b.events, environment.Event{
			LastSeenAt: now, Action: environment.EventsDropped, Count: j.leftOut, Reason: "more was decided than is kept",
		})
		j.leftOut = 0
	}
	return true
}

// waits tells whether there is anything to write.
func (j *Journal) waits(b *batch) bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	return len(j.waiting) > 0 || j.leftOut > 0 || !b.written && len(b.events) > 0
}

// again has Run come back.
func (j *Journal) again() {
	select {
	case j.noted <- struct{}{}:
	default:
	}
}

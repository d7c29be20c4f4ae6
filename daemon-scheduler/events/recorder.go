// Package events records service events: the actions of the leader and of users. Recording never blocks and is bounded.
package events

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/sirupsen/logrus"

	"github.com/blox/blox/daemon-scheduler/environment"
	"github.com/blox/blox/internal/backoff"
)

// Writer stores batches of events. Store implements it.
type Writer interface {
	// Record stores the events of a batch in place of those it had. Ids grow with time.
	Record(ctx context.Context, id string, events []environment.Event) error
}

const (
	writeInterval   = time.Second
	batchAge        = 30 * time.Second // an older batch receives no more events
	maxBatchSize    = 20               // events; each may be about many instances
	maxPending      = 200              // events that are not written yet
	writeTimeout    = 5 * time.Second
	shutdownTimeout = time.Second
	maxRetryDelay   = 30 * time.Second
)

// Recorder collects events, merges similar ones and writes them in batches.
type Recorder struct {
	writer Writer
	log    logrus.FieldLogger

	mu      sync.Mutex
	pending []environment.Event
	dropped int           // events, as maxPending were pending
	wake    chan struct{} // holds one element if there is something to write
}

// NewRecorder returns a Recorder that writes nothing until Run.
func NewRecorder(writer Writer, log logrus.FieldLogger) *Recorder {
	return &Recorder{writer: writer, log: log, wake: make(chan struct{}, 1)}
}

// Record records an event. It does not block.
func (r *Recorder) Record(event environment.Event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if full := add(&r.pending, event.Truncated(), maxPending); full {
		r.dropped += max(1, event.Count)
	}
	r.wakeUp()
}

// add merges an event into a similar one of list, or appends it. It reports true if list has size events already.
func add(list *[]environment.Event, event environment.Event, size int) (full bool) {
	for i := len(*list) - 1; i >= 0; i-- {
		if merged, similar := (*list)[i].Merge(event); similar {
			(*list)[i] = merged
			return false
		}
	}
	if len(*list) >= size {
		return true
	}
	*list = append(*list, event)
	return false
}

// Run writes events until ctx ends. It writes the pending ones before it returns nil. While no events are recorded, it
// writes nothing.
func (r *Recorder) Run(ctx context.Context) error {
	var current batch
	failures := 0
	for {
		select {
		case <-ctx.Done():
			r.writeAll(context.WithoutCancel(ctx), &current)
			return nil
		case <-r.wake:
		}
		writeCtx, cancel := context.WithTimeout(ctx, writeTimeout)
		err := r.write(writeCtx, &current)
		cancel()
		if err == nil || ctx.Err() != nil {
			failures = 0
		} else if failures++; failures == 1 {
			r.log.WithError(err).Warn("failed to write events; retrying")
		}
		backoff.Sleep(ctx, max(writeInterval, backoff.Delay(2*writeInterval, maxRetryDelay, failures)))
	}
}

// writeAll writes pending events, for shutdownTimeout at most.
func (r *Recorder) writeAll(ctx context.Context, current *batch) {
	ctx, cancel := context.WithTimeout(ctx, shutdownTimeout)
	defer cancel()
	for r.unwritten(current) {
		if err := r.write(ctx, current); err != nil {
			r.log.WithError(err).Debug("failed to write the last events")
			return
		}
	}
}

// batch holds the events of one record.
type batch struct {
	id      string
	began   time.Time
	events  []environment.Event
	written bool
}

// write writes pending events: as many as fit into the current batch or, if that is full or old, into a new one.
func (r *Recorder) write(ctx context.Context, current *batch) error {
	if !r.fill(current, time.Now()) {
		return nil
	}
	defer r.wakeUp() // more may be pending
	if err := r.writer.Record(ctx, current.id, current.events); err != nil {
		return fmt.Errorf("record %d events: %w", len(current.events), err)
	}
	current.written = true
	return nil
}

// fill moves pending events into the batch, or into a new one if it is full or old. It reports false if there is
// nothing to write.
func (r *Recorder) fill(current *batch, now time.Time) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.pending) == 0 && r.dropped == 0 {
		return !current.written && len(current.events) > 0
	}
	full := now.Sub(current.began) > batchAge || len(current.events) >= maxBatchSize
	if current.written && full || current.id == "" {
		*current = batch{id: fmt.Sprintf("%020d-%s", now.UnixNano(), uuid.NewString()[:8]), began: now}
	}
	current.written = false
	moved := 0
	for ; moved < len(r.pending); moved++ {
		if full := add(&current.events, r.pending[moved], maxBatchSize); full {
			break
		}
	}
	r.pending = append(r.pending[:0:0], r.pending[moved:]...)
	if len(r.pending) == 0 && r.dropped > 0 && len(current.events) < maxBatchSize {
		current.events = append(current.events, environment.Event{
			LastSeenAt: now, Action: environment.EventsDropped, Count: r.dropped,
			Reason: "too many events at once; some were not recorded",
		})
		r.dropped = 0
	}
	return true
}

// unwritten reports whether there is anything to write.
func (r *Recorder) unwritten(current *batch) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.pending) > 0 || r.dropped > 0 || !current.written && len(current.events) > 0
}

// wakeUp makes Run write.
func (r *Recorder) wakeUp() {
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

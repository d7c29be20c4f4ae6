// Package events records service events: the actions of the leader and of users. Recording never blocks and is bounded.
package events

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/blox/blox/daemon-scheduler/environment"
	"github.com/blox/blox/internal/backoff"
	"github.com/blox/blox/internal/logging"
)

// Writer stores batches of events. Store implements it.
type Writer interface {
	// Record stores a batch in place of what it held before. It sets the revision of the batch and of its events, also
	// when an earlier call has written some of them although it returned an error.
	Record(ctx context.Context, b *Batch) error
}

const (
	writeInterval   = time.Second
	batchAge        = 30 * time.Second // an older batch receives no more events
	maxBatchSize    = 20               // events; each may be about many instances
	maxPending      = 200              // events of a class that are not written yet
	writeTimeout    = 5 * time.Second
	shutdownTimeout = time.Second
	maxRetryDelay   = 30 * time.Second
)

// Recorder collects events, merges similar ones and writes them in batches. Each class of events has a queue of its
// own: many events of tasks displace no change of a user.
type Recorder struct {
	writer Writer
	log    logrus.FieldLogger

	mu     sync.Mutex
	queues [classes]queue
	wake   chan struct{} // holds one element if there is something to write
}

// queue holds the events of one class that are not written yet.
type queue struct {
	pending []environment.Event
	dropped int   // events, as maxPending were pending
	current Batch // used by Run alone
	began   time.Time
}

// NewRecorder returns a Recorder that writes nothing until Run.
func NewRecorder(writer Writer, log logrus.FieldLogger) *Recorder {
	return &Recorder{writer: writer, log: log, wake: make(chan struct{}, 1)}
}

// Record records an event. It does not block.
func (r *Recorder) Record(event environment.Event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	q := &r.queues[classOf(event.Action)]
	if full := add(&q.pending, event.Truncated(), maxPending); full {
		q.dropped += max(1, event.Count)
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
	failures := 0
	log := logging.NewFailureLog(r.log, "failed to write events; retrying", "resumed writing events")
	for {
		select {
		case <-ctx.Done():
			r.writeAll(context.WithoutCancel(ctx))
			return nil
		case <-r.wake:
		}
		writeCtx, cancel := context.WithTimeout(ctx, writeTimeout)
		err := r.write(writeCtx)
		cancel()
		if err == nil || ctx.Err() != nil {
			failures = 0
			log.Succeeded()
		} else {
			failures++
			log.Failed(err)
		}
		backoff.Sleep(ctx, max(writeInterval, backoff.Delay(2*writeInterval, maxRetryDelay, failures)))
	}
}

// writeAll writes pending events, for shutdownTimeout at most.
func (r *Recorder) writeAll(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, shutdownTimeout)
	defer cancel()
	for r.unwritten() {
		if err := r.write(ctx); err != nil {
			r.log.WithError(err).Debug("failed to write the last events")
			return
		}
	}
}

// write writes pending events of each class: as many as fit into its current batch or, if that is full or old, into a
// new one.
func (r *Recorder) write(ctx context.Context) error {
	var failures []error
	for c := range classes {
		q := &r.queues[c]
		if !r.fill(c, time.Now()) {
			continue
		}
		if err := r.writer.Record(ctx, &q.current); err != nil {
			failures = append(failures, fmt.Errorf("record %d events: %w", len(q.current.Events), err))
		}
	}
	if r.unwritten() {
		r.wakeUp()
	}
	return errors.Join(failures...)
}

// fill moves pending events of a class into its batch, or into a new one if it is full or old. It reports false if
// there is nothing to write.
func (r *Recorder) fill(c class, now time.Time) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	q := &r.queues[c]
	if len(q.pending) == 0 && q.dropped == 0 {
		return !q.current.written()
	}
	full := now.Sub(q.began) > batchAge || len(q.current.Events) >= maxBatchSize
	if q.current.written() && full || q.current.ID == "" {
		q.current, q.began = newBatch(c, now), now
	}
	moved := 0
	for ; moved < len(q.pending); moved++ {
		if full := add(&q.current.Events, q.pending[moved], maxBatchSize); full {
			break
		}
	}
	q.pending = append(q.pending[:0:0], q.pending[moved:]...)
	if len(q.pending) == 0 && q.dropped > 0 && len(q.current.Events) < maxBatchSize {
		q.current.Events = append(q.current.Events, environment.Event{
			LastSeenAt: now, Action: environment.EventsDropped, Count: q.dropped,
			Reason: "too many events at once; some were not recorded",
		})
		q.dropped = 0
	}
	return true
}

// unwritten reports whether there is anything to write.
func (r *Recorder) unwritten() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, q := range r.queues {
		if len(q.pending) > 0 || q.dropped > 0 || !q.current.written() {
			return true
		}
	}
	return false
}

// wakeUp makes Run write.
func (r *Recorder) wakeUp() {
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

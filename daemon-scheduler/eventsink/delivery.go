package eventsink

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync/atomic"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/blox/blox/daemon-scheduler/environment"
	"github.com/blox/blox/daemon-scheduler/events"
	"github.com/blox/blox/daemon-scheduler/store"
	"github.com/blox/blox/internal/backoff"
	"github.com/blox/blox/internal/logging"
)

const (
	firstRetryDelay   = time.Second
	longestRetryDelay = time.Minute
	storeTimeout      = 5 * time.Second  // of reading and writing the position
	sendTimeout       = 30 * time.Second // of one batch
	idleInterval      = time.Minute      // between two looks at the events while nothing changes
)

// delivery sends events to one sink.
type delivery struct {
	sink     sink
	events   *events.Store
	records  *store.Store
	encode   func(environment.Event) []byte
	metrics  *metrics
	log      logrus.FieldLogger
	failures *logging.FailureLog
	changed  chan struct{} // holds one element if the events may have changed
	oldest   atomic.Int64  // Unix time, in milliseconds, of the oldest event that is due; 0: none
}

func newDelivery(s sink, cfg Config, m *metrics) *delivery {
	log := cfg.Log.WithField("sink", s.name())
	for _, outcome := range []string{outcomeDelivered, outcomeFailed, outcomeRejected, outcomeLost} {
		m.deliveries.WithLabelValues(s.name(), outcome) // counters start at 0
	}
	d := &delivery{
		sink: s, events: cfg.Events, records: cfg.Store, encode: cfg.Encode, metrics: m, log: log,
		failures: logging.NewFailureLog(log, "failed to send events; retrying", "resumed sending events"),
		changed:  make(chan struct{}, 1),
	}
	cfg.Events.Subscribe(func() {
		select {
		case d.changed <- struct{}{}:
		default:
		}
	})
	return d
}

// lag returns the age of the oldest event that is due; 0 if there is none, or if another replica leads.
func (d *delivery) lag() float64 {
	oldest := d.oldest.Load()
	if oldest == 0 {
		return 0
	}
	return max(0, time.Since(time.UnixMilli(oldest)).Seconds())
}

// run sends events until ctx ends.
func (d *delivery) run(ctx context.Context, term store.Term) {
	defer d.oldest.Store(0)
	retry := backoff.New(firstRetryDelay, longestRetryDelay)
	for ctx.Err() == nil {
		t := turn{delivery: d, term: term}
		err := t.deliver(ctx, retry)
		if ctx.Err() == nil && err != nil {
			d.failures.Failed(err)
			retry.Wait(ctx)
		}
	}
}

// turn sends events from the position in etcd on.
type turn struct {
	*delivery
	term      store.Term
	delivered events.Delivered
	version   int64           // of the record in etcd
	removed   events.Position // up to which lost events have been reported
}

// deliver sends events until ctx ends or the position cannot be read or written.
func (t *turn) deliver(ctx context.Context, retry *backoff.Backoff) error {
	if err := t.readPosition(ctx); err != nil {
		return err
	}
	for {
		next, err := t.events.Undelivered(t.delivered, t.sink.batchSize(), time.Now())
		if err != nil {
			return err
		}
		t.reportLost(next.Removed)
		if len(next.Events) == 0 {
			t.oldest.Store(0)
			if !t.await(ctx, next.NextAt) {
				return nil
			}
			continue
		}
		t.oldest.Store(next.Events[0].LastSeenAt.UnixMilli())
		if !t.sendAll(ctx, next.Events, retry) {
			return nil
		}
		for _, e := range next.Events {
			t.delivered = t.delivered.With(e)
		}
		if err := t.commitPosition(ctx); err != nil {
			return err
		}
	}
}

// readPosition continues where the former leader stopped. A sink without a position gets the events from now on.
func (t *turn) readPosition(ctx context.Context) (err error) {
	readCtx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	newest, err := t.events.Newest()
	if err != nil {
		return err
	}
	t.version, err = t.records.ReadDelivered(readCtx, t.sink.name(), &t.delivered)
	if err != nil || t.version > 0 {
		return err
	}
	t.delivered = events.DeliveredUpTo(newest)
	return t.commitPosition(ctx)
}

func (t *turn) commitPosition(ctx context.Context) (err error) {
	// The position is recorded even if the leadership ends meanwhile; the term guards the write.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), storeTimeout)
	defer cancel()
	t.version, err = t.records.CommitDelivered(ctx, t.term, t.sink.name(), t.delivered, t.version)
	return err
}

func (t *turn) reportLost(removed events.Position) {
	if removed.Compare(t.removed) > 0 {
		t.removed = removed
		t.metrics.deliveries.WithLabelValues(t.sink.name(), outcomeLost).Inc()
		t.log.Error("events were removed before they could be sent")
	}
}

// await waits for a change of the events or until at. It reports false if ctx has ended.
func (t *turn) await(ctx context.Context, at time.Time) bool {
	wait := idleInterval
	if !at.IsZero() {
		wait = min(wait, max(0, time.Until(at)))
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.changed:
	case <-timer.C:
	}
	return true
}

// sendAll sends the events until the sink has accepted or rejected each of them. It reports false if ctx has ended
// before.
func (t *turn) sendAll(ctx context.Context, batch []environment.Event, retry *backoff.Backoff) bool {
	messages := make([]message, 0, len(batch))
	for _, e := range batch {
		messages = append(messages, message{e, t.encode(e)})
	}
	for len(messages) > 0 {
		sendCtx, cancel := context.WithTimeout(ctx, sendTimeout)
		failed := t.sink.send(sendCtx, messages)
		cancel()
		t.metrics.deliveries.WithLabelValues(t.sink.name(), outcomeDelivered).Add(float64(len(messages) - len(failed)))
		rest, err := t.assess(messages, failed)
		messages = rest
		if ctx.Err() != nil {
			return len(messages) == 0
		}
		if err == nil {
			t.failures.Succeeded()
			retry.Reset()
			continue
		}
		t.failures.Failed(err)
		retry.Wait(ctx)
	}
	return true
}

// assess returns the messages to send again, and an error if there are any. It drops rejected ones.
func (t *turn) assess(messages []message, failed map[int]error) (rest []message, last error) {
	for _, n := range slices.Sorted(maps.Keys(failed)) {
		err := failed[n]
		outcome := outcomeFailed
		if errors.Is(err, errRejected) {
			outcome = outcomeRejected
			t.log.WithError(err).WithField("event", messages[n].event.ID).Error("event dropped")
		} else {
			rest = append(rest, messages[n])
			last = fmt.Errorf("send event %s: %w", messages[n].event.ID, err)
		}
		t.metrics.deliveries.WithLabelValues(t.sink.name(), outcome).Inc()
	}
	return rest, last
}

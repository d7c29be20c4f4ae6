package ingest

import (
	"cmp"
	"context"
	"errors"
	"hash/maphash"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/sirupsen/logrus"

	"github.com/blox/blox/cluster-state-service/state"
	"github.com/blox/blox/internal/backoff"
	"github.com/blox/blox/internal/logging"
)

// Recorder stores records. store.Store implements it.
type Recorder interface {
	// Record stores every record that is newer than the stored one. After an error some may be stored, and Record may be
	// called again with all. No key may occur twice.
	Record(ctx context.Context, records []state.Record) error
}

// WriterConfig configures a Writer. Zero numbers stand for the defaults.
type WriterConfig struct {
	Recorder Recorder
	// Verification says how to verify old events of unknown entities. Without a Describer, they are not verified.
	Verification
	// DecodeTask decodes the event of a task; state.DecodeTask by default.
	DecodeTask func(value []byte) (state.Task, error)
	Partitions int // number of concurrent commits; 2 by default
	BatchSize  int // maximum number of records in a commit; 100 by default
	Log        logrus.FieldLogger
	Metrics    prometheus.Registerer // may be nil
}

// Writer decodes messages and records them in batches. All records of an entity pass through the same partition, so
// they keep their order. Old events of unknown entities are verified with ECS first.
type Writer struct {
	recorder   Recorder
	decodeTask decodeTask
	partitions []chan pendingRecord
	verifier   *verifier
	batchSize  int
	seed       maphash.Seed
	malformed  *onceSet
	failures   *logging.FailureLog
	log        logrus.FieldLogger
	metrics    metrics
	newest     newestEvent
}

// pendingRecord is a record that waits for its commit.
type pendingRecord struct {
	record state.Record
	finish func(outcome) // reports the outcome of the record's event; it is called once and does not block
}

// Result lists messages by outcome. Malformed messages are in neither list.
type Result struct {
	Done     []Message // recorded, or not to be recorded
	Deferred []Message // not decided, because ECS did not answer; to be written again later
}

// NewWriter returns a Writer. It writes while Run runs.
func NewWriter(c WriterConfig) *Writer {
	w := &Writer{
		recorder:   c.Recorder,
		decodeTask: c.DecodeTask,
		partitions: make([]chan pendingRecord, cmp.Or(c.Partitions, 2)),
		batchSize:  cmp.Or(c.BatchSize, 100),
		seed:       maphash.MakeSeed(),
		malformed:  newOnceSet(),
		failures:   logging.NewFailureLog(c.Log, "failed to record events; retrying", "resumed recording events"),
		log:        c.Log,
		metrics:    newMetrics(c.Metrics),
	}
	if w.decodeTask == nil {
		w.decodeTask = state.DecodeTask
	}
	w.newest.register(c.Metrics)
	w.verifier = newVerifier(c.Verification, w.enqueue, c.Log)
	for i := range w.partitions {
		w.partitions[i] = make(chan pendingRecord, w.batchSize)
	}
	return w
}

// NewestEventAt returns the time of the newest event that this replica has recorded; zero before the first.
func (w *Writer) NewestEventAt() time.Time { return w.newest.at() }

// Run verifies events and commits batches until ctx ends.
func (w *Writer) Run(ctx context.Context) error {
	var running sync.WaitGroup
	running.Go(func() { w.verifier.run(ctx) })
	for _, partition := range w.partitions {
		running.Go(func() { w.runPartition(ctx, partition) })
	}
	running.Wait()
	return nil
}

// enqueue passes a record to its partition. An error means that ctx ended.
func (w *Writer) enqueue(ctx context.Context, p pendingRecord) error {
	return send(ctx, w.partitions[maphash.String(w.seed, p.record.Key.ARN)%uint64(len(w.partitions))], p)
}

// send passes a value on as soon as the channel accepts it. An error means that ctx ended.
func send[T any](ctx context.Context, to chan<- T, value T) error {
	select {
	case to <- value:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Write waits until the outcome of each message is known. It logs and counts a malformed message once. An error means
// that ctx ended.
func (w *Writer) Write(ctx context.Context, messages []Message) (result Result, err error) {
	type finished struct {
		message Message
		outcome outcome
	}
	all := make(chan finished, len(messages)) // has room for all, so that a commit never blocks
	pending := 0
	for _, m := range messages {
		event, err := decode(m.Body, w.decodeTask)
		switch {
		case errors.Is(err, ErrUnsupportedKind):
			w.log.WithError(err).WithField("message", m.ID).Debug("event skipped")
			w.metrics.eventSkipped(skippedLabel(err))
			result.Done = append(result.Done, m)
			continue
		case err != nil:
			w.logMalformed(m, err)
			continue
		}
		finish := func(o outcome) {
			w.metrics.eventFinished(event.Key.Kind, o, m.Sent)
			if o == outcomeRecorded {
				w.newest.recorded(event.ChangedAt)
			}
			all <- finished{m, o}
		}
		if err := w.enqueueEvent(ctx, event, finish); err != nil {
			return Result{}, err
		}
		pending++
	}
	for ; pending > 0; pending-- {
		select {
		case f := <-all:
			if f.outcome == outcomeDeferred {
				result.Deferred = append(result.Deferred, f.message)
			} else {
				result.Done = append(result.Done, f.message)
			}
		case <-ctx.Done():
			return Result{}, ctx.Err()
		}
	}
	return result, nil
}

// enqueueEvent passes an event to the verifier if it is doubtful, else to its partition.
func (w *Writer) enqueueEvent(ctx context.Context, event Event, finish func(outcome)) error {
	if w.verifier.doubts(event) {
		return send(ctx, w.verifier.events, pendingEvent{event, finish})
	}
	return w.enqueue(ctx, pendingRecord{event.Record, finish})
}

func (w *Writer) logMalformed(m Message, err error) {
	if w.malformed.first(m.ID) {
		w.metrics.eventMalformed()
		w.log.WithError(err).WithField("message", m.ID).Error("failed to decode event")
	}
}

// runPartition commits the records of a partition until ctx ends.
func (w *Writer) runPartition(ctx context.Context, partition <-chan pendingRecord) {
	var carried *pendingRecord // left over from the previous batch, which contains its key
	for ctx.Err() == nil {
		if carried == nil {
			select {
			case p := <-partition:
				carried = &p
			case <-ctx.Done():
				return
			}
		}
		var batch []pendingRecord
		batch, carried = nextBatch(*carried, partition, w.batchSize)
		w.commit(ctx, batch)
	}
}

// nextBatch takes the records that wait in the partition, up to one whose key the batch contains. It returns that
// record separately.
func nextBatch(
	first pendingRecord, partition <-chan pendingRecord, size int,
) (batch []pendingRecord, next *pendingRecord) {
	batch = []pendingRecord{first}
	keys := map[state.Key]bool{first.record.Key: true}
	for len(batch) < size {
		select {
		case p := <-partition:
			if keys[p.record.Key] {
				return batch, &p
			}
			keys[p.record.Key] = true
			batch = append(batch, p)
		default:
			return batch, nil
		}
	}
	return batch, nil
}

// commit records a batch. It retries until it succeeds or ctx ends: meanwhile the queue keeps the messages, and their
// pollers receive no others.
func (w *Writer) commit(ctx context.Context, batch []pendingRecord) {
	records := make([]state.Record, len(batch))
	for i, p := range batch {
		records[i] = p.record
	}
	for retry := backoff.New(firstRetryDelay, longestRetryDelay); ctx.Err() == nil; retry.Wait(ctx) {
		err := w.recorder.Record(ctx, records)
		if err == nil {
			w.failures.Succeeded()
			for _, p := range batch {
				p.finish(outcomeRecorded)
			}
			return
		}
		if ctx.Err() == nil {
			w.failures.Failed(err)
		}
	}
}

package kinesis

import (
	"context"
	"encoding/json"
	"time"

	"github.com/sirupsen/logrus"
	"golang.org/x/time/rate"

	"github.com/blox/blox/cluster-state-service/ingest"
	"github.com/blox/blox/cluster-state-service/store"
	"github.com/blox/blox/internal/backoff"
	"github.com/blox/blox/internal/logging"
)

// shardReader reads one shard while this replica owns it.
type shardReader struct {
	stream       stream
	shard        string
	last         checkpoint // saved latest
	position     string     // sequence number of the record read last
	undecided    []undecidedRecord
	decideAt     time.Time // no attempt to decide them before then
	iterator     *string   // nil if a new one is needed
	writer       *ingest.Writer
	member       *store.GroupMember
	limiter      *rate.Limiter // of the calls for this shard
	connectivity *ingest.Connectivity
	log          logrus.FieldLogger
	readFailures *logging.FailureLog
	saveFailures *logging.FailureLog
}

func newShardReader(g *group, id string, last checkpoint) *shardReader {
	log := g.log.WithField("shard", id)
	return &shardReader{
		stream: g.stream, shard: id, last: last, position: last.SequenceNumber, writer: g.writer, member: g.member,
		limiter:      rate.NewLimiter(rate.Every(g.config.ReadInterval), 1),
		connectivity: g.connectivity,
		log:          log,
		readFailures: logging.NewFailureLog(log, "failed to read shard; retrying", "resumed reading shard"),
		saveFailures: logging.NewFailureLog(log, "failed to save checkpoint; retrying", "resumed saving checkpoints"),
	}
}

// run reads the shard until the shard ends, another replica owns it, or ctx ends. The next owner reads the records
// after the last checkpoint again. run retries every failure of Kinesis.
func (r *shardReader) run(ctx context.Context) {
	r.log.WithField("after", r.last.SequenceNumber).Info("shard reader started")
	retry := backoff.New(firstRetryDelay, longestRetryDelay)
	for r.limiter.Wait(ctx) == nil {
		if !r.decide(ctx) {
			return
		}
		if len(r.undecided) >= maxUndecided {
			continue
		}
		messages, ended, err := r.readNext(ctx)
		if ctx.Err() != nil {
			return
		}
		observe(r.connectivity, err)
		if err != nil && !isExpired(err) {
			r.logFailure(err)
			retry.Wait(ctx)
			continue
		}
		r.readFailures.Succeeded()
		r.connectivity.Received()
		retry.Reset()
		if len(messages) == 0 && !ended {
			continue
		}
		if !r.commitAndCheckpoint(ctx, messages, ended) || ended {
			return
		}
	}
}

// readNext makes one call to Kinesis: it gets an iterator if there is none, or else the next records. ended reports
// that the shard is closed and has no more records.
func (r *shardReader) readNext(ctx context.Context) (messages []ingest.Message, ended bool, err error) {
	if r.iterator == nil {
		r.iterator, err = r.newIterator(ctx)
		return nil, false, err
	}
	messages, next, err := r.stream.read(ctx, r.iterator)
	if err != nil {
		if isExpired(err) || isInvalid(err) { // an iterator expires after five minutes
			r.iterator = nil
		}
		return nil, false, err
	}
	r.iterator = next
	return messages, next == nil, nil
}

// newIterator returns an iterator that starts after the checkpoint. It discards a checkpoint that Kinesis rejects and
// starts at the oldest record: resumed recording events changes nothing.
func (r *shardReader) newIterator(ctx context.Context) (*string, error) {
	iterator, err := r.stream.iterator(ctx, r.shard, r.position)
	if isInvalid(err) && r.position != "" {
		r.log.WithError(err).Error("checkpoint rejected; reading the shard from its oldest record")
		r.position, r.undecided = "", nil
		return r.stream.iterator(ctx, r.shard, "")
	}
	return iterator, err
}

func (r *shardReader) logFailure(err error) {
	if isThrottled(err) { // normal if other consumers read the stream
		r.log.WithError(err).Debug("shard read throttled")
		return
	}
	r.readFailures.Failed(err)
}

// commitAndCheckpoint waits until all messages are recorded, skipped or found to be undecided, then saves the
// checkpoint. At the end of the shard it waits until none is undecided. It reports whether this replica may go on
// reading.
func (r *shardReader) commitAndCheckpoint(ctx context.Context, messages []ingest.Message, ended bool) bool {
	result, err := r.writer.Write(ctx, messages)
	if err != nil {
		return false
	}
	deferred := ids(result.Deferred)
	for _, m := range messages {
		if deferred[m.ID] {
			r.undecided = append(r.undecided, undecidedRecord{m, r.position})
		}
		r.position = m.ID
	}
	for ended && len(r.undecided) > 0 {
		if r.limiter.Wait(ctx) != nil || !r.decide(ctx) {
			return false
		}
	}
	return r.checkpoint(ctx, ended)
}

// checkpoint saves how far the shard has been read and decided. It reports whether this replica owns the shard.
func (r *shardReader) checkpoint(ctx context.Context, ended bool) bool {
	next := r.last
	next.SequenceNumber, next.Ended = r.position, ended
	if len(r.undecided) > 0 {
		next.SequenceNumber = r.undecided[0].after
	}
	value, err := json.Marshal(next)
	if err != nil {
		panic(err) // impossible: checkpoint contains a string, a bool and a time
	}
	for retry := backoff.New(firstRetryDelay, longestRetryDelay); ctx.Err() == nil; retry.Wait(ctx) {
		owned, err := r.member.SaveCheckpoint(ctx, r.shard, value)
		if err == nil {
			r.saveFailures.Succeeded()
			r.last = next
			return owned
		}
		if ctx.Err() == nil {
			r.saveFailures.Failed(err)
		}
	}
	return false
}

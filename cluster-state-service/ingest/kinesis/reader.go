package ingest

import (
	"context"
	"encoding/json"

	"github.com/sirupsen/logrus"
	"golang.org/x/time/rate"
)

// shardReader reads one shard for as long as this replica holds it.
type shardReader struct {
	stream stream
	shard  string
	last   checkpoint
	lanes  *lanes
	// save keeps a checkpoint; it is false when the shard is held no more.
	save  func(ctx context.Context, checkpoint []byte) (held bool, err error)
	pace  *rate.Limiter // of the calls about this shard
	reach *reach        // is told how each read went
	log   logrus.FieldLogger
}

// run reads, waits for the commits and saves a checkpoint, until the shard has ended, is another replica's, or ctx ends.
// What was read and has no checkpoint by then is read again by whoever comes next. No failure of Kinesis ends it.
func (r *shardReader) run(ctx context.Context) {
	var iterator *string
	for wait := newBackoff(); ctx.Err() == nil; {
		if r.pace.Wait(ctx) != nil {
			return
		}
		var messages []Message
		var next *string
		var err error
		if iterator == nil {
			iterator, err = r.begin(ctx)
		} else {
			messages, next, err = r.stream.read(ctx, iterator)
		}
		if ctx.Err() != nil {
			return
		}
		r.reach.note(err)
		switch {
		case isExpired(err): // we were held up for minutes
			iterator = nil
			continue
		case err != nil:
			if isInvalid(err) {
				iterator = nil
			}
			r.failed(err)
			wait.sleep(ctx)
			continue
		}
		wait.reset()
		if messages == nil {
			continue // there is an iterator now
		}
		if !r.settle(ctx, messages, next == nil) || next == nil {
			return
		}
		iterator = next
	}
}

// begin makes an iterator that continues after the checkpoint. A checkpoint that Kinesis does not take is dropped: reading
// all again changes nothing that is newer.
func (r *shardReader) begin(ctx context.Context) (*string, error) {
	iterator, err := r.stream.iterator(ctx, r.shard, r.last.SequenceNumber)
	if isInvalid(err) && r.last.SequenceNumber != "" {
		r.log.WithError(err).Error("the checkpoint is not of this shard, which is read from its beginning")
		r.last.SequenceNumber = ""
		return r.stream.iterator(ctx, r.shard, "")
	}
	return iterator, err
}

func (r *shardReader) failed(err error) {
	if isThrottled(err) { // as happens when others read the stream too
		r.log.WithError(err).Debug("read shard")
		return
	}
	r.log.WithError(err).Warn("read shard")
}

// settle waits until all messages are recorded or skipped, and then saves that. It is false when reading has to stop.
func (r *shardReader) settle(ctx context.Context, messages []Message, ended bool) bool {
	if _, err := r.lanes.process(ctx, messages); err != nil {
		return false
	}
	if len(messages) == 0 && !ended {
		return true
	}
	if len(messages) > 0 {
		r.last.SequenceNumber = messages[len(messages)-1].ID
	}
	r.last.Ended = ended
	value, err := json.Marshal(r.last)
	if err != nil {
		panic(err) // it is our own type
	}
	for wait := newBackoff(); ctx.Err() == nil; wait.sleep(ctx) {
		held, err := r.save(ctx, value)
		if err == nil {
			return held
		}
		if ctx.Err() == nil {
			r.log.WithError(err).Warn("save checkpoint")
		}
	}
	return false
}

package ingest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/sirupsen/logrus"
	"golang.org/x/sync/errgroup"
	"golang.org/x/time/rate"
)

// Stream is a Kinesis stream, and how its readers share it.
type Stream struct {
	Client *kinesis.Client
	Name   string
	// Member names this process among those that read the stream.
	Member string
	// Join announces this replica as a reader for as long as work works; work's context ends when etcd was out of reach for so
	// long that the others take its shards. In production it is store.Store.ReadShards.
	Join func(ctx context.Context, work func(context.Context, Membership) error) error
}

const describeEvery = time.Minute

var errReplaced = errors.New("there is another stream of the same name now")

// Membership is what a reader of a stream needs of a store: who holds which shard, and how far each was read.
type Membership interface {
	// Assignments tells the checkpoints by shard, the replicas that hold shards by shard, and all replicas.
	Assignments(ctx context.Context) (checkpoints map[string][]byte, holders map[string]string, replicas []string, err error)
	// AcquireShard makes this replica the holder of a shard, unless another one is, and gives the shard's checkpoint, nil for none.
	AcquireShard(ctx context.Context, shard string) (checkpoint []byte, taken bool, err error)
	// SaveCheckpoint keeps a checkpoint; it does not, and tells so, when this replica does not hold the shard any more.
	SaveCheckpoint(ctx context.Context, shard string, checkpoint []byte) (held bool, err error)
	// ReleaseShard lets others have a shard; one that is not held is none to give, and no error.
	ReleaseShard(ctx context.Context, shard string) error
	// DeleteCheckpoints deletes the checkpoints of shards that nobody holds.
	DeleteCheckpoints(ctx context.Context, shards []string) error
}

// ConsumeStream records the events of a stream until ctx ends, sharing its shards with the other replicas. Records are
// checkpointed only after they are committed, so an event may be recorded twice and is never lost; one that cannot be
// decoded is logged and skipped. Memory is bounded by the shards: each has at most one read in hand.
// No failure ends it: it backs off and goes on.
func ConsumeStream(ctx context.Context, from Stream, to Recorder, log logrus.FieldLogger, o Options) error {
	o = o.withDefaults()
	log = log.WithField("stream", from.Name)
	parts, ctx := errgroup.WithContext(ctx)
	lanes := newLanes(o, log)
	parts.Go(func() error { lanes.run(ctx, to); return nil })
	parts.Go(func() error {
		for wait := newBackoff(); ctx.Err() == nil; wait.sleep(ctx) {
			err := follow(ctx, from, lanes, o, log, wait.reset)
			if ctx.Err() == nil {
				log.WithError(err).Warn("reading the stream stopped and begins again")
			}
		}
		return nil
	})
	return parts.Wait()
}

// follow reads the stream as one of its replicas until ctx ends, the replica's membership is lost, the stream is out of
// reach for long, or it is gone: another one may come in its place. It calls well whenever all went well.
func follow(ctx context.Context, from Stream, lanes *lanes, o Options, log logrus.FieldLogger, well func()) error {
	of := stream{from.Client, from.Name}
	created, err := of.created(ctx)
	if err != nil {
		return err
	}
	if err := of.probe(ctx); err != nil {
		return err
	}
	return from.Join(ctx, func(ctx context.Context, shards Membership) error {
		f := &follower{
			stream: of, created: created, checked: time.Now(), me: from.Member, shards: shards, lanes: lanes, options: o, log: log,
			reading: map[string]*reading{}, ended: make(chan struct{}, 1),
		}
		defer f.stop()
		for ctx.Err() == nil {
			switch err := f.look(ctx); {
			case err == nil:
				well()
			case isGone(err), errors.Is(err, errReplaced):
				return err
			case ctx.Err() == nil:
				log.WithError(err).Warn("look at the stream's shards")
			}
			if f.reach.lost(o.ReadTimeout) {
				return errOutOfReach
			}
			f.rest(ctx)
		}
		return context.Cause(ctx)
	})
}

// follower starts and stops the readers of the shards that are this replica's. Only its own goroutine uses it.
type follower struct {
	stream  stream
	created time.Time // of the stream
	checked time.Time // when that was last seen
	me      string
	shards  Membership
	lanes   *lanes
	options Options
	log     logrus.FieldLogger
	reading map[string]*reading // by shard
	ended   chan struct{}       // one reader or more came to its end
	reach   reach
}

// reading is a shardReader at work.
type reading struct {
	cancel context.CancelFunc
	done   chan struct{} // closed at its end
}

// rest waits until it is time to look again: in a while, with jitter, or when a reader has ended.
func (f *follower) rest(ctx context.Context) {
	timer := time.NewTimer(f.options.RebalanceInterval/2 + rand.N(f.options.RebalanceInterval))
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-f.ended:
	case <-ctx.Done():
	}
}

// look compares what there is with what is read here, and sees to the difference.
func (f *follower) look(ctx context.Context) error {
	if err := f.check(ctx); err != nil {
		if len(f.reading) == 0 && !errors.Is(err, errReplaced) {
			f.reach.note(err)
		}
		return err
	}
	listed, err := f.stream.shards(ctx)
	if len(f.reading) == 0 { // else the readers know better
		f.reach.note(err)
	}
	if err != nil {
		return err
	}
	if err := f.give(ctx, f.finished()); err != nil {
		return err
	}
	values, holders, replicas, err := f.shards.Assignments(ctx)
	if err != nil {
		return err
	}
	checkpoints := map[string]checkpoint{}
	for id, value := range values {
		checkpoints[id] = readCheckpoint(value, f.created)
	}
	ids := readable(listed, checkpoints)
	rand.Shuffle(len(ids), func(i, j int) { ids[i], ids[j] = ids[j], ids[i] })
	take, give := share(ids, holders, replicas, f.me)
	for id := range f.reading {
		if holders[id] != f.me {
			give = append(give, id) // lost, so only stopped
		}
	}
	for id, who := range holders {
		switch {
		case who == f.me && !slices.Contains(ids, id):
			give = append(give, id) // ended, or too old to be listed
		case who == f.me && f.reading[id] == nil && !slices.Contains(give, id):
			take = append(take, id) // by a call whose answer did not arrive
		}
	}
	return errors.Join(f.give(ctx, give), f.take(ctx, take), f.forget(ctx, listed, values))
}

// check tells now and then whether this is still the stream that it was; describing is dear, twenty calls a second for the
// whole account.
func (f *follower) check(ctx context.Context) error {
	if time.Since(f.checked) < describeEvery {
		return nil
	}
	created, err := f.stream.created(ctx)
	if err == nil && !created.Equal(f.created) {
		err = errReplaced
	}
	if err == nil {
		f.checked = time.Now()
	}
	return err
}

// finished is the shards whose readers have ended.
func (f *follower) finished() (ids []string) {
	for id, r := range f.reading {
		select {
		case <-r.done:
			ids = append(ids, id)
		default:
		}
	}
	return ids
}

// give ends readers, and then lets others have their shards.
func (f *follower) give(ctx context.Context, ids []string) error {
	for _, id := range ids {
		if r := f.reading[id]; r != nil {
			r.cancel()
			<-r.done
			delete(f.reading, id)
		}
		if err := f.shards.ReleaseShard(ctx, id); err != nil {
			return fmt.Errorf("give shard %s: %w", id, err)
		}
	}
	return nil
}

// take starts readers of the shards that no other replica was quicker to take.
func (f *follower) take(ctx context.Context, ids []string) error {
	for _, id := range ids {
		value, taken, err := f.shards.AcquireShard(ctx, id)
		if err != nil {
			return fmt.Errorf("take shard %s: %w", id, err)
		}
		if taken && f.reading[id] == nil {
			f.start(ctx, id, readCheckpoint(value, f.created))
		}
	}
	return nil
}

func (f *follower) start(ctx context.Context, id string, last checkpoint) {
	ctx, cancel := context.WithCancel(ctx)
	log := f.log.WithField("shard", id)
	log.WithField("after", last.SequenceNumber).Info("read shard")
	r := &reading{cancel, make(chan struct{})}
	f.reading[id] = r
	reader := &shardReader{
		stream: f.stream, shard: id, last: last, lanes: f.lanes, log: log, reach: &f.reach, pace: rate.NewLimiter(rate.Every(f.options.ReadInterval), 1),
		save: func(ctx context.Context, value []byte) (bool, error) { return f.shards.SaveCheckpoint(ctx, id, value) },
	}
	go func() { // ends with the shard or with cancel; give and stop wait for it
		defer func() {
			cancel()
			close(r.done)
			select {
			case f.ended <- struct{}{}:
			default:
			}
		}()
		if !last.Ended {
			reader.run(ctx)
		}
	}()
}

// forget drops the checkpoints of shards that are not listed any more: all their records are too old.
func (f *follower) forget(ctx context.Context, listed []shard, checkpoints map[string][]byte) error {
	old := map[string]bool{}
	for id := range checkpoints {
		old[id] = f.reading[id] == nil
	}
	for _, s := range listed {
		delete(old, s.id)
	}
	var ids []string
	for id, unread := range old {
		if unread {
			ids = append(ids, id)
		}
	}
	if len(ids) == 0 {
		return nil
	}
	return f.shards.DeleteCheckpoints(ctx, ids)
}

// stop ends all readers and waits for them.
func (f *follower) stop() {
	for _, r := range f.reading {
		r.cancel()
	}
	for _, r := range f.reading {
		<-r.done
	}
}

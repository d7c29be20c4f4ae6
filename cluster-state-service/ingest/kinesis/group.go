package kinesis

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/blox/blox/cluster-state-service/ingest"
	"github.com/blox/blox/cluster-state-service/store"
	"github.com/blox/blox/internal/logging"
)

// streamCheckInterval is the time between two checks that the stream has not been replaced. DescribeStreamSummary
// allows only twenty calls a second for the whole account.
const streamCheckInterval = time.Minute

var errReadTimeout = errors.New("stream unreadable for too long; leaving its shards to the other replicas")

var errReplaced = errors.New("the stream was replaced by another one of the same name")

// group is this replica's part in the group that reads the stream: it starts and stops the readers of the shards that
// the replica owns. One goroutine uses it.
type group struct {
	stream    stream
	createdAt time.Time // when the stream was created
	checkedAt time.Time // when createdAt was last checked
	self      string    // this replica's name
	member    *store.GroupMember
	writer    *ingest.Writer
	config    Config
	log       logrus.FieldLogger
	failures  *logging.FailureLog

	readers      map[string]*runningReader // by shard
	readerEnded  chan struct{}             // signals that a reader ended
	connectivity *ingest.Connectivity
}

// runningReader is the goroutine of a shardReader.
type runningReader struct {
	cancel context.CancelFunc
	done   chan struct{} // closed at its end
}

func newGroup(c *Consumer, member *store.GroupMember, createdAt time.Time) *group {
	return &group{
		stream: c.stream, createdAt: createdAt, checkedAt: time.Now(), self: c.Member, member: member,
		writer: c.Writer, config: c.Config, log: c.Log, connectivity: c.Connectivity,
		failures: logging.NewFailureLog(c.Log, "failed to rebalance shards; retrying", "resumed rebalancing shards"),
		readers:  map[string]*runningReader{}, readerEnded: make(chan struct{}, 1),
	}
}

// run rebalances at intervals, and when a reader ends, until ctx ends or the replica has to leave the group.
func (g *group) run(ctx context.Context, succeeded func()) error {
	for ctx.Err() == nil {
		switch err := g.rebalance(ctx); {
		case err == nil:
			g.failures.Succeeded()
			succeeded()
		case isNotFound(err), errors.Is(err, errReplaced):
			return err
		case ctx.Err() == nil:
			g.failures.Failed(err)
		}
		if g.connectivity.FailedFor(g.config.ReadTimeout) {
			return errReadTimeout
		}
		g.wait(ctx)
	}
	return context.Cause(ctx)
}

// wait waits for the rebalance interval, with jitter, or until a reader ends.
func (g *group) wait(ctx context.Context) {
	timer := time.NewTimer(g.config.RebalanceInterval/2 + rand.N(g.config.RebalanceInterval))
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-g.readerEnded:
	case <-ctx.Done():
	}
}

// rebalance starts the readers of shards that this replica should own and stops those of shards that it should not.
func (g *group) rebalance(ctx context.Context) error {
	if err := g.checkStream(ctx); err != nil {
		return err
	}
	listed, err := g.stream.listShards(ctx)
	if len(g.readers) == 0 { // readers observe more than a list does
		observe(g.connectivity, err)
	}
	if err != nil {
		return err
	}
	if err := g.release(ctx, g.endedReaders()); err != nil {
		return err
	}
	assignments, err := g.member.Assignments(ctx)
	if err != nil {
		return err
	}
	acquire, release := g.plan(listed, assignments)
	return errors.Join(
		g.release(ctx, release),
		g.acquire(ctx, acquire),
		g.deleteObsoleteCheckpoints(ctx, listed, assignments.Checkpoints),
	)
}

// plan returns the shards to acquire and to release.
func (g *group) plan(listed []shard, assignments store.Assignments) (acquire, release []string) {
	checkpoints := map[string]checkpoint{}
	for id, value := range assignments.Checkpoints {
		checkpoints[id] = parseCheckpoint(value, g.createdAt)
	}
	ids := runnableShards(listed, checkpoints)
	rand.Shuffle(len(ids), func(i, j int) { ids[i], ids[j] = ids[j], ids[i] })
	acquire, release = assignShards(ids, assignments.Owners, assignments.Members, g.self)
	for id := range g.readers {
		if assignments.Owners[id] != g.self {
			release = append(release, id) // another replica owns it, so only the reader stops
		}
	}
	for id, owner := range assignments.Owners {
		switch {
		case owner != g.self:
		case !slices.Contains(ids, id):
			release = append(release, id) // read to its end, or too old to be listed
		case g.readers[id] == nil && !slices.Contains(release, id):
			acquire = append(acquire, id) // the response to an earlier call was lost
		}
	}
	return acquire, release
}

// checkStream checks at intervals that the stream is still the same one.
func (g *group) checkStream(ctx context.Context) error {
	if time.Since(g.checkedAt) < streamCheckInterval {
		return nil
	}
	createdAt, err := g.stream.createdAt(ctx)
	if err != nil {
		if len(g.readers) == 0 {
			observe(g.connectivity, err)
		}
		return err
	}
	if !createdAt.Equal(g.createdAt) {
		return errReplaced
	}
	g.checkedAt = time.Now()
	return nil
}

// endedReaders returns the shards whose readers have ended.
func (g *group) endedReaders() (ids []string) {
	for id, r := range g.readers {
		select {
		case <-r.done:
			ids = append(ids, id)
		default:
		}
	}
	return ids
}

// release stops the readers of shards, then makes the shards free.
func (g *group) release(ctx context.Context, ids []string) error {
	for _, id := range ids {
		if r := g.readers[id]; r != nil {
			r.cancel()
			<-r.done
			delete(g.readers, id)
		}
		if err := g.member.ReleaseShard(ctx, id); err != nil {
			return err
		}
	}
	return nil
}

// acquire starts readers of the shards that no other replica acquires first.
func (g *group) acquire(ctx context.Context, ids []string) error {
	for _, id := range ids {
		value, acquired, err := g.member.AcquireShard(ctx, id)
		if err != nil {
			return err
		}
		if acquired && g.readers[id] == nil {
			g.start(ctx, id, parseCheckpoint(value, g.createdAt))
		}
	}
	return nil
}

// start starts a reader, which ends with the shard or when release or stop cancels it.
func (g *group) start(ctx context.Context, id string, last checkpoint) {
	ctx, cancel := context.WithCancel(ctx)
	running := &runningReader{cancel, make(chan struct{})}
	g.readers[id] = running
	reader := newShardReader(g, id, last)
	go func() {
		defer func() {
			cancel()
			close(running.done)
			select {
			case g.readerEnded <- struct{}{}:
			default:
			}
		}()
		if !last.Ended {
			reader.run(ctx)
		}
	}()
}

// deleteObsoleteCheckpoints deletes the checkpoints of shards that are not listed: all their records have expired.
func (g *group) deleteObsoleteCheckpoints(ctx context.Context, listed []shard, checkpoints map[string][]byte) error {
	var ids []string
	for id := range checkpoints {
		isListed := slices.ContainsFunc(listed, func(s shard) bool { return s.id == id })
		if !isListed && g.readers[id] == nil {
			ids = append(ids, id)
		}
	}
	if len(ids) == 0 {
		return nil
	}
	if err := g.member.DeleteCheckpoints(ctx, ids); err != nil {
		return fmt.Errorf("delete obsolete checkpoints: %w", err)
	}
	return nil
}

// stop stops all readers and waits for them.
func (g *group) stop() {
	for _, r := range g.readers {
		r.cancel()
	}
	for _, r := range g.readers {
		<-r.done
	}
}

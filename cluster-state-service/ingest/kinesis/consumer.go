// Package kinesis consumes ECS events from an Amazon Kinesis data stream. The replicas of the service form a group
// that shares the stream's shards; etcd holds the group's members, the shards' owners and the checkpoints.
package kinesis

import (
	"cmp"
	"context"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/sirupsen/logrus"

	"github.com/blox/blox/cluster-state-service/ingest"
	"github.com/blox/blox/cluster-state-service/store"
	"github.com/blox/blox/internal/backoff"
	"github.com/blox/blox/internal/logging"
)

// The delays between retries double from firstRetryDelay to longestRetryDelay.
const (
	firstRetryDelay   = 100 * time.Millisecond
	longestRetryDelay = 10 * time.Second
)

// Config configures a Consumer. Zero durations stand for the defaults.
type Config struct {
	Client  *kinesis.Client
	Address ingest.Address // the stream
	// Group names the group of replicas that read the stream; the stream's name by default. Streams of one name in several
	// accounts or regions need different ones. It must have no slash.
	Group  string
	Member string // this replica's name, unique among the replicas that read the stream
	Store  *store.Store
	Writer *ingest.Writer // must run while the Consumer runs
	Log    logrus.FieldLogger
	// Connectivity records whether this replica can read the stream.
	Connectivity *ingest.Connectivity

	ReadInterval      time.Duration // between two reads of a shard; 200ms by default: Kinesis allows five a second
	RebalanceInterval time.Duration // between two rebalances of the group; 2s by default
	ReadTimeout       time.Duration // how long reads may fail before the replica releases its shards; 30s by default
}

// Consumer reads the shards that the group assigns to this replica.
type Consumer struct {
	Config
	stream   stream
	failures *logging.FailureLog
}

// NewConsumer returns a Consumer.
func NewConsumer(c Config) *Consumer {
	c.Group = cmp.Or(c.Group, c.Address.Name)
	c.ReadInterval = cmp.Or(c.ReadInterval, 200*time.Millisecond)
	c.RebalanceInterval = cmp.Or(c.RebalanceInterval, 2*time.Second)
	c.ReadTimeout = cmp.Or(c.ReadTimeout, 30*time.Second)
	c.Log = c.Log.WithField("stream", c.Address.Name)
	return &Consumer{
		Config: c, stream: newStream(c.Client, c.Address),
		failures: logging.NewFailureLog(c.Log, "failed to read the stream; retrying", "resumed reading the stream"),
	}
}

// Run consumes events until ctx ends; it retries every failure. It saves a checkpoint only after the records before
// it are committed, so an event may be recorded twice and is never lost. It logs and skips malformed events. Memory
// is bounded by the shards: each has at most one read in progress.
func (c *Consumer) Run(ctx context.Context) error {
	retry := backoff.New(firstRetryDelay, longestRetryDelay)
	for ctx.Err() == nil {
		err := c.runMembership(ctx, func() {
			retry.Reset()
			c.failures.Succeeded()
		})
		if ctx.Err() == nil {
			c.failures.Failed(err)
			retry.Wait(ctx)
		}
	}
	return nil
}

// runMembership reads the stream as a member of its group until ctx ends, the membership is lost, reads fail for
// longer than ReadTimeout, or the stream is deleted or replaced. It calls succeeded after every successful rebalance.
func (c *Consumer) runMembership(ctx context.Context, succeeded func()) error {
	createdAt, err := c.stream.createdAt(ctx)
	if err == nil {
		err = c.stream.checkAccess(ctx) // a replica that cannot read must not own shards
	}
	observe(c.Connectivity, err)
	if err != nil {
		return err
	}
	return c.Store.JoinGroup(ctx, c.Group, c.Member, func(ctx context.Context, member *store.GroupMember) error {
		g := newGroup(c, member, createdAt)
		defer g.stop()
		return g.run(ctx, succeeded)
	})
}

// observe records the result of a call. Throttling and expired iterators prove that the stream responds.
func observe(c *ingest.Connectivity, err error) {
	if isThrottled(err) || isExpired(err) {
		err = nil
	}
	c.Observe(err)
}

// Package reconcile corrects the stored records from ECS: events get lost, arrive late, or were sent before Blox
// started.
package reconcile

import (
	"cmp"
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/sirupsen/logrus"

	"github.com/blox/blox/cluster-state-service/cache"
	"github.com/blox/blox/cluster-state-service/state"
	"github.com/blox/blox/cluster-state-service/store"
	"github.com/blox/blox/internal/arn"
	"github.com/blox/blox/internal/backoff"
	"github.com/blox/blox/internal/ecsclock"
	"github.com/blox/blox/internal/etcd"
	"github.com/blox/blox/internal/logging"
	"github.com/blox/blox/internal/ratelimit"
)

const (
	firstRetryDelay      = 200 * time.Millisecond
	longestRetryDelay    = 30 * time.Second
	defaultCheckInterval = time.Minute
	defaultRetention     = time.Hour
	// maxFailures is the number of failures in a row, to list the clusters or of every cluster, after which the leader
	// releases the lock: another replica may succeed.
	maxFailures = 9
)

// Config configures a Reconciler.
type Config struct {
	ECS         *ecs.Client
	Store       *store.Store
	WaitCurrent func(context.Context) (*cache.Snapshot, error)
	RegionName  string // of ECS
	// Partition and Account are those of the role that ECS assumes; empty if calls show them.
	Partition, Account string
	// STS shows the account if ECS rejects to; nil leaves it unknown.
	STS      *sts.Client
	Name     string        // this replica's name, unique among the replicas that share the lock
	Interval time.Duration // between two reconciliations of a cluster
	// StoppedTaskRetention is how long stopped tasks are kept; longer while ECS knows them. An hour by default.
	StoppedTaskRetention time.Duration
	// CheckInterval is the time between two comparisons of ECS's counts with the records; a minute by default.
	CheckInterval time.Duration
	// Periodic limits the calls of reconciliations that are not urgent; nil does not. An urgent one is a cluster's first,
	// one that follows a failure, and one of a cluster whose counts differ.
	Periodic *ratelimit.Limiter
	Log      logrus.FieldLogger
	Metrics  prometheus.Registerer // may be nil
}

// Reconciler reconciles all clusters of an account and region at intervals. One replica does so at a time.
type Reconciler struct {
	Config
	ecs       ecsReader
	metrics   metrics
	startedAt time.Time
	failures  *logging.FailureLog
	local     atomic.Pointer[arn.ARN] // a cluster's; shows the account and region of ECS. Nil until a call shows them
}

// New returns a Reconciler.
func New(c Config) *Reconciler {
	m := newMetrics(c.Metrics)
	c.CheckInterval = min(cmp.Or(c.CheckInterval, defaultCheckInterval), c.Interval)
	c.StoppedTaskRetention = cmp.Or(c.StoppedTaskRetention, defaultRetention)
	r := &Reconciler{
		Config: c, metrics: m, startedAt: time.Now(),
		ecs:      ecsReader{&limitedClient{c.ECS, m.requests, &ecsclock.Clock{}}, c.Log},
		failures: logging.NewFailureLog(c.Log, "failed to reconcile with ECS; retrying", "resumed reconciling with ECS"),
	}
	r.local.Store(c.configured())
	return r
}

// Run reconciles at once and then at intervals whenever this replica holds the lock, until ctx ends. It retries every
// failure.
func (r *Reconciler) Run(ctx context.Context) error {
	for retry := backoff.New(firstRetryDelay, longestRetryDelay); ctx.Err() == nil; retry.Wait(ctx) {
		startedAt := time.Now()
		err := r.campaign(ctx)
		if ctx.Err() != nil {
			break
		}
		if errors.Is(err, etcd.ErrDataReplaced) { // a reconciliation that a restored etcd recorded counts no more
			r.startedAt = time.Now()
		}
		if time.Since(startedAt) > longestRetryDelay {
			retry.Reset()
		}
		r.failures.Failed(err)
	}
	return nil
}

// campaign waits until this replica holds the lock of ECS's account and region, and then reconciles.
func (r *Reconciler) campaign(ctx context.Context) error {
	local, err := r.identify(ctx)
	if err != nil {
		return err
	}
	return r.Store.Lead(ctx, state.RegionOf(local).Lock(), r.Name,
		func(ctx context.Context, token state.FencingToken) error { return r.lead(ctx, local, token) })
}

// lead reconciles until the lock is lost or too many reconciliations fail.
func (r *Reconciler) lead(ctx context.Context, local arn.ARN, token state.FencingToken) error {
	ctx, cancel := context.WithCancel(ctx)
	var running sync.WaitGroup
	defer running.Wait()
	defer cancel()
	t := &term{
		Reconciler: r, local: local, token: token, schedule: newSchedule(r.Interval), running: &running,
		startedAt: time.Now(), finished: make(chan result), listRetry: backoff.New(firstRetryDelay, longestRetryDelay),
		clusterFailures: map[string]*logging.FailureLog{},
		countFailures: logging.NewFailureLog(r.Log, "failed to compare the counts of clusters; lost events are found later",
			"resumed comparing the counts of clusters"),
	}
	return t.run(ctx)
}

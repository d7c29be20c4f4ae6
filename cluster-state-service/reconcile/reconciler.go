// Package reconcile corrects the stored records from ECS: events get lost, arrive late, or were sent before Blox
// started.
package reconcile

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/sirupsen/logrus"

	"github.com/blox/blox/cluster-state-service/cache"
	"github.com/blox/blox/cluster-state-service/state"
	"github.com/blox/blox/cluster-state-service/store"
	"github.com/blox/blox/internal/arn"
	"github.com/blox/blox/internal/backoff"
	"github.com/blox/blox/internal/etcd"
	"github.com/blox/blox/internal/logging"
)

const (
	firstRetryDelay   = 200 * time.Millisecond
	longestRetryDelay = 30 * time.Second
	// failedClusterDelay is the time until the next reconciliation if some clusters failed.
	failedClusterDelay = time.Minute
	// maxFailures is the number of failed reconciliations in a row after which the leader releases the lock. Retries have
	// reached longestRetryDelay by then, and another replica may succeed.
	maxFailures = 9
)

// Config configures a Reconciler.
type Config struct {
	ECS         *ecs.Client
	Store       *store.Store
	Compactor   *store.Compactor // runs while this replica holds the reconciliation lock
	WaitCurrent func(context.Context) (*cache.Snapshot, error)
	Region      string
	Name        string        // this replica's name, unique among the replicas that share the lock
	Interval    time.Duration // between two reconciliations
	Log         logrus.FieldLogger
	Metrics     prometheus.Registerer // may be nil
}

// Reconciler reconciles all clusters of an account and region at intervals. One replica does so at a time.
type Reconciler struct {
	Config
	ecs       ecsReader
	metrics   metrics
	startedAt time.Time
	failures  *logging.FailureLog
	local     atomic.Pointer[arn.ARN] // a cluster's; shows the account and region of ECS. Nil until a call shows them

	mu              sync.Mutex
	clusterFailures map[string]*logging.FailureLog // by ARN, of clusters that failed in the last reconciliation
}

// New returns a Reconciler.
func New(c Config) *Reconciler {
	m := newMetrics(c.Metrics)
	return &Reconciler{
		Config: c, metrics: m, startedAt: time.Now(),
		ecs:             ecsReader{newLimitedClient(c.ECS, m.requests), c.Log},
		failures:        logging.NewFailureLog(c.Log, "failed to reconcile with ECS; retrying", "reconciling with ECS again"),
		clusterFailures: map[string]*logging.FailureLog{},
	}
}

// Run reconciles at once and then at intervals whenever this replica holds the lock, until ctx ends. It retries every
// failure.
func (r *Reconciler) Run(ctx context.Context) error {
	for retry := backoff.New(firstRetryDelay, longestRetryDelay); ctx.Err() == nil; retry.Wait(ctx) {
		startedAt := time.Now()
		err := r.Store.Lead(ctx, r.Name, r.lead)
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

// lead reconciles until the lock is lost or too many reconciliations fail.
func (r *Reconciler) lead(ctx context.Context, token state.FencingToken) error {
	ctx, cancel := context.WithCancel(ctx)
	var compactor sync.WaitGroup
	compactor.Go(func() { r.Compactor.Run(ctx) })
	defer compactor.Wait()
	defer cancel()

	if err := r.waitForTurn(ctx); err != nil {
		return err
	}
	retry := backoff.New(firstRetryDelay, longestRetryDelay)
	failedRuns := 0
	for ctx.Err() == nil {
		failedClusters, err := r.reconcile(ctx, token)
		if ctx.Err() != nil {
			break
		}
		if err != nil {
			failedRuns++
			if failedRuns == maxFailures {
				return err
			}
			r.failures.Failed(err)
			retry.Wait(ctx)
			continue
		}
		failedRuns = 0
		retry.Reset()
		r.failures.Succeeded()
		interval := r.Interval
		if failedClusters > 0 {
			interval = min(interval, failedClusterDelay)
		}
		backoff.Sleep(ctx, interval)
	}
	return ctx.Err()
}

// waitForTurn delays the first reconciliation if another replica completed one after this one started.
func (r *Reconciler) waitForTurn(ctx context.Context) error {
	snapshot, err := r.WaitCurrent(ctx)
	if err != nil {
		return err
	}
	if last := snapshot.LastReconciliation(r.Region).FinishedAt; last.After(r.startedAt) {
		backoff.Sleep(ctx, time.Until(last.Add(r.Interval)))
	}
	return nil
}

// logClusterFailure logs a cluster's failure, and its end if err is nil.
func (r *Reconciler) logClusterFailure(cluster string, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	failures := r.clusterFailures[cluster]
	if err == nil {
		if failures != nil {
			failures.Succeeded()
			delete(r.clusterFailures, cluster)
		}
		return
	}
	if failures == nil {
		failures = logging.NewFailureLog(r.Log.WithField("cluster", cluster),
			"failed to reconcile cluster; retrying", "reconciling cluster again")
		r.clusterFailures[cluster] = failures
	}
	failures.Failed(err)
}

package reconcile

import (
	"context"
	"errors"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/blox/blox/cluster-state-service/cache"
	"github.com/blox/blox/cluster-state-service/state"
	"github.com/blox/blox/internal/arn"
	"github.com/blox/blox/internal/backoff"
	"github.com/blox/blox/internal/logging"
	"github.com/blox/blox/internal/ratelimit"
)

var errEveryClusterFailed = errors.New("every cluster failed")

// term is the time for which this replica holds the lock. It belongs to one goroutine, and starts another for each
// cluster that is being reconciled.
type term struct {
	*Reconciler
	local     arn.ARN // a cluster's; shows the account and region that the lock is for
	token     state.FencingToken
	schedule  *schedule
	startedAt time.Time
	region    state.Reconciliation // as recorded
	settledAt time.Time            // when this term recorded that the region was reconciled; zero before

	running  *sync.WaitGroup
	active   int         // clusters being reconciled
	finished chan result // of each of them

	listed       bool // at least once
	listAt       time.Time
	listRetry    *backoff.Backoff
	listFailures int

	countFailures   *logging.FailureLog
	clusterFailures map[string]*logging.FailureLog // by ARN, of clusters whose last attempt failed
}

// result is the outcome of reconciling one cluster.
type result struct {
	cluster   *scheduledCluster
	corrected int
	gone      bool // the cluster was deleted, and none of its records is left
	err       error
}

// run lists the clusters and reconciles those that are due, until ctx ends or too many attempts fail.
func (t *term) run(ctx context.Context) error {
	if err := t.announce(ctx); err != nil {
		return err
	}
	for ctx.Err() == nil {
		if now := time.Now(); !now.Before(t.listAt) {
			if err := t.list(ctx, now); err != nil {
				return err
			}
		}
		t.startDue(ctx)
		if err := t.settle(ctx); err != nil {
			return err
		}
		wake := time.NewTimer(time.Until(t.wakeAt()))
		select {
		case done := <-t.finished:
			if err := t.finish(ctx, done); err != nil {
				return err
			}
		case <-wake.C:
		case <-ctx.Done():
		}
		wake.Stop()
	}
	return ctx.Err()
}

// wakeAt returns when there is something to do next, if no cluster finishes before.
func (t *term) wakeAt() time.Time {
	if t.active < concurrentClusters {
		if next := t.schedule.next(time.Now()); next != nil && next.dueAt.Before(t.listAt) {
			return next.dueAt
		}
	}
	return t.listAt
}

// list updates the schedule with the clusters that ECS or the store knows. It returns an error after maxFailures in a
// row.
func (t *term) list(ctx context.Context, now time.Time) error {
	err := t.updateClusters(ctx, now)
	switch {
	case err == nil:
		t.listed = true
		t.listFailures = 0
		t.listRetry.Reset()
		t.listAt = now.Add(t.CheckInterval)
		t.failures.Succeeded()
		return t.regionSucceeded(ctx)
	case errors.Is(err, state.ErrLockLost), errors.Is(err, errRegionChanged):
		return err
	case ctx.Err() != nil:
		return ctx.Err()
	}
	t.listFailures++
	if t.listFailures == maxFailures {
		return err
	}
	t.failures.Failed(err)
	t.listAt = now.Add(t.listRetry.Next())
	return t.regionFailed(ctx, t.listFailures, err)
}

// updateClusters reads which clusters there are, records those that are new, and schedules them.
func (t *term) updateClusters(ctx context.Context, now time.Time) error {
	found, err := t.clusters(ctx)
	if err != nil {
		return err
	}
	known, isDeleted := map[string]bool{}, map[string]bool{}
	for _, clusterARN := range found.deleted {
		isDeleted[clusterARN] = true
	}
	var unknown []state.Reconciliation
	for _, clusterARN := range slices.Concat(found.active, found.deleted) {
		known[clusterARN] = true
		recorded := found.reconciliations.Of(clusterARN)
		if recorded.Cluster == "" && !isDeleted[clusterARN] {
			unknown = append(unknown, state.Reconciliation{Cluster: clusterARN})
		}
		dueAt := now
		if recorded.FinishedAt.After(t.Reconciler.startedAt) { // by another replica, after this one had started
			dueAt = recorded.FinishedAt.Add(t.Interval)
		}
		t.schedule.add(clusterARN, !recorded.FinishedAt.IsZero(), dueAt)
	}
	t.schedule.setDeleted(isDeleted, now)
	for clusterARN := range t.schedule.clusters {
		if !known[clusterARN] {
			t.schedule.forget(clusterARN)
		}
	}
	t.compareCounts(ctx, found.active, found.stored, now)
	return t.Store.SaveReconciliations(ctx, t.token, unknown...)
}

// compareCounts makes clusters due whose counts show that events were lost. A failure delays that only.
func (t *term) compareCounts(
	ctx context.Context, active []string, stored map[string]countRange, now time.Time,
) {
	counts, err := t.ecs.countClusters(ctx, active)
	if err != nil && ctx.Err() == nil {
		t.countFailures.Failed(err)
	} else {
		t.countFailures.Succeeded()
	}
	for _, clusterARN := range active {
		var known *clusterCounts
		if c, described := counts[clusterARN]; described {
			known = &c
		}
		agree := known != nil && stored[clusterARN].contains(*known)
		if t.schedule.compare(clusterARN, known, agree, now) {
			t.metrics.drifts.Inc()
			t.Log.WithField("cluster", clusterARN).Warn("counts of ECS differ from the records; reconciling the cluster")
		}
	}
}

// startDue starts to reconcile the clusters that are due.
func (t *term) startDue(ctx context.Context) {
	for t.active < concurrentClusters {
		cluster := t.schedule.start(time.Now())
		if cluster == nil {
			return
		}
		t.active++
		task := clusterTask{cluster.arn, cluster.deleted, cluster.counts != nil && cluster.counts.isEmpty()}
		taskCtx, cancel := context.WithCancel(ctx)
		if !cluster.urgent {
			taskCtx = ratelimit.WithShare(taskCtx, t.Periodic)
			cluster.preempt = cancel
		}
		t.running.Go(func() {
			defer cancel()
			done := t.reconcileCluster(taskCtx, t.token, task)
			done.cluster = cluster
			select {
			case t.finished <- done:
			case <-ctx.Done():
			}
		})
	}
}

// finish schedules a cluster's next reconciliation.
func (t *term) finish(ctx context.Context, done result) error {
	t.active--
	if errors.Is(done.err, state.ErrLockLost) {
		return done.err
	}
	clusterARN := done.cluster.arn
	if done.cluster.preempted {
		t.schedule.finish(done.cluster, false, time.Now())
		return nil
	}
	t.logFailure(clusterARN, done.err)
	t.schedule.finish(done.cluster, done.err == nil, time.Now())
	if done.err != nil {
		t.metrics.clusterFailures.Inc()
		switch {
		case t.schedule.failsThroughout(maxFailures):
			return errEveryClusterFailed
		case t.schedule.failsThroughout(settledFailures):
			return t.regionFailed(ctx, settledFailures, done.err)
		}
		return nil
	}
	t.metrics.lastFinished.SetToCurrentTime()
	if done.gone {
		t.schedule.forget(clusterARN)
	}
	if done.corrected > 0 {
		done.cluster.forgetDrift()
		t.Log.WithFields(logrus.Fields{"cluster": clusterARN, "corrected": done.corrected}).Info("cluster corrected from ECS")
	}
	return t.regionSucceeded(ctx)
}

// logFailure logs a cluster's failure, and its end if err is nil.
func (t *term) logFailure(clusterARN string, err error) {
	failures := t.clusterFailures[clusterARN]
	switch {
	case err == nil && failures == nil:
	case err == nil:
		failures.Succeeded()
		delete(t.clusterFailures, clusterARN)
	default:
		if failures == nil {
			failures = logging.NewFailureLog(t.Log.WithField("cluster", clusterARN),
				"failed to reconcile cluster; retrying", "resumed reconciling cluster")
			t.clusterFailures[clusterARN] = failures
		}
		failures.Failed(err)
	}
}

// foundClusters are the clusters that ECS or the store knows, by ARN.
type foundClusters struct {
	active          []string // in ECS
	deleted         []string // known, but ECS does not have them any more
	stored          map[string]countRange
	reconciliations *cache.Reconciliations
}

// clusters returns the clusters of this account and region. Those of others are left to the replicas that reconcile
// those.
func (t *term) clusters(ctx context.Context) (found foundClusters, err error) {
	if found.active, err = t.ecs.listClusters(ctx); err != nil {
		return foundClusters{}, err
	}
	if len(found.active) == 0 {
		// An empty list does not show the account, and may be wrong. DescribeClusters returns the default cluster.
		if found.active, found.deleted, err = t.ecs.describeClusters(ctx, nil); err != nil {
			return foundClusters{}, err
		}
	}
	if err := t.checkRegion(t.local, slices.Concat(found.active, found.deleted)); err != nil {
		return foundClusters{}, err
	}
	snapshot, err := t.WaitCurrent(ctx)
	if err != nil {
		return foundClusters{}, err
	}
	found.stored, found.reconciliations = countStored(snapshot), snapshot.Reconciliations
	unlisted := found.clusters()
	found.deleted = slices.DeleteFunc(found.deleted, func(clusterARN string) bool { return !unlisted[clusterARN] })
	for _, clusterARN := range slices.Concat(found.active, found.deleted) {
		delete(unlisted, clusterARN)
	}
	maps.DeleteFunc(unlisted, func(clusterARN string, _ bool) bool {
		a, err := arn.Parse(clusterARN)
		return err != nil || !a.SameRegion(t.local)
	})
	if len(unlisted) == 0 {
		return found, nil
	}
	confirmed, missing, err := t.ecs.describeClusters(ctx, slices.Collect(maps.Keys(unlisted)))
	found.active, found.deleted = append(found.active, confirmed...), append(found.deleted, missing...)
	return found, err
}

// clusters returns the ARNs of all clusters that have stored records or reconciliations.
func (f foundClusters) clusters() map[string]bool {
	clusters := map[string]bool{}
	for clusterARN := range f.reconciliations.Clusters() {
		clusters[clusterARN] = true
	}
	for clusterARN := range f.stored {
		clusters[clusterARN] = true
	}
	return clusters
}

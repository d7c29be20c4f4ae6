package reconcile

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"github.com/sirupsen/logrus"
	"golang.org/x/sync/errgroup"

	"github.com/blox/blox/cluster-state-service/cache"
	"github.com/blox/blox/cluster-state-service/state"
	"github.com/blox/blox/internal/arn"
)

// reconcile reconciles every cluster that ECS or the store knows, and returns the number of clusters that failed. It
// returns an error if ECS does not list the clusters, if every cluster failed, or if the lock is lost.
func (r *Reconciler) reconcile(ctx context.Context, token state.FencingToken) (failed int, err error) {
	startedAt := time.Now()
	active, deleted, err := r.clusters(ctx)
	if err != nil {
		return 0, err
	}
	corrected, failed, err := r.reconcileAll(ctx, token, active, deleted)
	if err != nil {
		return failed, err
	}
	clusters := slices.Concat(active, deleted)
	if len(clusters) > 0 && failed == len(clusters) {
		return failed, errors.New("every cluster failed")
	}
	finishedAt := time.Now()
	done := state.Reconciliation{StartedAt: startedAt.UTC(), FinishedAt: finishedAt.UTC()}
	if err := r.Store.SaveReconciliation(ctx, token, accountOf(clusters), r.Region, done); err != nil {
		return failed, err
	}
	duration := finishedAt.Sub(startedAt)
	r.metrics.duration.Observe(duration.Seconds())
	r.metrics.lastFinished.Set(float64(finishedAt.Unix()))
	r.Log.WithFields(logrus.Fields{
		"clusters": len(active), "corrected": corrected, "failed": failed, "duration": duration.Round(time.Millisecond),
	}).Info("reconciled with ECS")
	return failed, nil
}

// reconcileAll reconciles clusters concurrently. A failed cluster does not stop the others.
func (r *Reconciler) reconcileAll(
	ctx context.Context, token state.FencingToken, active, deleted []string,
) (corrected, failed int, err error) {
	var correctedCount, failedCount atomic.Int64
	group, groupCtx := errgroup.WithContext(ctx)
	group.SetLimit(concurrentClusters)
	reconcile := func(cluster string, corrections correctionsFunc) {
		group.Go(func() error {
			n, err := r.reconcileCluster(groupCtx, token, cluster, corrections)
			correctedCount.Add(int64(n))
			if errors.Is(err, state.ErrLockLost) || groupCtx.Err() != nil {
				return err
			}
			r.logClusterFailure(cluster, err)
			if err != nil {
				failedCount.Add(1)
				r.metrics.clusterFailures.Inc()
			}
			return nil
		})
	}
	for _, cluster := range active {
		reconcile(cluster, r.activeClusterCorrections)
	}
	for _, cluster := range deleted {
		reconcile(cluster, r.deletedClusterCorrections)
	}
	err = group.Wait()
	return int(correctedCount.Load()), int(failedCount.Load()), err
}

// accountOf returns the account of the clusters.
func accountOf(clusters []string) string {
	if len(clusters) > 0 {
		if a, err := arn.Parse(clusters[0]); err == nil {
			return a.Account
		}
	}
	return "unknown"
}

// clusters returns the ARNs of the active clusters, and of the stored clusters that ECS does not have any more.
// Records of other accounts and regions are left to the replicas that reconcile those.
func (r *Reconciler) clusters(ctx context.Context) (active, deleted []string, err error) {
	active, err = r.ecs.listClusters(ctx)
	if err != nil {
		return nil, nil, err
	}
	if len(active) == 0 {
		// An empty list does not show the account, and may be wrong. DescribeClusters returns the default cluster.
		if active, deleted, err = r.ecs.describeClusters(ctx, nil); err != nil {
			return nil, nil, err
		}
	}
	if len(active)+len(deleted) == 0 {
		return nil, nil, nil
	}
	local, err := arn.ParseKind(slices.Concat(active, deleted)[0], arn.Cluster)
	if err != nil {
		return nil, nil, fmt.Errorf("cluster from ECS: %w", err)
	}
	r.local.Store(&local)
	snapshot, err := r.WaitCurrent(ctx)
	if err != nil {
		return nil, nil, err
	}
	var unlisted []string
	for cluster := range storedClusters(snapshot) {
		if a, err := arn.Parse(cluster); err == nil && a.SameRegion(local) && !slices.Contains(active, cluster) {
			unlisted = append(unlisted, cluster)
		}
	}
	if len(unlisted) == 0 {
		return active, deleted, nil
	}
	confirmed, missing, err := r.ecs.describeClusters(ctx, unlisted)
	if err != nil {
		return nil, nil, err
	}
	return append(active, confirmed...), append(deleted, missing...), nil
}

// storedClusters returns the ARNs of all clusters that have stored records.
func storedClusters(s *cache.Snapshot) map[string]bool {
	clusters := map[string]bool{}
	for e := range s.Tasks.Prefix("") {
		clusters[e.Entity.ClusterARN] = true
	}
	for e := range s.Instances.Prefix("") {
		clusters[e.Entity.ClusterARN] = true
	}
	return clusters
}

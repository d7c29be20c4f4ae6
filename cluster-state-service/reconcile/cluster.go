package reconcile

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/blox/blox/cluster-state-service/cache"
	"github.com/blox/blox/cluster-state-service/state"
	"github.com/blox/blox/internal/arn"
)

const (
	parallel = 8 // clusters at a time
	attempts = 3 // for one cluster, before it is reported and left to the next time
)

// compare goes through every cluster that ECS or the store knows. It fails when ECS does not say which clusters there are,
// or the lock is lost, or not one cluster could be compared; a single one is reported and counted, and the others go on.
func (r *Reconciler) compare(ctx context.Context, holder state.FencingToken) (failures int, err error) {
	started := time.Now()
	clusters, gone, err := r.clusters(ctx)
	if err != nil {
		return 0, err
	}
	corrected, failed := new(atomic.Int64), new(atomic.Int64)
	work, workCtx := errgroup.WithContext(ctx)
	work.SetLimit(parallel)
	each := func(cluster string, compare func(context.Context, string) ([]state.Correction, error)) {
		work.Go(func() error {
			n, err := r.attempt(workCtx, holder, cluster, compare)
			corrected.Add(int64(n))
			if err == nil || errors.Is(err, state.ErrLockLost) || workCtx.Err() != nil {
				return err
			}
			failed.Add(1)
			r.metrics.failures.Inc()
			r.Log.WithError(err).WithField("cluster", cluster).Error("a cluster could not be compared with ECS")
			return nil
		})
	}
	for _, cluster := range clusters {
		each(cluster, r.cluster)
	}
	for _, cluster := range gone {
		each(cluster, r.goneCluster)
	}
	if err := work.Wait(); err != nil {
		return 0, err
	}
	failures = int(failed.Load())
	if total := len(clusters) + len(gone); total > 0 && failures == total {
		return failures, errors.New("no cluster could be compared")
	}
	account := "unknown"
	if all := slices.Concat(clusters, gone); len(all) > 0 {
		if a, err := arn.Parse(all[0]); err == nil {
			account = a.Account
		}
	}
	finished := time.Now()
	if err := r.Store.SaveReconcileRun(ctx, holder, account, r.Region, state.ReconcileRun{StartedAt: started.UTC(), FinishedAt: finished.UTC()}); err != nil {
		return failures, err
	}
	r.metrics.seconds.Observe(finished.Sub(started).Seconds())
	r.metrics.finished.Set(float64(finished.Unix()))
	r.Log.WithField("clusters", len(clusters)).WithField("corrected", corrected.Load()).WithField("failed", failures).
		WithField("duration", finished.Sub(started).Round(time.Millisecond)).Info("compared with ECS")
	return failures, nil
}

// clusters returns the ARNs of the clusters to compare, and of those that are stored but that ECS says are gone. Records of
// other accounts and regions belong to whoever compares there.
func (r *Reconciler) clusters(ctx context.Context) (active, gone []string, err error) {
	active, err = r.reader.clusters(ctx)
	if err != nil {
		return nil, nil, err
	}
	if len(active) == 0 { // the list may be wrong, and says nothing of whose it is; the default cluster always answers
		if active, gone, err = r.reader.describeClusters(ctx, nil); err != nil {
			return nil, nil, err
		}
	}
	if len(active)+len(gone) == 0 {
		return nil, nil, nil
	}
	ours, err := arn.ParseKind(slices.Concat(active, gone)[0], arn.Cluster)
	if err != nil {
		return nil, nil, fmt.Errorf("what ECS calls a cluster: %w", err)
	}
	snapshot, err := r.WaitCurrent(ctx)
	if err != nil {
		return nil, nil, err
	}
	var unlisted []string
	for cluster := range storedClusters(snapshot) {
		if a, err := arn.Parse(cluster); err == nil && a.SameRegion(ours) && !slices.Contains(active, cluster) {
			unlisted = append(unlisted, cluster)
		}
	}
	if len(unlisted) == 0 {
		return active, gone, nil
	}
	confirmed, missing, err := r.reader.describeClusters(ctx, unlisted)
	if err != nil {
		return nil, nil, err
	}
	return append(active, confirmed...), append(gone, missing...), nil
}

// storedClusters is the ARNs of all clusters that something is stored of.
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

// attempt compares one cluster and carries the corrections out, up to three times.
func (r *Reconciler) attempt(ctx context.Context, holder state.FencingToken, cluster string,
	compare func(context.Context, string) ([]state.Correction, error),
) (corrected int, err error) {
	for wait, try := firstWait, 1; ; wait, try = 2*wait, try+1 {
		var corrections []state.Correction
		if corrections, err = compare(ctx, cluster); err == nil {
			var n int
			n, err = r.Store.ApplyCorrections(ctx, holder, corrections)
			corrected += n
		}
		if err == nil || try == attempts || errors.Is(err, state.ErrLockLost) || ctx.Err() != nil {
			return corrected, err
		}
		pause(ctx, wait)
	}
}

// cluster compares one cluster. The store is looked at before ECS is asked: what an event brings meanwhile has another
// revision, and its correction is refused.
func (r *Reconciler) cluster(ctx context.Context, cluster string) ([]state.Correction, error) {
	stored, err := r.WaitCurrent(ctx)
	if err != nil {
		return nil, err
	}
	instances, err := compareKind(ctx, state.KindInstance, cluster, stored.Instances,
		func(i state.Instance) string { return i.ClusterARN }, r.reader.instanceARNs, r.reader.instances)
	if err != nil {
		return nil, err
	}
	tasks, err := compareKind(ctx, state.KindTask, cluster, stored.Tasks,
		func(t state.Task) string { return t.ClusterARN }, r.reader.taskARNs, r.reader.tasks)
	return append(instances, tasks...), err
}

func compareKind[T entity[T]](ctx context.Context, kind state.Kind, cluster string, stored cache.Index[T], clusterOf func(T) string,
	list func(context.Context, string) ([]string, error),
	describe func(context.Context, string, []string) ([]found[T], []string, error),
) ([]state.Correction, error) {
	listed, err := list(ctx, cluster)
	if err != nil {
		return nil, err
	}
	// What is stored but not listed is asked for too: ECS must say itself that it is gone. Pages may repeat an ARN, as the
	// world moves on between them.
	keys := storedKeys(kind, cluster, stored, clusterOf)
	arns := slices.AppendSeq(listed, maps.Keys(keys))
	slices.Sort(arns)
	present, missing, err := describe(ctx, cluster, slices.Compact(arns))
	if err != nil {
		return nil, err
	}
	var gone []state.Key
	for _, a := range missing {
		if key, is := keys[a]; is {
			gone = append(gone, key)
		}
	}
	return Diff(stored, present, gone, time.Now()), nil
}

// storedKeys is the stored keys of one cluster, by the entities' ARNs.
func storedKeys[T any](kind state.Kind, cluster string, stored cache.Index[T], clusterOf func(T) string) map[string]state.Key {
	keys := map[string]state.Key{}
	a, err := arn.ParseKind(cluster, arn.Cluster)
	if err != nil {
		return keys
	}
	for e := range stored.Prefix(kind.Prefix() + a.Cluster + "/") {
		if key, err := state.ParseKey(e.Key); err == nil && clusterOf(e.Entity) == cluster {
			keys[key.ARN] = key
		}
	}
	return keys
}

// goneCluster removes what is stored of a cluster that does not exist any more.
func (r *Reconciler) goneCluster(ctx context.Context, cluster string) ([]state.Correction, error) {
	stored, err := r.WaitCurrent(ctx)
	if err != nil {
		return nil, err
	}
	instances := storedKeys(state.KindInstance, cluster, stored.Instances, func(i state.Instance) string { return i.ClusterARN })
	tasks := storedKeys(state.KindTask, cluster, stored.Tasks, func(t state.Task) string { return t.ClusterARN })
	now := time.Now()
	return append(
		Diff(stored.Instances, nil, slices.Collect(maps.Values(instances)), now),
		Diff(stored.Tasks, nil, slices.Collect(maps.Values(tasks)), now)...), nil
}

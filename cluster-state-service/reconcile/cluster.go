package reconcile

import (
	"context"
	"errors"
	"maps"
	"slices"
	"time"

	"github.com/blox/blox/cluster-state-service/cache"
	"github.com/blox/blox/cluster-state-service/state"
	"github.com/blox/blox/internal/arn"
	"github.com/blox/blox/internal/backoff"
)

// clusterAttempts is how often one reconciliation tries a cluster.
const clusterAttempts = 3

// correctionsFunc computes the corrections of a cluster.
type correctionsFunc func(ctx context.Context, cluster string) ([]state.Correction, error)

// reconcileCluster computes and applies the corrections of one cluster. It returns the number of corrected records.
func (r *Reconciler) reconcileCluster(
	ctx context.Context, token state.FencingToken, cluster string, corrections correctionsFunc,
) (corrected int, err error) {
	err = backoff.Retry(ctx, firstRetryDelay, longestRetryDelay, clusterAttempts, func() error {
		computed, err := corrections(ctx, cluster)
		if err != nil {
			return err
		}
		n, err := r.Store.ApplyCorrections(ctx, token, computed)
		corrected += n
		if errors.Is(err, state.ErrLockLost) {
			return backoff.Permanent(err)
		}
		return err
	})
	return corrected, err
}

// activeClusterCorrections compares a cluster's stored records with ECS. It reads the store before ECS: an event that
// arrives in between changes the record's revision, and the store skips the record's correction.
func (r *Reconciler) activeClusterCorrections(ctx context.Context, cluster string) ([]state.Correction, error) {
	snapshot, err := r.WaitCurrent(ctx)
	if err != nil {
		return nil, err
	}
	storedInstances := storedKeys(state.KindInstance, cluster, snapshot.Instances, clusterOfInstance)
	instances, err := corrections(ctx, cluster, snapshot.Instances, storedInstances,
		r.ecs.listInstances, r.ecs.describeInstances)
	if err != nil {
		return nil, err
	}
	storedTasks := storedKeys(state.KindTask, cluster, snapshot.Tasks, clusterOfTask)
	tasks, err := corrections(ctx, cluster, snapshot.Tasks, storedTasks, r.ecs.listTasks, r.ecs.describeTasks)
	return append(instances, tasks...), err
}

// corrections compares the stored records of one kind with ECS. It asks ECS to describe every stored
// record, listed or not, so that ECS itself reports the missing ones.
func corrections[T entity[T]](
	ctx context.Context, cluster string, stored cache.Index[T], keys map[string]state.Key,
	list func(context.Context, string) ([]string, error),
	describe func(context.Context, string, []string) (description[T], error),
) ([]state.Correction, error) {
	listed, err := list(ctx, cluster)
	if err != nil {
		return nil, err
	}
	arns := slices.AppendSeq(listed, maps.Keys(keys))
	slices.Sort(arns) // pages may repeat an ARN, because the list changes between them
	described, err := describe(ctx, cluster, slices.Compact(arns))
	if err != nil {
		return nil, err
	}
	var missing []state.Key
	for _, a := range described.missing {
		if key, ok := keys[a]; ok {
			missing = append(missing, key)
		}
	}
	return Diff(stored, described.present, missing, time.Now()), nil
}

// deletedClusterCorrections removes the stored records of a cluster that does not exist any more.
func (r *Reconciler) deletedClusterCorrections(ctx context.Context, cluster string) ([]state.Correction, error) {
	snapshot, err := r.WaitCurrent(ctx)
	if err != nil {
		return nil, err
	}
	instances := storedKeys(state.KindInstance, cluster, snapshot.Instances, clusterOfInstance)
	tasks := storedKeys(state.KindTask, cluster, snapshot.Tasks, clusterOfTask)
	now := time.Now()
	return append(
		Diff(snapshot.Instances, nil, slices.Collect(maps.Values(instances)), now),
		Diff(snapshot.Tasks, nil, slices.Collect(maps.Values(tasks)), now)...), nil
}

func clusterOfInstance(i state.Instance) string { return i.ClusterARN }

func clusterOfTask(t state.Task) string { return t.ClusterARN }

// storedKeys returns the keys of a cluster's stored entities of one kind, by the entities' ARNs.
func storedKeys[T any](
	kind state.Kind, cluster string, stored cache.Index[T], clusterOf func(T) string,
) map[string]state.Key {
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

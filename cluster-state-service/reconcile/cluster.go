package reconcile

import (
	"context"
	"errors"
	"maps"
	"slices"
	"time"

	"github.com/aws/smithy-go"

	"github.com/blox/blox/cluster-state-service/cache"
	"github.com/blox/blox/cluster-state-service/state"
	"github.com/blox/blox/internal/arn"
	"github.com/blox/blox/internal/awsconfig"
)

// clusterTask is a cluster to reconcile, and what ECS has reported about it.
type clusterTask struct {
	arn     string
	deleted bool // ECS does not have it any more
	empty   bool // it has no instances and no tasks that run
}

// corrections returns the corrections of the cluster. An empty cluster without records needs no call.
func (r *Reconciler) corrections(ctx context.Context, c clusterTask) ([]state.Correction, error) {
	if c.deleted {
		return r.deletedClusterCorrections(ctx, c.arn)
	}
	if c.empty {
		if isGone, err := r.isGone(ctx, c.arn); isGone || err != nil {
			return nil, err
		}
	}
	return r.activeClusterCorrections(ctx, c.arn)
}

// reconcileCluster corrects the records of one cluster and records the outcome.
func (r *Reconciler) reconcileCluster(
	ctx context.Context, token state.FencingToken, c clusterTask,
) (done result) {
	startedAt, started := r.ecs.now(), time.Now()
	corrections, err := r.corrections(ctx, c)
	if err == nil {
		done.corrected, err = r.Store.ApplyCorrections(ctx, token, corrections)
	}
	if err != nil {
		done.err = errors.Join(err, r.recordFailure(ctx, token, c.arn, err))
		return done
	}
	r.metrics.duration.Observe(time.Since(started).Seconds())
	if c.deleted {
		if done.gone, done.err = r.isGone(ctx, c.arn); done.gone {
			done.err = r.Store.RemoveReconciliation(ctx, token, c.arn)
		}
		if done.gone || done.err != nil {
			return done
		}
	}
	done.err = r.Store.SaveReconciliations(ctx, token, state.Reconciliation{
		Cluster: c.arn, StartedAt: startedAt.UTC(), FinishedAt: r.ecs.now().UTC(),
	})
	return done
}

// isGone reports whether no record of a cluster is stored.
func (r *Reconciler) isGone(ctx context.Context, clusterARN string) (bool, error) {
	snapshot, err := r.WaitCurrent(ctx)
	if err != nil {
		return false, err
	}
	instances := storedKeys(state.KindInstance, clusterARN, snapshot.Instances, clusterOfInstance)
	tasks := storedKeys(state.KindTask, clusterARN, snapshot.Tasks, clusterOfTask)
	return len(instances)+len(tasks) == 0, nil
}

// recordFailure records why a cluster failed, unless that is recorded already.
func (r *Reconciler) recordFailure(
	ctx context.Context, token state.FencingToken, clusterARN string, cause error,
) error {
	if errors.Is(cause, state.ErrLockLost) || ctx.Err() != nil {
		return nil
	}
	snapshot, err := r.WaitCurrent(ctx)
	if err != nil {
		return err
	}
	recorded := snapshot.Reconciliations.Of(clusterARN)
	if recorded.Error == reasonOf(cause) {
		return nil
	}
	recorded.Cluster, recorded.Error = clusterARN, reasonOf(cause)
	return r.Store.SaveReconciliations(ctx, token, recorded)
}

// reasonOf returns what clients learn about an error: of a call to ECS, the operation and the code, and of a role that
// cannot be assumed, its ARN and the code. The log has the details.
func reasonOf(err error) string {
	var role *awsconfig.RoleError
	var operation *smithy.OperationError
	switch {
	case errors.As(err, &role):
		return "assume role " + role.Role + ": " + answerOf(role.Err)
	case errors.As(err, &operation):
		return operation.OperationName + ": " + answerOf(operation)
	}
	return err.Error()
}

// answerOf returns the code of the answer to a call that failed.
func answerOf(err error) string {
	var response smithy.APIError
	var operation *smithy.OperationError
	switch {
	case errors.As(err, &response):
		return response.ErrorCode()
	case errors.As(err, &operation):
		return "no response from " + operation.ServiceID
	}
	return err.Error()
}

// activeClusterCorrections compares a cluster's stored records with ECS. It reads the store before ECS: an event that
// arrives in between changes the record's revision, and the store decides anew whether the correction applies.
func (r *Reconciler) activeClusterCorrections(ctx context.Context, cluster string) ([]state.Correction, error) {
	snapshot, err := r.WaitCurrent(ctx)
	if err != nil {
		return nil, err
	}
	storedInstances := storedKeys(state.KindInstance, cluster, snapshot.Instances, clusterOfInstance)
	remove := r.removal()
	instances, sameInstances, err := corrections(ctx, cluster, snapshot.Instances, storedInstances, remove,
		r.ecs.listInstances, r.ecs.describeInstances)
	if err != nil {
		return nil, err
	}
	storedTasks := storedKeys(state.KindTask, cluster, snapshot.Tasks, clusterOfTask)
	tasks, sameTasks, err := corrections(ctx, cluster, snapshot.Tasks, storedTasks, remove,
		r.ecs.listTasks, r.ecs.describeTasks)
	if err != nil {
		return nil, err
	}
	changed, err := r.Store.Superseding(ctx, append(sameInstances, sameTasks...))
	return slices.Concat(instances, tasks, changed), err
}

func (r *Reconciler) removal() removal {
	return removal{now: r.ecs.now(), retention: r.StoppedTaskRetention}
}

// corrections compares the stored records of one kind with ECS. It makes ECS describe every stored record, listed or
// not, so that ECS itself reports the missing ones. Stopped tasks that ECS does not list count as missing: their
// records are final, and there may be a hundred thousand of them.
func corrections[T any, S entity](
	ctx context.Context, cluster string, stored cache.Index[S], keys map[string]state.Key, remove removal,
	list func(context.Context, string) ([]string, error),
	describe func(context.Context, string, []string) (description[T], error),
) (corrections, sameVersion []state.Correction, err error) {
	listed, err := list(ctx, cluster)
	if err != nil {
		return nil, nil, err
	}
	slices.Sort(listed)
	arns := slices.Compact(listed) // pages may repeat an ARN, because the list changes between them
	var missing []state.Key
	for a, key := range keys {
		if _, found := slices.BinarySearch(listed, a); found {
			continue
		}
		if _, ended := stored.Get(key.String()).Entity.EndedAt(); ended {
			missing = append(missing, key)
		} else {
			arns = append(arns, a)
		}
	}
	described, err := describe(ctx, cluster, arns)
	if err != nil {
		return nil, nil, err
	}
	for _, a := range described.missing {
		if key, ok := keys[a]; ok {
			missing = append(missing, key)
		}
	}
	corrections, sameVersion = Diff(stored, described.present, missing, remove)
	return corrections, sameVersion, nil
}

// deletedClusterCorrections removes the stored records of a cluster that does not exist any more. Stopped tasks stay
// for their retention.
func (r *Reconciler) deletedClusterCorrections(ctx context.Context, cluster string) ([]state.Correction, error) {
	snapshot, err := r.WaitCurrent(ctx)
	if err != nil {
		return nil, err
	}
	instances := storedKeys(state.KindInstance, cluster, snapshot.Instances, clusterOfInstance)
	tasks := storedKeys(state.KindTask, cluster, snapshot.Tasks, clusterOfTask)
	remove := r.removal()
	removedInstances, _ := Diff[state.Instance](snapshot.Instances, nil, slices.Collect(maps.Values(instances)), remove)
	removedTasks, _ := Diff[state.Task](snapshot.Tasks, nil, slices.Collect(maps.Values(tasks)), remove)
	return append(removedInstances, removedTasks...), nil
}

func clusterOfInstance(i state.Instance) string { return i.ClusterARN }

func clusterOfTask(t state.TaskSummary) string { return t.ClusterARN }

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

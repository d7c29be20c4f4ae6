package engine

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/blox/blox/daemon-scheduler/environment"
	"github.com/blox/blox/daemon-scheduler/store"
)

// deleteEnvironment removes the record of an environment that is being deleted, unless ECS knows tasks of it that the
// cluster state lacks: they have to stop first. The launch records are removed by forget.
func (r *reconciliation) deleteEnvironment(ctx context.Context) (found bool, err error) {
	if found, err := r.verifyAgainstECS(ctx); found || err != nil {
		return found, err
	}
	return false, r.removeEnvironment(ctx)
}

func (r *reconciliation) removeEnvironment(ctx context.Context) error {
	if _, err := r.commitChanges(ctx, store.Changes{Remove: &r.env}); err != nil {
		return fmt.Errorf("remove environment: %w", err)
	}
	r.queueReadinessOf(r.leader, r.env.Name)
	r.recordEvent(environment.Event{Action: environment.EventEnvironmentDeleted})
	r.log.Info("environment deleted")
	return nil
}

// clusterCheckInterval is the time between two checks of the cluster of one environment.
const clusterCheckInterval = 10 * time.Second

// deleteWithoutCluster removes the record of an environment that is being deleted if its cluster no longer exists: a
// cluster that was deleted has no tasks, and ECS rejects every call for it. It calls ECS only if the deletion is stuck,
// because of failure, of rejected stops, or of a cluster state that is not fresh, as an unknown cluster's never is.
// It returns the failure unless the deletion has ended.
func (r *reconciliation) deleteWithoutCluster(ctx context.Context, fresh bool, failure error) error {
	stuck := failure != nil || !fresh || r.conditions.has(r.env.Name, environment.ConditionTaskStopFailed)
	if !stuck || !r.leader.checksCluster(r.env.Name, time.Now()) {
		return failure
	}
	_, err := r.ECS.Cluster(ctx, r.env.Cluster)
	if !errors.Is(err, environment.ErrClusterNotFound) && !errors.Is(err, environment.ErrClusterInactive) {
		return failure // a failure of this call says nothing new
	}
	r.log.WithError(err).Info("cluster of a deleted environment not found")
	return r.removeEnvironment(ctx)
}

// checksCluster reports whether the cluster of the environment is to be checked now, and records that it is.
func (l *leaderState) checksCluster(name string, now time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if now.Sub(l.clusterCheckedAt[name]) < clusterCheckInterval {
		return false
	}
	l.clusterCheckedAt[name] = now
	return true
}

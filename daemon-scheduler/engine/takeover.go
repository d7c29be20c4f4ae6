package engine

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/blox/blox/daemon-scheduler/clusterstate"
	"github.com/blox/blox/daemon-scheduler/environment"
	"github.com/blox/blox/daemon-scheduler/planner"
	"github.com/blox/blox/daemon-scheduler/store"
	"github.com/blox/blox/internal/ecserrors"
)

const updateServiceTimeout = 15 * time.Second // of one change of a service, with its retries

// serviceTasks returns the live task of the service on each of the instances that has one.
func serviceTasks(
	cluster clusterstate.Cluster, instances []environment.Instance, t *environment.Takeover,
) map[string]environment.Task {
	group := clusterstate.ServiceGroup(t.ServiceName())
	on := map[string]environment.Task{}
	for _, i := range instances {
		for _, task := range cluster.TasksOn(i.ARN) {
			if task.Group == group && task.Live() && !on[i.ARN].Running() {
				on[i.ARN] = task
			}
		}
	}
	return on
}

// takeOver records the end of the environment's takeover, and updates the service for the state of the takeover, once
// for each state: it excludes the instances that are taken over, then all, or none again. Again reports that the record
// has changed, so that the next step of the takeover may be due.
func (r *reconciliation) takeOver(ctx context.Context, plan planner.Plan, now time.Time) (again bool, err error) {
	e := r.env
	switch {
	case e.Takeover == nil || e.IsDeleting() || r.isOutdated():
		return false, nil
	case plan.TakeoverComplete && e.Takeover.Applied == environment.TakeoverMoving:
		return r.recordTakeover(ctx, e.CompleteTakeover(now))
	case e.Takeover.Applied == e.Takeover.State:
		return false, nil
	}
	if err := checkFence(ctx, r.leader.Term, time.Now().Add(updateServiceTimeout)); err != nil {
		return false, fmt.Errorf("UpdateService: %w", err)
	}
	callCtx, cancel := context.WithTimeout(ctx, updateServiceTimeout)
	defer cancel()
	var outcome ecserrors.Outcome
	if e.Takeover.State == environment.TakeoverCompleted && e.Takeover.DeleteService {
		outcome = r.ECS.DeleteService(callCtx, e.Cluster, e.Takeover.Service)
	} else {
		outcome = r.ECS.ConstrainService(callCtx, e.Cluster, e.Takeover.Service, e.ServiceConstraints())
	}
	if outcome.Class != ecserrors.Succeeded {
		r.conditions.set(e.Name, environment.ConditionTakeoverBlocked, outcome)
		return false, fmt.Errorf("update service %s: %w", e.Takeover.ServiceName(), outcome.Err)
	}
	r.conditions.clear(e.Name, environment.ConditionTakeoverBlocked)
	r.log.WithField("service", e.Takeover.Service).Info("service updated for the takeover")
	return r.recordTakeover(ctx, e.ApplyTakeover())
}

// recordTakeover writes the environment with another state of its takeover. If this reconciliation has recorded
// progress, that is a conflict, and the next one writes it.
func (r *reconciliation) recordTakeover(ctx context.Context, next environment.Environment) (again bool, err error) {
	_, err = r.commitChanges(ctx, store.Changes{Environment: &next})
	if err != nil && !errors.Is(err, environment.ErrConflict) {
		return false, fmt.Errorf("record the takeover: %w", err)
	}
	r.queueReadinessOf(r.leader, r.env.Name)
	return true, nil
}

package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/blox/blox/daemon-scheduler/environment"
	"github.com/blox/blox/daemon-scheduler/planner"
)

// errNotUnhealthy means that ECS does not report tasks as UNHEALTHY that are to be replaced for that.
var errNotUnhealthy = errors.New("ECS does not confirm that the tasks are UNHEALTHY")

// verifyUnhealthy returns the stops that may go out. Those that rely on a task being UNHEALTHY go out only if ECS
// reports it so now: its health may have changed since it was read last. What has changed is recorded for the next
// plan.
func (r *reconciliation) verifyUnhealthy(ctx context.Context, stops []planner.Action) ([]planner.Action, error) {
	var arns []string
	for _, a := range stops {
		if a.Unhealthy {
			arns = append(arns, a.Task)
		}
	}
	if len(arns) == 0 {
		return stops, nil
	}
	arns = arns[:min(len(arns), maxActionsPerReconciliation)] // the others follow with the next plan
	callCtx, cancel := context.WithTimeout(ctx, describeTimeout)
	defer cancel()
	results, err := r.ECS.ContainerHealth(callCtx, r.env.Cluster, arns)
	if err != nil {
		results = nil
		err = fmt.Errorf("verify %d UNHEALTHY tasks: %w", len(arns), err)
	}
	unhealthy := map[string]bool{}
	var recovered []environment.TaskHealth
	for arn, containers := range results {
		d := r.env.Deployments[r.startedBy(arn)]
		health := environment.NewTaskHealth(arn, d.CheckedContainers, containers)
		unhealthy[arn] = health.Status == environment.HealthUnhealthy
		if health.Status == environment.HealthHealthy {
			recovered = append(recovered, health)
		}
	}
	if len(recovered) > 0 {
		err = errors.Join(err, r.commitHealth(ctx, r.leader, r.env.Name, recovered, nil))
	}
	if unconfirmed := len(arns) - len(results); unconfirmed > 0 && err == nil { // they stop running
		err = fmt.Errorf("stop %d tasks: %w", unconfirmed, errNotUnhealthy)
	}
	return slices.DeleteFunc(slices.Clone(stops), func(a planner.Action) bool {
		return a.Unhealthy && !unhealthy[a.Task]
	}), err
}

package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"golang.org/x/sync/errgroup"

	"github.com/blox/blox/daemon-scheduler/planner"
	"github.com/blox/blox/internal/ecserrors"
)

// errUnseenTasks means that ECS lists tasks on a draining instance that the plan did not know.
var errUnseenTasks = errors.New("ECS lists tasks on the instance that the cluster state does not show yet")

// verifyDrained returns the stops that may go out: those on DRAINING instances only if ECS lists no task there that the
// plan did not know. A task that was started just before the drain may not be in the cluster state yet, and the daemons
// are to outlive it.
//
// It calls ListTasks once for each DRAINING instance with such stops. An error withholds the stops that it concerns.
func (r *reconciliation) verifyDrained(
	ctx context.Context, stops []planner.Action,
) (permitted []planner.Action, err error) {
	instances := map[string]bool{}
	for _, a := range stops {
		if a.StopReason == planner.ReasonDraining {
			instances[a.Instance] = true
		}
	}
	if len(instances) == 0 {
		return stops, nil
	}
	ctx, cancel := context.WithTimeout(ctx, describeTimeout)
	defer cancel()
	planned := make(map[string]bool, len(r.planned)) // by task ARN
	for _, t := range r.planned {
		planned[t.ARN] = true
	}
	var calls errgroup.Group
	calls.SetLimit(maxConcurrentCalls)
	var mu sync.Mutex
	withheld, errs := map[string]bool{}, []error{}
	for instance := range instances {
		calls.Go(func() error {
			if err := r.verifyNoUnseen(ctx, instance, planned); err != nil {
				mu.Lock()
				defer mu.Unlock()
				withheld[instance] = true
				errs = append(errs, err)
			}
			return nil
		})
	}
	_ = calls.Wait() // errs has the errors
	return slices.DeleteFunc(slices.Clone(stops), func(a planner.Action) bool {
		return withheld[a.Instance] && a.StopReason == planner.ReasonDraining
	}), errors.Join(errs...)
}

// verifyNoUnseen returns an error unless every task that ECS lists on an instance is among those that the plan knew.
func (r *reconciliation) verifyNoUnseen(ctx context.Context, instance string, planned map[string]bool) error {
	arns, err := r.ECS.ListTasks(ctx, &ecs.ListTasksInput{Cluster: &r.env.Cluster, ContainerInstance: &instance})
	if ecserrors.IsRejected(err) {
		return nil // ECS no longer knows the instance, so nothing runs there
	}
	if err != nil {
		return fmt.Errorf("list tasks of draining instance %s: %w", instance, err)
	}
	for _, arn := range arns {
		if !planned[arn] {
			return fmt.Errorf("stop tasks of draining instance %s: %w", instance, errUnseenTasks)
		}
	}
	return nil
}

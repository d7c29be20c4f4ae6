package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/blox/blox/daemon-scheduler/planner"
)

const describeTimeout = 15 * time.Second // of the DescribeTasks calls of one verification

// errUnconfirmed means that tasks to keep are not live for ECS, or that ECS does not show them yet.
var errUnconfirmed = errors.New("ECS does not confirm that the tasks to keep are live")

// keptTasks are the ARNs of the tasks on one instance because of which others are stopped there.
type keptTasks struct {
	tasks      []string
	duplicates []string // the tasks to stop as duplicates
}

// verifyKept returns the stops that may go out.
//
// The cluster state may show phantoms, tasks that ECS does not know: an old event was replayed, or etcd was restored. A
// task is therefore stopped because of others on its instance, as a duplicate or as superseded, only if ECS confirms
// that the others are live. verifyKept has the phantoms that it finds left out of the cluster state, for the next plan.
// A superseded task that leaves nothing makes room for a start, see verifyCounted. Other stops need no confirmation.
//
// It calls ECS only if such stops are planned, for about a hundred tasks in a call, and until as many stops may go out
// as one reconciliation executes. An error withholds the stops that need confirmation.
func (r *reconciliation) verifyKept(
	ctx context.Context, stops []planner.Action,
) (permitted []planner.Action, err error) {
	ctx, cancel := context.WithTimeout(ctx, describeTimeout)
	defer cancel()
	unconfirmed := 0 // instances
	for len(stops) > 0 && len(permitted) < maxActionsPerReconciliation {
		var group []planner.Action
		group, stops = cutStops(stops, maxActionsPerReconciliation)
		byInstance := keptByInstance(group)
		var missing map[string]bool
		if err == nil { // after an error, another call would probably fail as well
			missing, err = r.describeKept(ctx, byInstance)
		}
		passed, waiting := r.confirmedStops(group, byInstance, missing)
		permitted = append(permitted, passed...)
		unconfirmed += waiting
	}
	if unconfirmed > 0 && err == nil {
		err = fmt.Errorf("stop tasks of %d instances: %w", unconfirmed, errUnconfirmed)
	}
	return permitted, err
}

// cutStops splits stops, which are ordered by instance, after the n-th or later, between two instances.
func cutStops(stops []planner.Action, n int) (first, rest []planner.Action) {
	n = min(n, len(stops))
	for n < len(stops) && stops[n].Instance == stops[n-1].Instance {
		n++
	}
	return stops[:n], stops[n:]
}

// confirmedStops returns the stops that may go out, and how many instances wait for ECS's confirmation. It has phantoms
// among the missing tasks ignored.
func (r *reconciliation) confirmedStops(
	stops []planner.Action, byInstance map[string]keptTasks, missing map[string]bool,
) (permitted []planner.Action, unconfirmed int) {
	phantoms := r.phantomsOf(missing)
	r.ignorePhantoms(phantoms)
	withheld := map[string]bool{} // by instance ARN
	for _, t := range phantoms {
		withheld[t.Instance] = true
	}
	for instance, kept := range byInstance {
		if !withheld[instance] && !r.confirmed.allKept(kept.tasks, time.Now()) {
			withheld[instance] = true
			unconfirmed++
		}
	}
	return slices.DeleteFunc(slices.Clone(stops), func(a planner.Action) bool {
		return withheld[a.Instance] && len(a.Kept) > 0
	}), unconfirmed
}

// keptByInstance returns, by instance ARN, the tasks because of which others are to be stopped.
func keptByInstance(stops []planner.Action) map[string]keptTasks {
	byInstance := map[string]keptTasks{}
	for _, a := range stops {
		if len(a.Kept) == 0 {
			continue
		}
		kept := byInstance[a.Instance]
		kept.tasks = a.Kept
		if a.StopReason == planner.ReasonDuplicate {
			kept.duplicates = append(kept.duplicates, a.Task)
		}
		byInstance[a.Instance] = kept
	}
	return byInstance
}

// describeKept describes the tasks to keep that ECS has not confirmed recently, and the duplicates beside them, which
// may be phantoms as well. It records those that are live as confirmed and returns the ARNs that ECS does not know.
func (r *reconciliation) describeKept(
	ctx context.Context, byInstance map[string]keptTasks,
) (missing map[string]bool, err error) {
	var arns []string
	for _, kept := range byInstance {
		if !r.confirmed.allKept(kept.tasks, time.Now()) {
			arns = append(arns, kept.tasks...)
			arns = append(arns, kept.duplicates...)
		}
	}
	if len(arns) == 0 {
		return nil, nil
	}
	at := time.Now()
	tasks, missing, err := r.ECS.DescribeTasks(ctx, r.env.Cluster, arns)
	if err != nil {
		return nil, fmt.Errorf("verify %d tasks to keep: %w", len(arns), err)
	}
	r.confirmed.add(tasks, at)
	return missing, nil
}

package engine

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/blox/blox/daemon-scheduler/ecsapi"
	"github.com/blox/blox/daemon-scheduler/environment"
	"github.com/blox/blox/daemon-scheduler/planner"
)

const (
	describeTimeout  = 15 * time.Second // of the DescribeTasks calls of one reconciliation
	confirmationLife = time.Minute      // how long a task counts as live after ECS described it so
	// phantomMinAge is the age from which on a task is a phantom if ECS reports it as MISSING: ECS is eventually
	// consistent. Source: "API eventual consistency" in the Amazon ECS API Reference.
	phantomMinAge = 5 * time.Minute

	phantomReason = "ECS does not know the task. It is ignored."
)

// errUnconfirmed means that tasks to keep are not live for ECS, or that ECS does not show them yet.
var errUnconfirmed = errors.New("ECS does not confirm that the tasks to keep are live")

// keptTasks are the tasks that remain on an instance after its planned stops.
type keptTasks struct {
	tasks      []environment.Task
	duplicates []string // ARNs of the tasks to stop as duplicates
}

// verifyKept returns the stops that may go out.
//
// The cluster state may show phantoms, tasks that ECS does not know: an old event was replayed, or etcd was restored. A
// task is therefore stopped as a duplicate or as superseded only if ECS confirms that the tasks that remain on its
// instance are live. A superseded task that leaves nothing makes room for a start and needs no confirmation, nor do
// stops for other reasons. verifyKept has the phantoms that it finds left out of the cluster state, for the next plan.
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
		byInstance := r.keptByInstance(group)
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
	phantoms := r.phantomsOf(missing, time.Now())
	r.ignorePhantoms(phantoms)
	withheld := map[string]bool{} // by instance ARN
	for _, t := range phantoms {
		withheld[t.Instance] = true
	}
	for instance, kept := range byInstance {
		if !withheld[instance] && !r.confirmed.all(kept.tasks, time.Now()) {
			withheld[instance] = true
			unconfirmed++
		}
	}
	return slices.DeleteFunc(slices.Clone(stops), func(a planner.Action) bool {
		return withheld[a.Instance] && needsConfirmation(a)
	}), unconfirmed
}

func needsConfirmation(a planner.Action) bool {
	return a.StopReason == planner.ReasonDuplicate || a.StopReason == planner.ReasonSuperseded
}

// keptByInstance returns, by instance ARN, the tasks that are to remain where a task is stopped because of them.
func (r *reconciliation) keptByInstance(stops []planner.Action) map[string]keptTasks {
	toStop, verified := map[string]bool{}, map[string]bool{} // by task ARN; by instance ARN
	byInstance := map[string]keptTasks{}
	for _, a := range stops {
		toStop[a.Task] = true
		verified[a.Instance] = verified[a.Instance] || needsConfirmation(a)
		if a.StopReason == planner.ReasonDuplicate {
			kept := byInstance[a.Instance]
			kept.duplicates = append(kept.duplicates, a.Task)
			byInstance[a.Instance] = kept
		}
	}
	if len(verified) == 0 {
		return nil
	}
	for _, t := range r.tasks {
		_, stopping := r.stopRequestedAt[t.ARN]
		if !verified[t.Instance] || toStop[t.ARN] || stopping || t.Stopping() || !t.Live() {
			continue
		}
		kept := byInstance[t.Instance]
		kept.tasks = append(kept.tasks, t)
		byInstance[t.Instance] = kept
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
		if r.confirmed.all(kept.tasks, time.Now()) {
			continue
		}
		for _, t := range kept.tasks {
			arns = append(arns, t.ARN)
		}
		arns = append(arns, kept.duplicates...)
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

// phantomsOf returns the environment's tasks among the missing ones, without those that ECS may not show yet.
func (r *reconciliation) phantomsOf(missing map[string]bool, now time.Time) (phantoms []environment.Task) {
	if len(missing) == 0 {
		return nil
	}
	for _, t := range r.tasks {
		if missing[t.ARN] && !r.isYoung(t, now) {
			phantoms = append(phantoms, t)
		}
	}
	return phantoms
}

// isYoung reports whether the task may have been started so recently that ECS does not show it yet.
func (r *reconciliation) isYoung(t environment.Task, now time.Time) bool {
	l := r.launches[t.Instance]
	launched := l.State == environment.LaunchOpen && l.Deployment == t.StartedBy ||
		l.State == environment.LaunchStarted && l.Task == t.ARN
	return launched && now.Before(l.NotAfter.Add(phantomMinAge)) || now.Before(t.CreatedAt.Add(phantomMinAge))
}

// ignorePhantoms has tasks left out of the cluster state, and reports them.
func (r *reconciliation) ignorePhantoms(phantoms []environment.Task) {
	arns := make([]string, 0, len(phantoms))
	for _, t := range phantoms {
		arns = append(arns, t.ARN)
		r.metrics.phantoms.Inc()
		r.log.WithFields(logrus.Fields{
			"instance": t.Instance, "task": t.ARN, "startedBy": t.StartedBy,
		}).Warn("phantom task ignored, because ECS does not know it")
		r.recordEvent(environment.Event{
			Action: environment.EventPhantomTaskIgnored, Deployment: t.StartedBy, Reason: phantomReason, Count: 1,
			Instances: []environment.EventInstance{{Instance: t.Instance, Task: t.ARN}},
		})
	}
	r.Cluster.IgnoreTasks(arns)
}

// ignoreIfMissing reports whether ECS rejected the stop of a phantom, which is ignored from now on.
func (r *reconciliation) ignoreIfMissing(ctx context.Context, a planner.Action, outcome ecsapi.Outcome) bool {
	if outcome.Scope != ecsapi.ScopeInstance {
		return false
	}
	ctx, cancel := context.WithTimeout(ctx, describeTimeout)
	defer cancel()
	_, missing, err := r.ECS.DescribeTasks(ctx, r.env.Cluster, []string{a.Task})
	if err != nil {
		r.log.WithError(err).WithField("task", a.Task).Warn("failed to describe a task that ECS does not stop")
		return false
	}
	phantoms := r.phantomsOf(missing, time.Now())
	r.ignorePhantoms(phantoms)
	return len(phantoms) > 0
}

// confirmations hold when ECS last described tasks as live. They are safe for concurrent use.
type confirmations struct {
	mu sync.Mutex
	at map[string]time.Time // by task ARN
}

// add records the tasks that are live and not stopping, and forgets expired entries.
func (c *confirmations) add(described []environment.Task, at time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.at == nil {
		c.at = map[string]time.Time{}
	}
	maps.DeleteFunc(c.at, func(_ string, confirmed time.Time) bool { return at.Sub(confirmed) >= confirmationLife })
	for _, t := range described {
		if t.Live() && !t.Stopping() {
			c.at[t.ARN] = at
		}
	}
}

// all reports whether there are tasks and ECS has confirmed all of them recently.
func (c *confirmations) all(tasks []environment.Task, now time.Time) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(tasks) > 0 && !slices.ContainsFunc(tasks, func(t environment.Task) bool {
		at, ok := c.at[t.ARN]
		return !ok || now.Sub(at) >= confirmationLife
	})
}

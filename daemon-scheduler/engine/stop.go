package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/sirupsen/logrus"
	"golang.org/x/sync/errgroup"

	"github.com/blox/blox/daemon-scheduler/environment"
	"github.com/blox/blox/daemon-scheduler/planner"
	"github.com/blox/blox/daemon-scheduler/store"
	"github.com/blox/blox/internal/ecserrors"
	"github.com/blox/blox/internal/ratelimit"
)

const (
	stopTimeout               = 15 * time.Second // of one StopTask with its retries
	minStopsPerReconciliation = 10               // more only while the limiter has tokens left
)

// stop executes stops. StopTask is idempotent, so it needs no announcement, but a stop that makes room for a start is
// the first half of that start: the replacement is recorded first. It survives a failover then, and a leader that
// cannot write to etcd stops nothing that it could not replace.
func (r *reconciliation) stop(ctx context.Context, stops []planner.Action) error {
	if r.isOutdated() {
		return nil // another reconciliation follows, and no record of this plan may outlive it
	}
	stops = stops[:min(len(stops), maxStops(r.ECS.Limits.Modifications))]
	unrecorded := r.recordReplacements(ctx, stops)
	if unrecorded != nil {
		stops = slices.DeleteFunc(slices.Clone(stops), r.needsRecord)
	}
	return errors.Join(unrecorded, r.stopTasks(ctx, stops))
}

// needsRecord reports whether the stop's replacement is to be recorded first.
func (r *reconciliation) needsRecord(a planner.Action) bool {
	last := r.launches[a.Instance]
	recorded := last.State == environment.LaunchReplacing && last.Task == a.Task && last.Deployment == a.Launch.Deployment
	return a.Launch.Instance != "" && !recorded
}

// recordReplacements writes the launches for which stops make room.
func (r *reconciliation) recordReplacements(ctx context.Context, stops []planner.Action) error {
	var replacements []environment.Launch
	for _, a := range stops {
		if r.needsRecord(a) {
			a.Launch.NotAfter = time.Now().Add(environment.LaunchWindow).UTC().Round(0)
			replacements = append(replacements, a.Launch)
		}
	}
	if err := r.commitLaunches(ctx, store.Changes{Put: replacements}); err != nil {
		return fmt.Errorf("record %d replacements: %w", len(replacements), err)
	}
	return nil
}

func (r *reconciliation) stopTasks(ctx context.Context, stops []planner.Action) error {
	if len(stops) > 0 && r.conditions.has(r.env.Name, callConditions...) {
		if err := r.stopTask(ctx, stops[0]); err != nil {
			return err // the others would fail as well
		}
		stops = stops[1:]
	}
	var calls errgroup.Group
	calls.SetLimit(maxConcurrentCalls)
	for _, a := range stops {
		calls.Go(func() error { return r.stopTask(ctx, a) })
	}
	return calls.Wait()
}

// maxStops returns how many tasks one reconciliation may stop. Each stop is a call of its own, and a reconciliation
// that waits for tokens delays the environment's starts and other environments.
func maxStops(limiter *ratelimit.Limiter) int {
	return max(limiter.Available(maxActionsPerReconciliation), minStopsPerReconciliation)
}

// stopPriority is that of starts if the stop makes room for one, and below all others if the task is surplus.
func stopPriority(a planner.Action) ratelimit.Priority {
	if a.MakesRoom() {
		return ratelimit.High
	}
	return ratelimit.Low
}

func (r *reconciliation) stopTask(ctx context.Context, a planner.Action) error {
	ctx = ratelimit.WithPriority(ctx, stopPriority(a))
	if err := r.ECS.Limits.Modifications.Wait(ctx, stopPriority(a)); err != nil {
		return fmt.Errorf("wait for a StopTask: %w", err)
	}
	if r.isOutdated() || r.callFailed.Load() {
		return nil // another reconciliation follows
	}
	if err := checkFence(ctx, r.leader.Term, time.Now().Add(stopTimeout)); err != nil {
		return fmt.Errorf("StopTask: %w", err)
	}
	log := r.log.WithFields(logrus.Fields{"instance": a.Instance, "task": a.Task, "reason": a.Reason})
	log.Log(r.requestLevel(), "task stop requested")
	callCtx, cancel := context.WithTimeout(ctx, stopTimeout)
	defer cancel()
	outcome := r.ECS.StopTask(callCtx, &ecs.StopTaskInput{Cluster: &r.env.Cluster, Task: &a.Task, Reason: &a.Reason})
	r.metrics.countStop(a.StopReason, outcome)
	if outcome.Class != ecserrors.NotSent {
		// The cluster state shows the stop soon. If it does not, the planner repeats the request later.
		r.leader.recordStopRequest(r.env.Name, a.Task, outcome.Class)
	}
	event := environment.Event{
		Action: environment.EventTaskStopped, Deployment: r.startedBy(a.Task), Reason: a.Reason, Count: 1,
		Instances: []environment.EventInstance{{Instance: a.Instance, Task: a.Task}},
	}
	if a.StopReason == planner.ReasonUnhealthy {
		event.Detail = a.Launch.Detail // names the containers
	}
	switch outcome.Class {
	case ecserrors.Succeeded:
		r.callFailures.Succeeded()
		r.conditions.clear(r.env.Name, environment.ConditionTaskStopFailed)
	case ecserrors.Rejected:
		if r.ignoreIfMissing(ctx, a, outcome) {
			return nil
		}
		log.WithError(outcome.Err).WithField("code", outcome.Code).Warn("failed to stop task")
		r.conditions.set(r.env.Name, environment.ConditionTaskStopFailed, outcome)
		event.Action, event.Reason, event.Detail = environment.EventTaskStopFailed, outcome.Code, outcome.Message
	default:
		r.callFailed.Store(true)
		return fmt.Errorf("StopTask: %w", outcome.Err)
	}
	r.recordEvent(event)
	return nil
}

// awaitsStop reports whether a task is to stop, or a recent call has requested so.
func (r *reconciliation) awaitsStop(plan planner.Plan) bool {
	requested := func(t environment.Task) bool {
		_, ok := r.stopRequestedAt[t.ARN]
		return ok && t.Live()
	}
	stops := func(a planner.Action) bool { return a.Kind == planner.Stop }
	return slices.ContainsFunc(r.tasks, requested) || slices.ContainsFunc(plan.Actions, stops)
}

// startedBy returns the id of the deployment that started a task; empty if the cluster state does not show the task.
func (r *reconciliation) startedBy(task string) string {
	for _, t := range r.tasks {
		if t.ARN == task {
			return t.StartedBy
		}
	}
	return ""
}

package engine

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync/atomic"
	"time"

	"github.com/sirupsen/logrus"
	"golang.org/x/sync/errgroup"

	"github.com/blox/blox/daemon-scheduler/cache"
	"github.com/blox/blox/daemon-scheduler/clusterstate"
	"github.com/blox/blox/daemon-scheduler/ecsapi"
	"github.com/blox/blox/daemon-scheduler/environment"
	"github.com/blox/blox/daemon-scheduler/planner"
	"github.com/blox/blox/daemon-scheduler/store"
)

// reconciliation executes one plan for one environment.
type reconciliation struct {
	*Engine
	ECS      *ecsapi.Client // for calls that concern the environment
	leader   *leaderState
	env      environment.Environment
	launches map[string]environment.Launch // by instance ARN, as the cache holds them
	tasks    []environment.Task            // of the environment, as the cluster state shows them
	planned  []environment.Task            // all tasks that the plan knew: these, and others on DRAINING instances
	log      logrus.FieldLogger
	revision int64 // of the environment's record as planned with, or as this reconciliation has written it
	// stopRequestedAt has the recent calls of StopTask, as the plan knows them, by task ARN.
	stopRequestedAt map[string]time.Time
	recorded        bool // the environment's record was written: the next plan may differ, in its numbers at least
	learned         bool // env has health checks or states of alarms that its record does not have yet
	// callFailed is set once a call failed because of the scheduler or ECS itself: other calls would fail as well.
	callFailed *atomic.Bool
}

// result says when to reconcile again.
type result struct {
	requeueAt time.Time // zero: not before something changes
	again     bool      // the plan had actions, or changed the environment's record; the next plan sees the effects
	planTime  time.Duration
}

// reconcile plans for one environment and executes the plan.
func (e *Engine) reconcile(ctx context.Context, leader *leaderState, name string) (result, error) {
	env, launches, err := e.Cache.Environment(name)
	if errors.Is(err, environment.ErrNotFound) {
		requeueAt, err := e.forget(ctx, leader, name, launches)
		return result{requeueAt: requeueAt}, err
	}
	if err != nil {
		return result{}, err
	}
	e.metrics.deployments.observe(leader.deployments.update(env))
	env, learned, err := e.withHealthChecks(ctx, leader, env)
	if err != nil {
		return result{}, err
	}
	now := time.Now()
	env, alarms, checked := e.withAlarms(leader, env, now)
	launches = leader.correctSkew(name, launches, now)
	state, tasks := BuildState(e.Cache, e.Cluster, env)
	state.Fresh, state.Now = e.Cluster.FreshIn(env.Cluster, now), now
	e.observeUnhealthy(name, tasks, state.Fresh)
	state.Launches, state.StartConfirmTimeout, state.Alarms = launches, e.StartConfirmTimeout, alarms
	state.FirstSeenAt, state.Step = leader.firstSeen(name, launches, now), leader.stepTimer(env)
	leader.agents.Observe(env.Cluster, state.Instances, now)
	state.DisconnectedSince = leader.agents.DisconnectedSince(env.Cluster)
	state.PendingFor = e.Cluster.PendingFor(tasks, now)
	state.Availability, state.BakedFor = leader.availability.Observe(env, tasks, now), leader.bakedFor(env, now)
	state.StopRequestedAt, state.ImprovedAt = leader.recentStopRequests(name, now), leader.improvements(launches)
	var unconfirmedUntil time.Time
	state.Unconfirmed, unconfirmedUntil = leader.unconfirmed(name, now)
	describeAt := e.learnDaemonGroups(ctx, leader, name, &state)
	plan := planner.Make(state)
	leader.recordStep(env, plan.Progress.Step, now)
	done := result{planTime: time.Since(now)}
	e.metrics.planDuration.Observe(done.planTime.Seconds())
	r := &reconciliation{
		Engine: e, ECS: e.ecsOf(env), leader: leader, env: env, launches: launches, tasks: tasks, planned: state.Tasks,
		revision:   env.StoredVersion,
		log:        e.Log.WithFields(logrus.Fields{"environment": name, "deployment": plan.Deployment}),
		callFailed: new(atomic.Bool), stopRequestedAt: state.StopRequestedAt, learned: learned || checked,
	}
	if plan.DeletionComplete {
		found, err := r.deleteEnvironment(ctx)
		return result{again: found, planTime: done.planTime}, r.deleteWithoutCluster(ctx, state.Fresh, err)
	}
	if !r.awaitsStop(plan) {
		e.conditions.clear(name, environment.ConditionTaskStopFailed)
	}
	var retryAt time.Time
	plan.Actions, retryAt = r.permit(plan, now)
	for _, at := range []time.Time{plan.RequeueAt, retryAt, describeAt, unconfirmedUntil} {
		done.requeueAt = planner.Earliest(done.requeueAt, at)
	}
	executeErr := r.execute(ctx, plan, state.Fresh, now)
	again, takeoverErr := r.takeOver(ctx, plan, now)
	done.again = again || r.changes(plan)
	err = errors.Join(executeErr, takeoverErr)
	if env.IsDeleting() {
		err = r.deleteWithoutCluster(ctx, state.Fresh, err)
	}
	return done, err
}

// BuildState returns what the caches hold that a plan for the environment depends on; own are those of its tasks that
// the environment's deployments have started. It reads the tasks of others only where they matter: on DRAINING
// instances and, if the environment releases instances for scale-in, on all. Package status lists what it reads as the
// inputs of a summary.
func BuildState(
	records *cache.Cache, cluster clusterstate.Cluster, e environment.Environment,
) (s planner.State, own []environment.Task) {
	own = ownTasks(records, cluster, e)
	s = planner.State{Environment: e, Instances: cluster.Instances(e.Cluster), Tasks: slices.Clip(own)}
	releases := slices.ContainsFunc(e.SpecsInEffect(), func(s environment.Spec) bool { return s.ScaleInAfterMinutes > 0 })
	for _, i := range s.Instances {
		if i.Deregistered() || i.Status != "DRAINING" && !releases {
			continue
		}
		if s.DrainOrders == nil {
			s.DrainOrders = records.DrainOrders(e.Cluster)
			s.DaemonGroups = cluster.DaemonGroups(e.Cluster)
		}
		for _, t := range cluster.TasksOn(i.ARN) {
			if _, ours := e.Deployments[t.StartedBy]; !ours && t.Live() {
				s.Tasks = append(s.Tasks, t)
			}
		}
	}
	if e.Takeover.Moves() {
		s.ServiceTasks = serviceTasks(cluster, s.Instances, e.Takeover)
	}
	return s, own
}

// ownTasks returns the tasks that the environment's deployments have started, with what is known of their health.
func ownTasks(records *cache.Cache, cluster clusterstate.Cluster, e environment.Environment) []environment.Task {
	tasks := cluster.Tasks(e.Cluster, slices.Collect(maps.Keys(e.Deployments))...)
	if e.ChecksHealth() {
		e.ApplyHealth(tasks, records.TaskHealth(e.Name))
	}
	return tasks
}

// execute records the deployment's progress and carries out the plan's actions. Stops and starts go out together.
func (r *reconciliation) execute(ctx context.Context, plan planner.Plan, fresh bool, now time.Time) error {
	for _, w := range plan.Waits {
		r.log.WithFields(logrus.Fields{"instance": w.Instance, "reason": w.Reason}).Debug("instance waits")
	}
	var progressErr error
	if fresh { // an old cluster state says nothing new about gauges and progress
		r.metrics.environments.update(r.env, plan)
		if progressErr = r.recordProgress(ctx, plan, now); errors.Is(progressErr, environment.ErrConflict) {
			return progressErr // the environment has changed, so the plan is void
		}
	}
	actions := map[planner.ActionKind][]planner.Action{}
	for _, a := range plan.Actions {
		actions[a.Kind] = append(actions[a.Kind], a)
	}
	recordErr := r.recordLaunches(ctx, actions[planner.Record], actions[planner.Forget])
	confirmErr := r.confirm(ctx, actions[planner.Confirm])
	var calls errgroup.Group
	calls.Go(func() error {
		stops, unhealthyErr := r.verifyUnhealthy(ctx, actions[planner.Stop])
		stops, keptErr := r.verifyKept(ctx, stops)
		stops, countedErr := r.verifyCounted(ctx, stops, plan.Counted)
		stops, drainErr := r.verifyDrained(ctx, stops)
		return errors.Join(unhealthyErr, keptErr, countedErr, drainErr, r.stop(ctx, stops))
	})
	calls.Go(func() error { return r.start(ctx, actions[planner.Start]) })
	return errors.Join(progressErr, recordErr, confirmErr, calls.Wait())
}

// changes reports whether the plan, once executed, has changed what the next one depends on. The engine's own writes
// queue nothing, and the plan that completes a deployment counts tasks that the next one counts as available.
func (r *reconciliation) changes(plan planner.Plan) bool { return len(plan.Actions) > 0 || r.recorded }

// isOutdated reports whether the environment's record has changed since the plan was made. The rest of the plan is then
// void: the API has promised the change to a client.
func (r *reconciliation) isOutdated() bool {
	env, err := r.Cache.Record(r.env.Name)
	return err != nil || env.Incarnation != r.env.Incarnation || env.StoredVersion != r.revision
}

// recordProgress writes the deployment's progress to the environment's record if it has changed.
func (r *reconciliation) recordProgress(ctx context.Context, plan planner.Plan, now time.Time) error {
	next, changed := r.env.RecordProgress(plan.Deployment, plan.Progress, now)
	changed = changed || r.learned
	if plan.FailureReason != "" {
		var err error
		if next, err = r.failDeployment(ctx, next, plan, now); err != nil {
			return err
		}
		changed = true
	}
	if !changed {
		return nil
	}
	trimmed := next.TrimDeployments(r.DeploymentHistory, func(id string) bool { return plan.InUse[id] })
	revision, err := r.commitChanges(ctx, store.Changes{Environment: &trimmed})
	if err != nil {
		return fmt.Errorf("record progress: %w", err)
	}
	r.revision, r.recorded = revision, true
	r.metrics.deployments.observe(r.leader.deployments.update(next))
	r.queueReadinessOf(r.leader, r.env.Name) // another revision may be in effect
	d := next.Deployments[plan.Deployment]
	r.recordProgressEvents(r.env.Deployments[plan.Deployment], d, next)
	r.log.WithFields(logrus.Fields{
		"status": d.Status.String(), "health": d.Health.String(), "failed": len(plan.Failed),
	}).Info("deployment progressed")
	return nil
}

// forget removes the memory of a deleted environment, and its launch records once no launch is open. It
// returns when to try again; zero if all is removed. Environments and launches reach the cache by separate watches, so
// a launch can precede its environment there: the commit fails then, and removes nothing.
func (e *Engine) forget(
	ctx context.Context, leader *leaderState, name string, launches map[string]environment.Launch,
) (requeueAt time.Time, err error) {
	e.metrics.environments.forget(name)
	e.conditions.forget(name)
	e.failures.Forget(name)
	leader.forget(name)
	leader.recordHealthChange(name)
	now := time.Now()
	for _, seen := range leader.firstSeen(name, launches, now) {
		due := seen.Add(environment.LaunchWindow + e.StartConfirmTimeout)
		if now.Before(due) && due.After(requeueAt) {
			requeueAt = due
		}
	}
	all := slices.Collect(maps.Values(launches))
	if !requeueAt.IsZero() || len(all) == 0 {
		return requeueAt, nil
	}
	r := &reconciliation{Engine: e, leader: leader, env: environment.Environment{Name: name}}
	return time.Time{}, r.commitLaunches(ctx, store.Changes{IsDeleted: true, Delete: all})
}

// recordLaunches executes the actions that change launch records alone.
func (r *reconciliation) recordLaunches(ctx context.Context, records, forgets []planner.Action) error {
	var put, drop []environment.Launch
	for _, a := range records {
		r.log.WithFields(logrus.Fields{
			"instance": a.Instance, "task": a.Launch.Task, "reason": a.Reason, "state": string(a.Launch.State),
			"detail": a.Launch.Detail,
		}).Info("launch record updated")
		put = append(put, a.Launch)
	}
	for _, a := range forgets {
		drop = append(drop, a.Launch)
	}
	if err := r.commitLaunches(ctx, store.Changes{Put: put, Delete: drop}); err != nil {
		return err
	}
	for _, l := range put {
		r.recordTaskFailure(l)
	}
	return nil
}

// commitLaunches writes and removes the launch records of c, in as many transactions as that takes.
func (r *reconciliation) commitLaunches(ctx context.Context, c store.Changes) error {
	put, drop := c.Put, c.Delete
	for len(put)+len(drop) > 0 {
		c.Put, put = cut(put, maxLaunchesPerCommit)
		c.Delete, drop = cut(drop, maxLaunchesPerCommit-len(c.Put))
		if _, err := r.commitChanges(ctx, c); err != nil {
			return fmt.Errorf("write launch records: %w", err)
		}
	}
	return nil
}

// cut splits a list after n elements, or after all if it has fewer.
func cut(list []environment.Launch, n int) (first, rest []environment.Launch) {
	n = min(n, len(list))
	return list[:n], list[n:]
}

// commitChanges writes changes of the environment while it is the one that was planned for and this replica leads.
func (r *reconciliation) commitChanges(ctx context.Context, c store.Changes) (revision int64, err error) {
	ctx, cancel := context.WithTimeout(ctx, commitTimeout)
	defer cancel()
	c.Name, c.Incarnation = r.env.Name, r.env.Incarnation
	defer r.leader.recordHealthChange(c.Name) // own commits are not among the changes that the cache reports
	return r.Store.Commit(ctx, r.leader.Term, c)
}

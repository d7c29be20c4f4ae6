package engine

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/blox/blox/daemon-scheduler/ecsapi"
	"github.com/blox/blox/daemon-scheduler/environment"
	"github.com/blox/blox/internal/backoff"
)

// unsettledFor is how long the health of a task that is not HEALTHY is read as often as that of a rollout's tasks.
const unsettledFor = 10 * time.Minute

// healthReader reads the container health of tasks from ECS during one term, because events carry none. It reads tasks
// of rollouts often and others rarely, in calls for a hundred tasks, one call at a time in each account and region.
// Environments without health checks cost nothing. One goroutine uses it.
type healthReader struct {
	*Engine
	leader *leaderState
	// targets has the tasks to read, by environment. They are built anew only when the environment has changed.
	targets map[string]healthTargets
	tasks   map[string]readTask // by ARN
	stale   map[string]bool     // environments that have changed since their targets were built
}

// healthTargets are the RUNNING tasks of one environment whose health is to be read.
type healthTargets struct {
	cluster string // ARN
	tasks   []healthTarget
}

// readTask is what the reader remembers of a task.
type readTask struct {
	readAt    time.Time // zero before the first time
	changedAt time.Time // when it was first seen, or its health last changed
}

// healthTarget is a RUNNING task whose health is to be read.
type healthTarget struct {
	environment.Task
	environment string   // its name
	containers  []string // that count
	inRollout   bool     // it is of the deployment in progress, and its instance has not settled
}

func newHealthReader(e *Engine, leader *leaderState) *healthReader {
	return &healthReader{
		Engine: e, leader: leader, targets: map[string]healthTargets{}, tasks: map[string]readTask{},
		stale: map[string]bool{},
	}
}

// run reads until ctx ends. It returns environment.ErrNotLeader if another replica leads.
func (r *healthReader) run(ctx context.Context) error {
	for backoff.Sleep(ctx, r.RolloutHealthInterval) {
		err := r.read(ctx)
		switch {
		case errors.Is(err, environment.ErrNotLeader):
			return err
		case err == nil:
			r.healthLog.Succeeded()
		case ctx.Err() == nil && !errors.Is(err, environment.ErrConflict):
			r.healthLog.Failed(err)
		}
	}
	return nil
}

// read reads the health of the tasks for which that is due, and records what has changed.
func (r *healthReader) read(ctx context.Context) error {
	now := time.Now()
	if !r.Cluster.Fresh(now) {
		return nil
	}
	failures := []error{r.followChanges(ctx, now)}
	byCluster := map[string][]healthTargets{}
	for _, t := range r.targets {
		byCluster[t.cluster] = append(byCluster[t.cluster], t)
	}
	due := map[string][]healthTarget{}
	for clusterARN, targets := range byCluster {
		due[clusterARN] = r.due(targets, now)
	}
	var mu sync.Mutex
	var readings []healthReading
	failures = append(failures, forEach(byPlace(due), func(_ string, due map[string][]healthTarget) error {
		for clusterARN, targets := range due {
			read, err := r.readCluster(ctx, clusterARN, targets)
			mu.Lock()
			readings = append(readings, read...)
			mu.Unlock()
			if err != nil {
				return err
			}
		}
		return nil
	}))
	for _, reading := range readings {
		failures = append(failures, r.record(ctx, reading))
	}
	return errors.Join(failures...)
}

// followChanges updates the targets of the environments that have changed since, and removes the records of their tasks
// that no longer run. At rest, it does nothing.
func (r *healthReader) followChanges(ctx context.Context, now time.Time) (err error) {
	for name := range r.leader.takeHealthChanges() {
		r.stale[name] = true
	}
	if len(r.stale) == 0 {
		return nil
	}
	for name := range r.stale {
		r.updateTargets(name, now)
		if failure := r.forgetStopped(ctx, name); failure != nil {
			err = failure
			continue // and it is stale still
		}
		delete(r.stale, name)
	}
	running := map[string]bool{}
	for _, targets := range r.targets {
		for _, t := range targets.tasks {
			running[t.ARN] = true
		}
	}
	maps.DeleteFunc(r.tasks, func(arn string, _ readTask) bool { return !running[arn] })
	return err
}

// updateTargets replaces the targets of one environment by its RUNNING tasks with health checks.
func (r *healthReader) updateTargets(name string, now time.Time) {
	delete(r.targets, name)
	env, launches, err := r.Cache.Environment(name)
	if err != nil || !env.ChecksHealth() {
		return
	}
	inProgress, rollsOut := env.InProgress()
	targets := healthTargets{cluster: env.Cluster}
	for _, t := range ownTasks(r.Cache, r.Cluster, env) {
		if !t.HealthChecked || !t.Running() {
			continue
		}
		if _, seen := r.tasks[t.ARN]; !seen {
			r.tasks[t.ARN] = readTask{changedAt: now}
		}
		settled := launches[t.Instance].Settled == environment.Settled{Deployment: inProgress.ID, Task: t.ARN}
		targets.tasks = append(targets.tasks, healthTarget{
			Task: t, environment: name, containers: env.Deployments[t.StartedBy].CheckedContainers,
			inRollout: rollsOut && t.StartedBy == inProgress.ID && !settled,
		})
	}
	if len(targets.tasks) > 0 {
		r.targets[name] = targets
	}
}

// isReadOften reports whether the health of a task is read as often as that of a rollout's tasks.
func (r *healthReader) isReadOften(t healthTarget, now time.Time) bool {
	unsettled := t.Health != environment.HealthHealthy && now.Sub(r.tasks[t.ARN].changedAt) < unsettledFor
	return t.inRollout || unsettled
}

// due returns the tasks of one cluster to read now: all that are to be read often and, of the others, those that were
// read longest ago, as far as the calls go. These spread the reads of a big cluster over the interval.
func (r *healthReader) due(targets []healthTargets, now time.Time) []healthTarget {
	interval := max(r.HealthInterval, r.RolloutHealthInterval)
	rounds := int(interval / r.RolloutHealthInterval)
	readAt := func(t healthTarget) time.Time { return r.tasks[t.ARN].readAt }
	var often, rarely []healthTarget
	count := 0
	for n := range targets {
		count += len(targets[n].tasks)
		for _, t := range targets[n].tasks {
			switch {
			case r.isReadOften(t, now):
				often = append(often, t)
			case now.Sub(readAt(t)) >= interval:
				rarely = append(rarely, t)
			}
		}
	}
	slices.SortFunc(rarely, func(a, b healthTarget) int {
		return cmp.Or(readAt(a).Compare(readAt(b)), cmp.Compare(a.ARN, b.ARN))
	})
	calls := 1 + 2*count/(ecsapi.MaxTasksPerDescribe*rounds)
	return append(often, rarely[:min(len(rarely), calls*ecsapi.MaxTasksPerDescribe)]...)
}

// healthReading is the health of some tasks as ECS reported it.
type healthReading struct {
	targets []healthTarget
	at      time.Time
	results map[string]map[string]environment.HealthStatus // by task ARN and container
}

// readCluster reads the health of tasks of one cluster. With an error, it returns what it has read before.
func (r *healthReader) readCluster(
	ctx context.Context, clusterARN string, targets []healthTarget,
) (readings []healthReading, err error) {
	for chunk := range slices.Chunk(targets, ecsapi.MaxTasksPerDescribe) {
		var arns []string
		for _, t := range chunk {
			arns = append(arns, t.ARN)
		}
		callCtx, cancel := context.WithTimeout(ctx, describeTimeout)
		at := time.Now()
		results, err := r.ecsIn(clusterARN).ContainerHealth(callCtx, clusterARN, arns)
		cancel()
		if err != nil {
			return readings, fmt.Errorf("describe %d tasks of %s: %w", len(arns), clusterARN, err)
		}
		readings = append(readings, healthReading{chunk, at, results})
	}
	return readings, nil
}

// record records what has changed in a reading.
func (r *healthReader) record(ctx context.Context, reading healthReading) error {
	changed := map[string][]environment.TaskHealth{} // by environment
	for _, t := range reading.targets {
		seen := r.tasks[t.ARN]
		seen.readAt = reading.at
		containers, described := reading.results[t.ARN]
		health := environment.NewTaskHealth(t.ARN, t.containers, containers)
		// UNKNOWN says nothing new: ECS reports it while an agent is disconnected.
		if described && health.Status != environment.HealthUnknown && health.Status != t.Health {
			seen.changedAt = reading.at
			changed[t.environment] = append(changed[t.environment], health)
		}
		r.tasks[t.ARN] = seen
	}
	for name, health := range changed {
		if err := r.commitHealth(ctx, r.leader, name, health, nil); err != nil {
			return err
		}
	}
	return nil
}

// forgetStopped removes the records of an environment's tasks that no longer run; all records if it was deleted.
func (r *healthReader) forgetStopped(ctx context.Context, name string) error {
	known := r.Cache.TaskHealth(name)
	if len(known) == 0 {
		return nil
	}
	env, err := r.Cache.Record(name)
	if err != nil && !errors.Is(err, environment.ErrNotFound) {
		return nil // the record is malformed
	}
	live := map[string]bool{}
	for _, t := range r.Cluster.Tasks(env.Cluster, slices.Collect(maps.Keys(env.Deployments))...) {
		live[t.ARN] = t.Live()
	}
	var stopped []environment.TaskHealth
	for arn, health := range known {
		if !live[arn] {
			stopped = append(stopped, health)
		}
	}
	for batch := range slices.Chunk(stopped, maxLaunchesPerCommit) {
		if err := r.commitHealth(ctx, r.leader, name, nil, batch); err != nil {
			return err
		}
	}
	return nil
}

// commitHealth records and removes the health of at most a hundred tasks, and queues their environment.
func (e *Engine) commitHealth(
	ctx context.Context, leader *leaderState, name string, put, remove []environment.TaskHealth,
) error {
	known := e.Cache.TaskHealth(name)
	for n := range put {
		put[n].StoredVersion = known[put[n].Task].StoredVersion
		if put[n].Status == environment.HealthUnhealthy {
			e.Log.WithField("environment", name).WithField("task", put[n].Task).WithField("reason", put[n].Reason).
				Warn("task became UNHEALTHY")
		}
	}
	ctx, cancel := context.WithTimeout(ctx, commitTimeout)
	defer cancel()
	if _, err := e.Store.CommitHealth(ctx, leader.Term, name, put, remove); err != nil {
		return fmt.Errorf("record the health of %d tasks: %w", len(put)+len(remove), err)
	}
	e.EnvironmentChanged(name)
	return nil
}

package engine

import (
	"context"
	"slices"
	"time"

	"github.com/blox/blox/daemon-scheduler/environment"
)

// lookUpInterval is the time from a failed look-up of a completed deployment's health checks to the next one.
const lookUpInterval = time.Minute

// withHealthChecks returns the environment with the containers that have health checks, of the deployments that are
// current or have live tasks. Learned reports that its record lacks some of them. Without an answer of ECS, it returns
// an error for a deployment in progress: its tasks would count as available too early.
func (e *Engine) withHealthChecks(
	ctx context.Context, leader *leaderState, env environment.Environment,
) (next environment.Environment, learned bool, err error) {
	current, deployed := env.Current()
	if !deployed || env.IsDeleting() {
		return env, false, nil
	}
	next = env
	for id, d := range env.Deployments {
		inProgress := d.Status != environment.Completed
		if d.HealthChecksKnown || id != current.ID && !e.hasLiveTasks(env, id) || !inProgress && !leader.mayLookUp() {
			continue
		}
		containers, err := e.ecsOf(env).HealthChecks(ctx, d.TaskDefinition)
		switch {
		case err == nil:
			next = next.WithHealthChecks(id, containers)
			learned = true
		case inProgress:
			return env, false, err
		default:
			leader.lookUpLater()
			e.healthLog.Failed(err)
		}
	}
	return next, learned, nil
}

// hasLiveTasks reports whether a deployment of the environment has live tasks.
func (e *Engine) hasLiveTasks(env environment.Environment, id string) bool {
	return slices.ContainsFunc(e.Cluster.Tasks(env.Cluster, id), environment.Task.Live)
}

func (l *leaderState) mayLookUp() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return !time.Now().Before(l.lookUpAfter)
}

func (l *leaderState) lookUpLater() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lookUpAfter = time.Now().Add(lookUpInterval)
}

// recordHealthChange records that the tasks of an environment whose health is to be read may have changed.
func (l *leaderState) recordHealthChange(name string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.healthChanges[name] = true
}

// takeHealthChanges returns the environments that have changed since the last call.
func (l *leaderState) takeHealthChanges() map[string]bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	changes := l.healthChanges
	l.healthChanges = map[string]bool{}
	return changes
}

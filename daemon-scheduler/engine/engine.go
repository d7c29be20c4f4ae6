// Package engine drives environments to their desired state. It is level-triggered: for one environment at a time, the
// leader reads the whole present state, has the planner decide, and executes the plan.
package engine

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/sirupsen/logrus"
	"golang.org/x/sync/errgroup"

	"github.com/blox/blox/daemon-scheduler/cache"
	"github.com/blox/blox/daemon-scheduler/clusterstate"
	"github.com/blox/blox/daemon-scheduler/ecsapi"
	"github.com/blox/blox/daemon-scheduler/environment"
	"github.com/blox/blox/daemon-scheduler/store"
	"github.com/blox/blox/internal/backoff"
	"github.com/blox/blox/internal/logging"
)

// Config holds the engine's dependencies and settings.
type Config struct {
	Store   *store.Store
	Cache   *cache.Cache
	Cluster clusterstate.Cluster
	ECS     *ecsapi.Client
	Log     logrus.FieldLogger
	Metrics prometheus.Registerer
	// RecordEvent records a service event without blocking; nil records none.
	RecordEvent func(environment.Event)

	StartConfirmTimeout time.Duration // from a launch's NotAfter until ECS's answer about its task is final
	DeploymentHistory   int           // deployments kept of an environment
	Workers             int           // environments reconciled concurrently
}

const (
	commitTimeout               = 5 * time.Second
	maxConcurrentCalls          = 8   // of one environment, or of one cluster's readiness attributes
	maxActionsPerReconciliation = 100 // starts, stops or attributes; the next reconciliation follows at once
	maxLaunchesPerCommit        = store.MaxRecordsPerCommit
	syncPollInterval            = 50 * time.Millisecond
)

// Engine reconciles all environments while its replica leads.
type Engine struct {
	Config
	metrics      metrics
	joins        *joinTracker
	conditions   conditions
	confirmed    confirmations
	callFailures *logging.FailureLog // of calls that fail because of the scheduler or ECS itself

	mu     sync.Mutex
	leader *leaderState // nil while this replica does not lead
}

// New returns an Engine that does nothing until Run.
func New(cfg Config) *Engine {
	e := &Engine{
		Config: cfg, joins: newJoinTracker(),
		callFailures: logging.NewFailureLog(cfg.Log, "failed to call ECS; retrying", "ECS accepts calls again"),
	}
	e.metrics = newMetrics(e, cfg.Metrics)
	return e
}

// Run reconciles environments as the leader of term. It returns nil after ctx has ended, and environment.ErrNotLeader
// if another replica holds the election key, whatever the lease says.
func (e *Engine) Run(ctx context.Context, term store.Term) error {
	leader := newLeaderState(term)
	defer leader.close()
	e.setLeader(leader)
	defer e.setLeader(nil)
	for !e.Cache.Synced() {
		if !backoff.Sleep(ctx, syncPollInterval) {
			return nil
		}
	}
	for _, name := range e.Cache.Names() {
		e.EnvironmentChanged(name)
	}
	for _, clusterARN := range e.Cache.ClustersWithAttributes() {
		leader.readiness.Add(clusterARN)
	}
	workers, ctx := errgroup.WithContext(ctx)
	for range e.Workers {
		workers.Go(func() error {
			return work(ctx, leader.queue, func(name string) error { return e.reconcileOne(ctx, leader, name) })
		})
		workers.Go(func() error {
			return work(ctx, leader.readiness, func(arn string) error { return e.reconcileReadiness(ctx, leader, arn) })
		})
	}
	return workers.Wait()
}

// work reconciles what queue holds until ctx ends or another replica leads.
func work(ctx context.Context, queue *workqueue, reconcile func(name string) error) error {
	for {
		name, ok := queue.Next(ctx)
		if !ok {
			return nil
		}
		if err := reconcile(name); errors.Is(err, environment.ErrNotLeader) {
			return err
		}
	}
}

// setLeader begins a term, or ends it if leader is nil.
func (e *Engine) setLeader(leader *leaderState) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.leader = leader
	e.conditions.reset()
	e.metrics.setLeading(leader != nil)
}

// leading returns the state of the present term; nil while this replica does not lead.
func (e *Engine) leading() *leaderState {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.leader
}

// queueDepth returns how many environments wait to be reconciled.
func (e *Engine) queueDepth() int {
	if leader := e.leading(); leader != nil {
		return leader.queue.Len()
	}
	return 0
}

// reconcileOne reconciles one environment and schedules its next reconciliation.
func (e *Engine) reconcileOne(ctx context.Context, leader *leaderState, name string) error {
	start := time.Now()
	done, err := e.reconcile(ctx, leader, name)
	e.metrics.observeReconciliation(start, err)
	if err == nil {
		e.conditions.clear(name, callConditions...)
	} else if ctx.Err() == nil {
		e.recordFailure(name, err)
	}
	if done.again && err == nil {
		leader.queue.Add(name)
	}
	leader.queue.Done(name, done.requeueAt, err != nil, done.planTime)
	return err
}

// recordFailure records why the reconciliation of an environment failed. Credentials, throttling and outages of ECS
// concern all environments, so one log keeps count of these failures.
func (e *Engine) recordFailure(name string, err error) {
	log := e.Log.WithField("environment", name)
	if outcome, general := e.logFailure(log, err, "failed to reconcile environment; retrying"); general {
		e.conditions.set(name, conditionOf(outcome), outcome)
	}
}

// logFailure logs why a reconciliation failed. General reports that a call failed with outcome because of the scheduler
// or ECS itself.
func (e *Engine) logFailure(
	log logrus.FieldLogger, err error, message string,
) (outcome ecsapi.Outcome, general bool) {
	outcome, called := ecsapi.OfError(err)
	switch {
	case errors.Is(err, environment.ErrConflict):
		log.WithError(err).Debug("records changed during the reconciliation; retrying")
	case called && outcome.Scope == ecsapi.ScopeCaller:
		e.callFailures.Failed(err)
		return outcome, true
	default:
		log.WithError(err).Warn(message)
	}
	return outcome, false
}

// EnvironmentChanged queues an environment whose record or launch records have changed.
func (e *Engine) EnvironmentChanged(name string) {
	leader := e.leading()
	if leader == nil {
		return
	}
	leader.queue.Add(name)
	e.queueReadinessOf(leader, name)
}

// TaskChanged queues the environment that started the task. Other tasks matter only to the environments that release
// instances for scale-in.
func (e *Engine) TaskChanged(clusterARN string, t environment.Task) {
	leader := e.leading()
	name, started := e.Cache.NameByDeployment(t.StartedBy)
	if started && t.Running() {
		if wait, known := e.joins.taskRunning(t.ARN); known {
			e.metrics.joinToRunning.Observe(wait.Seconds())
		}
	}
	if leader == nil {
		return
	}
	if !started {
		for _, name := range e.Cache.WithScaleInRelease(clusterARN) {
			leader.queue.Add(name)
		}
		return
	}
	leader.queue.Add(name)
	e.ReadinessChanged(clusterARN)
}

// InstanceChanged queues the environments to which the change matters.
func (e *Engine) InstanceChanged(c environment.InstanceChange) {
	leader := e.leading()
	if leader == nil {
		return
	}
	if c.Joined {
		e.joins.instanceJoined(c.Instance)
	}
	if c.Improved {
		leader.recordImproved(c.Instance)
		for _, name := range e.Cache.FailedOn(c.ClusterARN, c.Instance) {
			leader.queue.Add(name)
		}
	}
	if c.Changed {
		for _, name := range e.Cache.NamesInCluster(c.ClusterARN) {
			leader.queue.Add(name)
		}
		e.ReadinessChanged(c.ClusterARN)
	}
}

// ReadinessChanged queues a cluster for the reconciliation of its readiness attributes, if it uses any.
func (e *Engine) ReadinessChanged(clusterARN string) {
	if leader := e.leading(); leader != nil && e.Cache.UsesReadiness(clusterARN) {
		leader.readiness.Add(clusterARN)
	}
}

// queueReadinessOf queues the cluster of an environment, and the cluster that it belonged to at the last call.
func (e *Engine) queueReadinessOf(leader *leaderState, name string) {
	clusterARN, _ := e.Cache.ClusterOf(name)
	previous := leader.recordCluster(name, clusterARN)
	e.ReadinessChanged(clusterARN)
	if previous != clusterARN {
		e.ReadinessChanged(previous)
	}
}

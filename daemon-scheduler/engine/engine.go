// Package engine drives environments to their desired state. It is level-triggered: for one environment at a time, the
// leader reads the whole present state, has the planner decide, and executes the plan.
package engine

import (
	"cmp"
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
	"github.com/blox/blox/internal/ecserrors"
	"github.com/blox/blox/internal/logging"
)

// Config holds the engine's dependencies and settings.
type Config struct {
	Store   *store.Store
	Cache   *cache.Cache
	Cluster clusterstate.Cluster
	ECS     *ecsapi.Clients
	Log     logrus.FieldLogger
	Metrics prometheus.Registerer
	// RecordEvent records a service event without blocking; nil records none.
	RecordEvent func(environment.Event)

	StartConfirmTimeout time.Duration // from a launch's NotAfter until ECS's answer about its task is final
	DeploymentHistory   int           // deployments kept of an environment
	Workers             int           // environments reconciled concurrently
	AttributeInterval   time.Duration // between two comparisons of attributes with ECS; 0: none
	AlarmInterval       time.Duration // between two reads of the alarms of deployments in progress; 0: 15 s
	// Container health is read once in each of these intervals: of tasks at rest, and of those of rollouts. 0: a minute.
	HealthInterval, RolloutHealthInterval time.Duration
}

const (
	commitTimeout = 5 * time.Second
	// maxConcurrentCalls keeps the pace of ECS's token bucket of modifications, 40 calls a second, while ECS answers
	// within 0.8 s. It bounds the calls of one environment, or of one cluster's readiness attributes.
	maxConcurrentCalls          = 32
	maxActionsPerReconciliation = 100 // stops or attributes; the next reconciliation follows at once
	maxLaunchesPerCommit        = store.MaxRecordsPerCommit
	syncPollInterval            = 50 * time.Millisecond
	defaultHealthInterval       = time.Minute
)

// Engine reconciles all environments while its replica leads.
type Engine struct {
	Config
	metrics      metrics
	joins        *joinTracker
	conditions   conditions
	confirmed    confirmations
	failures     *logging.FailureLogs // of reconciliations, by environment
	callFailures *logging.FailureLog  // of calls that fail because of the scheduler or ECS itself
	listFailures *logging.FailureLog  // of comparisons of attributes with ECS
	healthLog    *logging.FailureLog  // of reads of container health
	alarmLog     *logging.FailureLog  // of reads of alarms
	roleLog      *logging.FailureLog  // of calls whose role cannot be assumed
	servicesLog  *logging.FailureLogs // of descriptions of ECS services, by cluster

	mu     sync.Mutex
	leader *leaderState // nil while this replica does not lead
}

// New returns an Engine that does nothing until Run.
func New(cfg Config) *Engine {
	cfg.AlarmInterval = cmp.Or(cfg.AlarmInterval, defaultAlarmInterval)
	cfg.HealthInterval = cmp.Or(cfg.HealthInterval, defaultHealthInterval)
	cfg.RolloutHealthInterval = cmp.Or(cfg.RolloutHealthInterval, defaultHealthInterval)
	e := &Engine{
		Config: cfg, joins: newJoinTracker(),
		failures: logging.NewFailureLogs(cfg.Log, "environment", "failed to reconcile environment; retrying",
			"resumed reconciling environment"),
		callFailures: logging.NewFailureLog(cfg.Log, "failed to call ECS; retrying", "resumed calling ECS"),
		listFailures: logging.NewFailureLog(cfg.Log, "failed to compare attributes with ECS; retrying",
			"resumed comparing attributes with ECS"),
		healthLog: logging.NewFailureLog(
			cfg.Log, "failed to read container health; retrying", "resumed reading container health"),
		roleLog:  logging.NewFailureLog(cfg.Log, "failed to assume role; retrying", "resumed assuming role"),
		alarmLog: logging.NewFailureLog(cfg.Log, "failed to read alarms; retrying", "resumed reading alarms"),
		servicesLog: logging.NewFailureLogs(cfg.Log, "cluster",
			"failed to describe services; their tasks count as workload", "resumed describing services"),
	}
	e.metrics = newMetrics(e, cfg.Metrics)
	return e
}

// Run reconciles environments as the leader of term. It returns nil after ctx has ended, and environment.ErrNotLeader
// if another replica holds the election key, whatever the lease says.
func (e *Engine) Run(ctx context.Context, term store.Term) error {
	leader := newLeaderState(term)
	defer leader.close()
	e.limitWorkers(leader)
	e.setLeader(leader)
	defer e.setLeader(nil)
	for !e.Cache.Synced() {
		if !backoff.Sleep(ctx, syncPollInterval) {
			return nil
		}
	}
	for _, name := range e.Cache.Names() {
		e.inheritConditions(name)
		e.EnvironmentChanged(name)
	}
	for _, name := range e.Cache.NamesWithHealth() { // of deleted environments, too
		leader.recordHealthChange(name)
	}
	for _, clusterARN := range e.Cache.ClustersWithAttributes() {
		leader.readiness.Add(clusterARN)
	}
	workers, ctx := errgroup.WithContext(ctx)
	workers.Go(func() error {
		return dispatch(ctx, workers, leader.queue, func(name string) error { return e.reconcileOne(ctx, leader, name) })
	})
	workers.Go(func() error {
		return dispatch(ctx, workers, leader.readiness,
			func(clusterARN string) error { return e.reconcileReadiness(ctx, leader, clusterARN) })
	})
	workers.Go(func() error { return e.followAttributes(ctx, leader) })
	workers.Go(func() error { return e.followAlarms(ctx, leader) })
	workers.Go(func() error { return newHealthReader(e, leader).run(ctx) })
	return workers.Wait()
}

// dispatch has workers reconcile what queue holds, as many as the queue has for each group, until ctx ends. A worker's
// error means that another replica leads.
func dispatch(ctx context.Context, workers *errgroup.Group, queue *workqueue, reconcile func(name string) error) error {
	for {
		name, ok := queue.Next(ctx)
		if !ok {
			return nil
		}
		workers.Go(func() error {
			if err := reconcile(name); errors.Is(err, environment.ErrNotLeader) {
				return err
			}
			return nil
		})
	}
}

// setLeader begins a term, or ends it if leader is nil.
func (e *Engine) setLeader(leader *leaderState) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.leader = leader
	if leader != nil {
		e.Cluster.SetLeaderAvailability(&leader.availability)
	} else {
		e.Cluster.SetLeaderAvailability(nil)
	}
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
		e.failures.Succeeded(name)
		e.conditions.clear(name, callConditions...)
	} else if ctx.Err() == nil {
		e.recordFailure(name, err)
	}
	if unstored := e.storeConditions(ctx, leader, name); unstored != nil {
		err = errors.Join(err, unstored)
		if ctx.Err() == nil {
			log := e.Log.WithField("environment", name)
			e.logFailure(log, unstored, warning(log, "failed to store conditions; retrying"))
		}
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
	outcome, general := e.logFailure(log, err, func(err error) { e.failures.Failed(name, err) })
	if general {
		e.conditions.set(name, conditionOf(outcome), outcome)
	}
}

// logFailure logs why a reconciliation failed. General reports that a call failed with outcome because of the scheduler
// or ECS itself; logOther logs any other failure.
func (e *Engine) logFailure(
	log logrus.FieldLogger, err error, logOther func(error),
) (outcome ecserrors.Outcome, general bool) {
	outcome, called := ecserrors.OfError(err)
	switch {
	case errors.Is(err, environment.ErrConflict):
		log.WithError(err).Debug("records changed during the reconciliation; retrying")
	case called && outcome.Role != "":
		e.roleLog.Failed(err)
		return outcome, true
	case called && outcome.Scope == ecserrors.ScopeCaller:
		e.callFailures.Failed(err)
		return outcome, true
	default:
		logOther(err)
	}
	return outcome, false
}

// warning returns a function that logs an error with message.
func warning(log logrus.FieldLogger, message string) func(error) {
	return func(err error) { log.WithError(err).Warn(message) }
}

// EnvironmentChanged queues an environment whose record or launch records have changed.
func (e *Engine) EnvironmentChanged(name string) {
	leader := e.leading()
	if leader == nil {
		return
	}
	leader.queue.Add(name)
	leader.recordHealthChange(name)
	e.queueReadinessOf(leader, name)
}

// TaskChanged queues the environment that started the task. Other tasks matter only to the environments that release
// instances for scale-in or take a service over.
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
		for _, name := range e.Cache.WithOthersTasks(clusterARN) {
			leader.queue.Add(name)
		}
		return
	}
	leader.queue.Add(name)
	leader.recordHealthChange(name)
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
	if !c.Changed {
		return
	}
	for _, clusterARN := range e.Cache.MatchingClusters(c.ClusterARN) {
		for _, name := range e.Cache.NamesInCluster(clusterARN) {
			leader.queue.Add(name)
		}
		e.ReadinessChanged(clusterARN)
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

// ecsOf returns the client for calls that concern an environment: of its role, and of its cluster's region.
func (e *Engine) ecsOf(env environment.Environment) *ecsapi.Client {
	if !env.Role().IsSet() {
		e.ECS.LearnAccount(env.Cluster)
	}
	return e.ECS.Of(callerOf(env))
}

// callerOf returns whose calls concern an environment.
func callerOf(env environment.Environment) ecsapi.Caller {
	return ecsapi.NewCaller(env.Role(), env.Cluster)
}

// ecsIn returns the client for calls that concern all environments of a cluster: that of the first by name with a role.
func (e *Engine) ecsIn(clusterARN string) *ecsapi.Client {
	for _, name := range e.Cache.NamesInCluster(clusterARN) {
		if env, err := e.Cache.Record(name); err == nil && env.Role().IsSet() {
			return e.ecsOf(env)
		}
	}
	return e.ECS.For(environment.Role{}, clusterARN)
}

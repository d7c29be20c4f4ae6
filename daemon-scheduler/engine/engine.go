// Package engine brings the world to what the environments want: it looks at the whole present state of one environment at
// a time, has the planner decide, and carries the plan out.
package engine

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/sirupsen/logrus"
	"golang.org/x/sync/errgroup"
	"golang.org/x/time/rate"

	"github.com/blox/blox/daemon-scheduler/environment"
	"github.com/blox/blox/daemon-scheduler/planner"
	"github.com/blox/blox/daemon-scheduler/store"
)

// Store is what the engine needs of a store.
type Store interface {
	Synced() bool
	Names() []string
	NamesOf(clusterARN string) []string
	NameOf(deployment string) (name string, ok bool)
	// FailedOn are the environments of a cluster whose last launch on the instance has failed.
	FailedOn(clusterARN, instance string) []string
	// WithScaleInRelease are the environments of a cluster that give instances up which have nothing but daemons.
	WithScaleInRelease(clusterARN string) []string
	// Daemons are the drain orders of a cluster's environments by the ids of their deployments.
	Daemons(clusterARN string) map[string]int
	Copied(name string) (environment.Environment, map[string]environment.Launch, error)
	// ClusterOf is an environment's cluster.
	ClusterOf(name string) (clusterARN string, ok bool)
	// UsesReadiness tells whether readiness attributes may be, or have been, set on instances of the cluster.
	UsesReadiness(clusterARN string) bool
	// ClustersWithAttributes are the clusters that there are marks of.
	ClustersWithAttributes() []string
	// ReadinessInputs are the environments of a cluster that name readiness attributes, and the marks on its instances.
	ReadinessInputs(clusterARN string) ([]environment.Environment, []environment.ReadinessAttribute)
	// Commit writes all of the changes or none of them; environment.ErrConflict and ErrDeposed mean none.
	Commit(ctx context.Context, term store.Term, c store.Changes) (revision int64, err error)
	// CommitAttributes is Commit for marks.
	CommitAttributes(ctx context.Context, term store.Term, put, drop []environment.ReadinessAttribute) (revision int64, err error)
}

// Cluster is what the engine sees of ECS's clusters; it may lag, and says so.
type Cluster interface {
	Fresh(now time.Time) bool
	Instances(clusterARN string) []environment.Instance
	Tasks(clusterARN string, startedBy ...string) []environment.Task
	TasksOn(instanceARN string) []environment.Task // of everyone
	ReconciledAt() time.Time                       // when cluster-state-service last reconciled with ECS
	DoubtedAt() time.Time                          // when the copy was last not what a stream of changes makes of it
}

// Config is what an Engine works with.
type Config struct {
	Store   Store
	Cluster Cluster
	ECS     ECS
	Log     logrus.FieldLogger
	Settle  time.Duration // after a launch's NotAfter, until ECS is believed about it
	History int           // deployments kept of an environment
	Workers int           // environments looked at at a time
	Changes *rate.Limiter // of StartTask, StopTask, PutAttributes and DeleteAttributes
	Reads   *rate.Limiter // of ListTasks and DescribeTasks
	Metrics prometheus.Registerer
	// Journal takes down what is done, for people to read, and does not wait; nil for none.
	Journal func(environment.Event)
}

const (
	commitTimeout = 5 * time.Second
	batch         = 10  // instances of one StartTask, attributes of one call; ECS takes no more
	atOnce        = 8   // calls under way for one environment, or for one cluster's attributes
	atMost        = 100 // starts, or attributes, of one look; the next look follows at once
	someStops     = 10  // of one look at least; more only while there are calls to spare
	syncWait      = 50 * time.Millisecond
)

// Engine acts for all environments while its replica leads.
type Engine struct {
	Config
	metrics  metrics
	arrivals *arrivals

	mu    sync.Mutex
	queue *queue                          // nil while another leads
	ready *queue                          // of clusters whose readiness attributes are looked at; nil while another leads
	term  *tenure                         // nil while another leads
	asked map[string]map[string]time.Time // environment to task to the last StopTask
}

// New only builds.
func New(cfg Config) *Engine {
	e := &Engine{Config: cfg, arrivals: newArrivals(), asked: map[string]map[string]time.Time{}}
	e.metrics = newMetrics(e, cfg.Metrics)
	return e
}

// Changed has an environment looked at, as its record or launches have changed.
func (e *Engine) Changed(name string) {
	e.add(name)
	e.moved(name)
}

// add has an environment looked at.
func (e *Engine) add(name string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.queue != nil {
		e.queue.Add(name)
	}
}

// Run acts as the leader of term until ctx ends, and then returns nil.
func (e *Engine) Run(ctx context.Context, term store.Term) error {
	q, ready := newQueue(), newQueue()
	defer q.Close()
	defer ready.Close()
	e.lead(q, ready, newTenure(term))
	defer e.lead(nil, nil, nil)
	for !e.Store.Synced() {
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(syncWait):
		}
	}
	for _, name := range e.Store.Names() {
		e.Changed(name)
	}
	for _, clusterARN := range e.Store.ClustersWithAttributes() {
		ready.Add(clusterARN)
	}
	workers, ctx := errgroup.WithContext(ctx)
	work := func(q *queue, look func(context.Context, *queue, string) error) func() error {
		return func() error {
			for {
				name, ok := q.Next(ctx)
				if !ok {
					return nil
				}
				if err := look(ctx, q, name); errors.Is(err, environment.ErrNotLeader) {
					return err // the election key is another's, whatever the lease says
				}
			}
		}
	}
	for range e.Workers {
		workers.Go(work(q, e.look))
		workers.Go(work(ready, e.lookAtReadiness))
	}
	return workers.Wait()
}

func (e *Engine) lead(q, ready *queue, t *tenure) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.queue, e.ready, e.term, e.asked = q, ready, t, map[string]map[string]time.Time{}
	e.metrics.led(t != nil)
}

// depth is how many environments wait to be looked at.
func (e *Engine) depth() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.queue == nil {
		return 0
	}
	return e.queue.Len()
}

// look reconciles one environment and decides when to look at it again.
func (e *Engine) look(ctx context.Context, q *queue, name string) error {
	began := time.Now()
	until, more, planned, err := e.reconcile(ctx, name)
	e.metrics.looked(began, err)
	if err != nil && ctx.Err() == nil {
		log := e.Log.WithError(err).WithField("environment", name)
		if errors.Is(err, environment.ErrConflict) {
			log.Debug("looking again")
		} else {
			log.Warn("not there yet")
		}
	}
	if more && err == nil {
		q.Add(name)
	}
	q.Done(name, until, err != nil, planned)
	return err
}

// reconcile plans and carries the plan out. The next look is due at until, unless that is zero, or at once when there
// is more to do.
func (e *Engine) reconcile(ctx context.Context, name string) (until time.Time, more bool, planned time.Duration, err error) {
	env, launches, err := e.Store.Copied(name)
	if errors.Is(err, environment.ErrNotFound) {
		until, err = e.forget(ctx, name, launches)
		return until, false, 0, err
	}
	if err != nil {
		return time.Time{}, false, 0, err
	}
	now := time.Now()
	fresh := e.Cluster.Fresh(now)
	s, tasks := Situation(e.Store, e.Cluster, env)
	s.Launches, s.Fresh, s.Now, s.StartConfirmTimeout = launches, fresh, now, e.Settle
	s.StopRequestedAt, s.ImprovedAt = e.stopped(name, now), e.term.betterFor(name, now)
	plan := planner.Make(s)
	planned = time.Since(now)
	e.metrics.planTime.Observe(planned.Seconds())
	log := e.Log.WithFields(logrus.Fields{"environment": name, "deployment": plan.Deployment})
	for _, w := range plan.Waits {
		log.WithFields(logrus.Fields{"instance": w.Instance, "reason": w.Reason}).Debug("wait")
	}
	w := &work{Engine: e, term: e.term.Term, env: env, launches: launches, tasks: tasks, log: log, revision: env.StoredVersion}
	if plan.DeletionComplete {
		more, err = w.vouch(ctx) // a task that the copy lacks is stopped first
		if !more && err == nil {
			err = w.remove(ctx)
		}
		return time.Time{}, more, planned, err
	}
	by := map[planner.ActionKind][]planner.Action{}
	for _, a := range plan.Actions {
		by[a.Kind] = append(by[a.Kind], a)
	}
	if fresh { // an old copy tells nothing new
		e.metrics.census(name, plan, tasks)
		if err = w.progress(ctx, plan, now); errors.Is(err, environment.ErrConflict) {
			return plan.RequeueAt, true, planned, err // the plan is void
		}
	}
	err = errors.Join(
		err,
		w.write(ctx, by[planner.Record], by[planner.Forget]),
		w.check(ctx, by[planner.Confirm]),
		w.both(
			func() error { return w.stop(ctx, by[planner.Stop]) },
			func() error { return w.start(ctx, by[planner.Start]) },
		),
	)
	return plan.RequeueAt, len(plan.Actions) > 0, planned, err
}

// forget removes what is known of an environment that is gone, and its launches once none is open.
func (e *Engine) forget(ctx context.Context, name string, launches map[string]environment.Launch) (until time.Time, err error) {
	e.metrics.forget(name)
	e.term.forget(name)
	e.mu.Lock()
	delete(e.asked, name)
	e.mu.Unlock()
	var all []environment.Launch
	for _, l := range launches {
		if due := l.NotAfter.Add(e.Settle); l.State == environment.LaunchOpen && time.Now().Before(due) && due.After(until) {
			until = due
		}
		all = append(all, l)
	}
	if !until.IsZero() || len(all) == 0 {
		return until, nil
	}
	w := &work{Engine: e, term: e.term.Term, env: environment.Environment{Name: name}}
	return time.Time{}, w.commit(ctx, nil, all)
}

// stopped is when StopTask was last called for the environment's tasks; what is long ago is forgotten.
func (e *Engine) stopped(name string, now time.Time) map[string]time.Time {
	e.mu.Lock()
	defer e.mu.Unlock()
	lately := map[string]time.Time{}
	for task, at := range e.asked[name] {
		if now.Sub(at) < 2*time.Minute {
			lately[task] = at
		}
	}
	delete(e.asked, name)
	if len(lately) > 0 {
		e.asked[name] = lately
	}
	copied := make(map[string]time.Time, len(lately))
	for task, at := range lately {
		copied[task] = at
	}
	return copied
}

func (e *Engine) noteStop(name, task string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.asked[name] == nil {
		e.asked[name] = map[string]time.Time{}
	}
	e.asked[name][task] = time.Now()
}

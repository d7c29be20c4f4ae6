// Package reconcile repairs the store by comparing it with ECS: events get lost, come late, or were sent before Blox was
// listening.
package reconcile

import (
	"context"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/sirupsen/logrus"
	"golang.org/x/time/rate"

	"github.com/blox/blox/cluster-state-service/cache"
	"github.com/blox/blox/cluster-state-service/state"
)

// Store is what reconcile needs to write; store.Store is the one in production.
type Store interface {
	// Lead works while this replica holds the reconcile lock. See store.Store.Lead.
	Lead(ctx context.Context, name string, work func(context.Context, state.FencingToken) error) error
	// ApplyCorrections carries out what has not been overtaken, and returns how many that were.
	ApplyCorrections(ctx context.Context, holder state.FencingToken, corrections []state.Correction) (int, error)
	// SaveReconcileRun tells everybody that a comparison is complete.
	SaveReconcileRun(ctx context.Context, holder state.FencingToken, account, region string, c state.ReconcileRun) error
	// Compact forgets etcd's history before the revision.
	Compact(ctx context.Context, revision int64) error
}

// Config is what New needs.
type Config struct {
	ECS         *ecs.Client
	Store       Store
	WaitCurrent func(context.Context) (*cache.Snapshot, error)
	Region      string
	// Name is this replica's among those that share the lock.
	Name        string
	Interval    time.Duration // between two comparisons
	EtcdHistory time.Duration // how long etcd's history is kept; 0 leaves it to etcd
	Log         logrus.FieldLogger
	Metrics     prometheus.Registerer // nil for nobody
}

// What comparing may take of the account's budget for reading calls, 20 a second and bursts of 100, shared by everyone in it.
// Source: "Request throttling for the Amazon ECS API" in the Amazon ECS API Reference.
const (
	callsPerSecond = 10
	callBurst      = 50
)

// Reconciler compares, while it is this replica's turn.
type Reconciler struct {
	Config
	reader  reader
	metrics metrics
	began   time.Time
}

// New only builds.
func New(c Config) *Reconciler {
	m := newMetrics(c.Metrics)
	return &Reconciler{
		Config: c, metrics: m, began: time.Now(),
		reader: reader{c.ECS, rate.NewLimiter(callsPerSecond, callBurst), c.Log, m.calls},
	}
}

// Run compares at once and then again and again, taking turns with the other replicas, until ctx ends. What fails is
// logged and tried again.
func (r *Reconciler) Run(ctx context.Context) error {
	for wait := firstWait; ctx.Err() == nil; wait = min(2*wait, longestWait) {
		led := time.Now()
		err := r.Store.Lead(ctx, r.Name, r.lead)
		if ctx.Err() != nil {
			break
		}
		r.Log.WithError(err).Warn("reconcile stopped and begins again")
		if time.Since(led) > longestWait {
			wait = firstWait
		}
		pause(ctx, wait)
	}
	return nil
}

const (
	firstWait   = 200 * time.Millisecond
	longestWait = 30 * time.Second
	soon        = time.Minute // until clusters that could not be compared are tried again
)

// pause waits, with jitter; it ends with ctx.
func pause(ctx context.Context, wait time.Duration) {
	sleep(ctx, wait/2+rand.N(wait/2+1))
}

// lead compares until the lock is lost. A replica that has just started compares at once, unless another has meanwhile.
func (r *Reconciler) lead(ctx context.Context, holder state.FencingToken) error {
	var history sync.WaitGroup
	defer history.Wait()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	history.Go(func() { r.keepHistory(ctx) })

	snapshot, err := r.WaitCurrent(ctx)
	if err != nil {
		return err
	}
	if last := snapshot.LastReconcile(r.Region).FinishedAt; last.After(r.began) {
		sleep(ctx, time.Until(last.Add(r.Interval)))
	}
	for wait := firstWait; ctx.Err() == nil; {
		switch failures, err := r.compare(ctx, holder); {
		case ctx.Err() != nil:
		case err != nil && wait >= longestWait: // perhaps the lock is the trouble
			return err
		case err != nil:
			r.Log.WithError(err).Warn("compare with ECS")
			pause(ctx, wait)
			wait = min(2*wait, longestWait)
		default:
			wait = firstWait
			if failures > 0 {
				sleep(ctx, min(r.Interval, soon))
			} else {
				sleep(ctx, r.Interval)
			}
		}
	}
	return ctx.Err()
}

// sleep waits; it ends with ctx.
func sleep(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

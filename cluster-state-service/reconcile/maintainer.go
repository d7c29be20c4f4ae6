package reconcile

import (
	"cmp"
	"context"
	"sync"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/blox/blox/cluster-state-service/cache"
	"github.com/blox/blox/cluster-state-service/state"
	"github.com/blox/blox/cluster-state-service/store"
	"github.com/blox/blox/internal/backoff"
	"github.com/blox/blox/internal/logging"
)

// MaintainerConfig configures a Maintainer.
type MaintainerConfig struct {
	Store       *store.Store
	Compactor   *store.Compactor
	WaitCurrent func(context.Context) (*cache.Snapshot, error)
	Name        string        // this replica's name, unique among the replicas that share etcd
	Interval    time.Duration // between two removals; that of reconciliations
	// StoppedTaskRetention is how long stopped tasks are kept; an hour by default.
	StoppedTaskRetention time.Duration
	// AbandonedAfter is the time without a reconciliation after which a cluster counts as one that nothing reconciles;
	// three intervals and at least an hour by default.
	AbandonedAfter time.Duration
	Log            logrus.FieldLogger
}

// Maintainer does what concerns the records of all accounts and regions that share etcd: it compacts etcd, prunes
// tombstones and removes stopped tasks that nothing reconciles. One replica of all regions does so at a time.
type Maintainer struct {
	MaintainerConfig
	failures *logging.FailureLog
}

// NewMaintainer returns a Maintainer.
func NewMaintainer(c MaintainerConfig) *Maintainer {
	c.StoppedTaskRetention = cmp.Or(c.StoppedTaskRetention, defaultRetention)
	c.AbandonedAfter = cmp.Or(c.AbandonedAfter, max(3*c.Interval, time.Hour))
	return &Maintainer{c, logging.NewFailureLog(c.Log, "failed to maintain etcd; retrying", "resumed maintaining etcd")}
}

// Run maintains etcd whenever this replica holds the maintenance lock, until ctx ends. It retries every failure.
func (m *Maintainer) Run(ctx context.Context) error {
	for retry := backoff.New(firstRetryDelay, longestRetryDelay); ctx.Err() == nil; retry.Wait(ctx) {
		startedAt := time.Now()
		err := m.Store.Lead(ctx, state.MaintenanceLock, m.Name, m.lead)
		if ctx.Err() != nil {
			break
		}
		if time.Since(startedAt) > longestRetryDelay {
			retry.Reset()
		}
		m.failures.Failed(err)
	}
	return nil
}

// lead maintains etcd until the lock is lost.
func (m *Maintainer) lead(ctx context.Context, token state.FencingToken) error {
	ctx, cancel := context.WithCancel(ctx)
	var running sync.WaitGroup
	running.Go(func() { m.Compactor.Run(ctx) })
	defer running.Wait()
	defer cancel()
	since := time.Now()
	for {
		removed, err := m.removeExpired(ctx, token, since)
		if err != nil {
			return err
		}
		m.failures.Succeeded()
		if removed > 0 {
			m.Log.WithField("tasks", removed).Info("stopped tasks removed that nothing reconciles")
		}
		if !backoff.Sleep(ctx, m.Interval) {
			return ctx.Err()
		}
	}
}

// removeExpired removes the stopped tasks whose retention has passed, of clusters that no replica has reconciled for
// AbandonedAfter: clusters of other accounts and regions whose events arrive, and clusters that ECS rejects to list.
// Those of other clusters are left to the replica that reconciles them, as ECS may still know them. This replica has
// held the lock since then: for AbandonedAfter it only watches.
func (m *Maintainer) removeExpired(
	ctx context.Context, token state.FencingToken, since time.Time,
) (removed int, err error) {
	now := time.Now()
	if now.Sub(since) < m.AbandonedAfter {
		return 0, nil
	}
	snapshot, err := m.WaitCurrent(ctx)
	if err != nil {
		return 0, err
	}
	remove := removal{now: now, retention: m.StoppedTaskRetention}
	var expired []state.Correction
	for e := range snapshot.Tasks.Prefix("") {
		if _, ended := e.Entity.EndedAt(); !ended || !allows(remove, e.Entity) {
			continue
		}
		if now.Sub(snapshot.Reconciliations.Of(e.Entity.ClusterARN).FinishedAt) < m.AbandonedAfter {
			continue
		}
		if key, err := state.ParseKey(e.Key); err == nil {
			expired = append(expired, state.Correction{Key: key, Revision: e.Revision})
		}
	}
	return m.Store.ApplyCorrections(ctx, token, expired)
}

package reconcile

import (
	"context"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/blox/blox/cluster-state-service/state"
)

// announce records that the region is to be reconciled, so that no replica takes its clusters for empty before they are
// known.
func (t *term) announce(ctx context.Context) error {
	snapshot, err := t.WaitCurrent(ctx)
	if err != nil {
		return err
	}
	t.region = snapshot.Reconciliations.OfRegion(state.RegionOf(t.local))
	if t.region.Cluster != "" || !t.region.FinishedAt.IsZero() {
		return nil
	}
	return t.saveRegion(ctx)
}

func (t *term) saveRegion(ctx context.Context) error {
	t.region.Cluster = t.local.ClusterARN(state.AllClusters).String()
	return t.Store.SaveRegionReconciliation(ctx, t.token, state.RegionOf(t.local), t.region)
}

// regionFailed records why the region cannot be reconciled, after several failures: lists do not wait for it any more.
func (t *term) regionFailed(ctx context.Context, failures int, cause error) error {
	if failures < settledFailures || t.region.Error == reasonOf(cause) {
		return nil
	}
	t.region.Error = reasonOf(cause)
	return t.saveRegion(ctx)
}

// regionSucceeded removes the error of a region that was reconciled before. Another region's error stays until settle:
// without it, lists would wait.
func (t *term) regionSucceeded(ctx context.Context) error {
	if t.region.Error == "" || t.region.FinishedAt.IsZero() || t.schedule.failsThroughout(settledFailures) {
		return nil
	}
	t.region.Error = ""
	return t.saveRegion(ctx)
}

// settle records that every cluster of the region was reconciled or has failed several times, and again after an
// interval.
func (t *term) settle(ctx context.Context) error {
	now := time.Now()
	first := t.settledAt.IsZero()
	if !t.listed || !t.schedule.settled() || !first && now.Before(t.settledAt.Add(t.Interval)) {
		return nil
	}
	t.settledAt = now
	t.region.StartedAt, t.region.FinishedAt, t.region.Error = t.startedAt.UTC(), now.UTC(), ""
	if err := t.saveRegion(ctx); err != nil {
		return err
	}
	if first {
		clusters, failed := t.schedule.counts()
		t.Log.WithFields(logrus.Fields{
			"clusters": clusters, "failed": failed, "duration": now.Sub(t.startedAt).Round(time.Millisecond),
		}).Info("reconciled with ECS")
	}
	return nil
}

package reconcile

import (
	"context"
	"errors"
	"fmt"

	"github.com/blox/blox/cluster-state-service/state"
	"github.com/blox/blox/internal/arn"
)

// errRegionChanged reports that ECS is of another account or region than before: the credentials are other ones.
var errRegionChanged = errors.New("ECS is of another account or region than before")

// Region returns the account and region of ECS. The account is empty until a call has shown it.
func (r *Reconciler) Region() state.Region {
	if local := r.local.Load(); local != nil {
		return state.RegionOf(*local)
	}
	return state.Region{Name: r.RegionName}
}

// identify returns the ARN of a cluster, which shows the account and region of ECS. It calls ECS unless an earlier call
// has shown them.
//
// ECS itself is the source: STS names the account, too, but it is one more endpoint to reach and to configure.
func (r *Reconciler) identify(ctx context.Context) (arn.ARN, error) {
	if local := r.local.Load(); local != nil {
		return *local, nil
	}
	// Without a name, ECS describes the default cluster. It returns the ARN even if that cluster does not exist.
	active, deleted, describeErr := r.ecs.describeClusters(ctx, nil)
	if r.learn(active) || r.learn(deleted) {
		return *r.local.Load(), nil
	}
	// The credentials may be allowed to describe other clusters only.
	listed, listErr := r.ecs.listClusters(ctx)
	if r.learn(listed) {
		return *r.local.Load(), nil
	}
	err := errors.Join(describeErr, listErr)
	if err == nil {
		err = errors.New("ECS returned no cluster")
	}
	return arn.ARN{}, fmt.Errorf("find out the account: %w", err)
}

// learn stores the account and region of clusters, and reports whether there are any.
func (r *Reconciler) learn(clusterARNs []string) bool {
	for _, clusterARN := range clusterARNs {
		if a, err := arn.ParseKind(clusterARN, arn.Cluster); err == nil {
			r.local.Store(&a)
			return true
		}
	}
	return false
}

// checkRegion returns errRegionChanged if ECS's clusters are of another account or region than local. identify then
// calls ECS again.
func (r *Reconciler) checkRegion(local arn.ARN, clusterARNs []string) error {
	for _, clusterARN := range clusterARNs {
		if a, err := arn.ParseKind(clusterARN, arn.Cluster); err == nil && !a.SameRegion(local) {
			r.local.Store(nil)
			return fmt.Errorf("%w: %s, not %s", errRegionChanged, state.RegionOf(a), state.RegionOf(local))
		}
	}
	return nil
}

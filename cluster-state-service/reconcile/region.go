package reconcile

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/go-openapi/swag/conv"

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

// configured returns the ARN of a cluster if the account is known without a call; nil otherwise.
func (c Config) configured() *arn.ARN {
	if c.Account == "" {
		return nil
	}
	a := arn.ARN{Partition: c.Partition, Region: c.RegionName, Account: c.Account, Kind: arn.Cluster}.ClusterARN("default")
	return &a
}

// identify returns the ARN of a cluster, which shows the account and region of ECS. It calls ECS unless the account is
// known.
//
// ECS itself is the source, and STS only where ECS rejects: STS is one more endpoint to reach and to configure.
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
	if err != nil && r.STS != nil && r.learnFromSTS(ctx) {
		return *r.local.Load(), nil
	}
	if err == nil {
		err = errors.New("ECS returned no cluster")
	}
	return arn.ARN{}, fmt.Errorf("determine the account: %w", err)
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

// learnFromSTS stores the account of the credentials, and reports whether STS returns it. Any credentials may call
// GetCallerIdentity.
func (r *Reconciler) learnFromSTS(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	caller, err := r.STS.GetCallerIdentity(ctx, &sts.GetCallerIdentityInput{})
	if err != nil {
		return false // ECS's error says why this account cannot be reconciled
	}
	fields := strings.SplitN(conv.Value(caller.Arn), ":", 3)
	if len(fields) < 3 {
		return false
	}
	c := r.Config
	c.Partition, c.Account = fields[1], conv.Value(caller.Account)
	if local := c.configured(); local != nil {
		return r.learn([]string{local.String()})
	}
	return false
}

// checkRegion returns errRegionChanged if ECS's clusters are of another account or region than local. identify then
// calls ECS again.
func (r *Reconciler) checkRegion(local arn.ARN, clusterARNs []string) error {
	for _, clusterARN := range clusterARNs {
		if a, err := arn.ParseKind(clusterARN, arn.Cluster); err == nil && !a.SameRegion(local) {
			r.local.Store(r.configured())
			return fmt.Errorf("%w: %s, not %s", errRegionChanged, state.RegionOf(a), state.RegionOf(local))
		}
	}
	return nil
}

package reconcile

import (
	"context"
	"errors"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/blox/blox/cluster-state-service/state"
	"github.com/blox/blox/internal/ecserrors"
)

// errorKinds are the kinds of errors of requests by why ECS did not serve the call.
var errorKinds = map[ecserrors.Cause]error{
	ecserrors.CauseCredentials: state.ErrECSCredentialsExpired,
	ecserrors.CauseAccess:      state.ErrECSAccessDenied,
	ecserrors.CauseThrottle:    state.ErrECSThrottled,
	ecserrors.CauseRole:        state.ErrRoleNotAssumed,
	ecserrors.CauseSTS:         state.ErrSTSUnavailable,
	ecserrors.CauseUnavailable: state.ErrECSUnavailable,
}

// ecsError returns the state.ECSError of a failed call of a request. An error stays as it is if ECS refuses the request
// for another reason.
func (r *Reconciler) ecsError(err error) error {
	outcome := ecserrors.Classify(err, true)
	kind, ok := errorKinds[outcome.Cause()]
	if !ok {
		return err
	}
	return &state.ECSError{
		Kind: kind, Region: r.Region().Name, Role: outcome.Role, Code: outcome.Code, Message: outcome.Message, Call: err,
	}
}

// RefreshInstances reads container instances of one cluster from ECS and corrects their stored records. It returns the
// number of corrected records. An error wraps state.ErrForeignCluster if the cluster is of another account or region,
// and one that ecsError returns if ECS does not describe the instances.
//
// Any replica may do so at any time: it neither creates nor removes a record, and keeps one that changes meanwhile.
func (r *Reconciler) RefreshInstances(
	ctx context.Context, clusterARN string, arns []string,
) (corrected int, err error) {
	if err := r.checkLocal(ctx, clusterARN); errors.Is(err, state.ErrForeignCluster) {
		return 0, err
	} else if err != nil {
		return 0, fmt.Errorf("refresh instances: %w", r.ecsError(err))
	}
	snapshot, err := r.WaitCurrent(ctx)
	if err != nil {
		return 0, err
	}
	described, err := r.ecs.describeInstances(ctx, clusterARN, arns)
	if deleted := (*types.ClusterNotFoundException)(nil); errors.As(err, &deleted) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("refresh %d instances: %w", len(arns), r.ecsError(err))
	}
	corrections, sameVersion := Diff(snapshot.Instances, described.present, nil, removal{now: r.ecs.now()})
	changed, err := r.Store.Superseding(ctx, sameVersion)
	if err != nil {
		return 0, err
	}
	for _, c := range append(corrections, changed...) {
		if c.IsRemoval() || c.Revision == 0 {
			continue
		}
		applied, err := r.Store.CorrectUnchanged(ctx, c)
		if err != nil {
			return corrected, err
		}
		if applied {
			corrected++
		}
	}
	return corrected, nil
}

package reconcile

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/blox/blox/cluster-state-service/state"
	"github.com/blox/blox/internal/arn"
)

// Describe reads entities of one kind and cluster from ECS, within the API budget of reconciliations. Inactive entities
// count as missing. An error wraps state.ErrForeignCluster if the cluster is of another account or region.
func (r *Reconciler) Describe(
	ctx context.Context, kind state.Kind, clusterARN string, arns []string,
) (state.Description, error) {
	if err := r.checkLocal(ctx, clusterARN); err != nil {
		return state.Description{}, err
	}
	if kind == state.KindInstance {
		described, err := r.ecs.describeInstances(ctx, clusterARN, arns)
		return descriptionOf(described, arns, r.ecs.now(), err)
	}
	described, err := r.ecs.describeTasks(ctx, clusterARN, arns)
	return descriptionOf(described, arns, r.ecs.now(), err)
}

// descriptionOf returns the result of Describe from ECS's response about arns. A cluster that does not exist has no
// entities.
func descriptionOf[T any](
	described description[T], arns []string, at time.Time, err error,
) (state.Description, error) {
	if deleted := (*types.ClusterNotFoundException)(nil); errors.As(err, &deleted) {
		return state.Description{Missing: arns, At: at}, nil
	}
	if err != nil {
		return state.Description{}, err
	}
	result := state.Description{Missing: described.missing, At: at}
	for _, d := range described.present {
		if d.inactive {
			result.Missing = append(result.Missing, d.key.ARN)
		} else {
			result.Found = append(result.Found, state.Record{Key: d.key, Version: d.version, Value: d.value})
		}
	}
	return result, nil
}

// checkLocal returns an error that wraps state.ErrForeignCluster if a cluster is not of the account and region of ECS.
func (r *Reconciler) checkLocal(ctx context.Context, clusterARN string) error {
	cluster, err := arn.ParseKind(clusterARN, arn.Cluster)
	if err != nil {
		return fmt.Errorf("describe: %w", err)
	}
	local, err := r.identify(ctx)
	switch {
	case err != nil:
		return fmt.Errorf("describe: %w", err)
	case !cluster.SameRegion(local):
		return fmt.Errorf("describe %s: %w", clusterARN, state.ErrForeignCluster)
	}
	return nil
}

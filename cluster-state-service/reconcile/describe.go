package reconcile

import (
	"context"
	"errors"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/blox/blox/cluster-state-service/state"
	"github.com/blox/blox/internal/arn"
)

// Describe reads entities of one kind and cluster from ECS, within the API budget of reconciliations. It returns the
// records of those that ECS knows, and the ARNs of those that are missing or inactive. An error wraps
// state.ErrForeignCluster if the cluster is of another account or region.
func (r *Reconciler) Describe(
	ctx context.Context, kind state.Kind, clusterARN string, arns []string,
) (found []state.Record, missing []string, err error) {
	if err := r.checkLocal(ctx, clusterARN); err != nil {
		return nil, nil, err
	}
	if kind == state.KindInstance {
		described, err := r.ecs.describeInstances(ctx, clusterARN, arns)
		return records(described, arns, err)
	}
	described, err := r.ecs.describeTasks(ctx, clusterARN, arns)
	return records(described, arns, err)
}

// records returns the result of Describe from ECS's response about arns. A cluster that does not exist has no entities.
func records[T any](
	described description[T], arns []string, err error,
) (found []state.Record, missing []string, _ error) {
	if deleted := (*types.ClusterNotFoundException)(nil); errors.As(err, &deleted) {
		return nil, arns, nil
	}
	if err != nil {
		return nil, nil, err
	}
	missing = described.missing
	for _, d := range described.present {
		if d.inactive {
			missing = append(missing, d.key.ARN)
		} else {
			found = append(found, state.Record{Key: d.key, Version: d.version, Value: d.value})
		}
	}
	return found, missing, nil
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

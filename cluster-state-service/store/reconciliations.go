package store

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/blox/blox/cluster-state-service/state"
	"github.com/blox/blox/internal/arn"
)

// SaveReconciliations publishes the reconciliations of clusters to all replicas.
func (s *Store) SaveReconciliations(
	ctx context.Context, token state.FencingToken, clusters ...state.Reconciliation,
) error {
	for batch := range slices.Chunk(clusters, maxRecords) {
		var puts []clientv3.Op
		for _, r := range batch {
			cluster, err := arn.ParseKind(r.Cluster, arn.Cluster)
			if err != nil {
				return fmt.Errorf("save reconciliation: %w", err)
			}
			puts = append(puts, putReconciliation(state.ReconciledKey(cluster), r))
		}
		if err := s.change(ctx, token, puts...); err != nil {
			return fmt.Errorf("save reconciliation of %s: %w", batch[0].Cluster, err)
		}
	}
	return nil
}

// SaveRegionReconciliation publishes to all replicas whether every cluster of an account's region was reconciled, or
// has failed several times.
func (s *Store) SaveRegionReconciliation(
	ctx context.Context, token state.FencingToken, region state.Region, r state.Reconciliation,
) error {
	if err := s.change(ctx, token, putReconciliation(region.ReconciledKey(), r)); err != nil {
		return fmt.Errorf("save reconciliation of %s in %s: %w", region.Account, region.Name, err)
	}
	return nil
}

// RemoveReconciliation removes the reconciliation of a cluster that does not exist any more.
func (s *Store) RemoveReconciliation(ctx context.Context, token state.FencingToken, clusterARN string) error {
	cluster, err := arn.ParseKind(clusterARN, arn.Cluster)
	if err == nil {
		err = s.change(ctx, token, clientv3.OpDelete(state.ReconciledKey(cluster)))
	}
	if err != nil {
		return fmt.Errorf("remove reconciliation of %s: %w", clusterARN, err)
	}
	return nil
}

func putReconciliation(key string, r state.Reconciliation) clientv3.Op {
	value, err := json.Marshal(r)
	if err != nil { // r has strings and times only
		panic(err)
	}
	return clientv3.OpPut(key, string(value))
}

// change carries out operations in one transaction, if this replica holds the lock.
func (s *Store) change(ctx context.Context, token state.FencingToken, operations ...clientv3.Op) error {
	ctx, cancel := context.WithTimeout(ctx, opTimeout)
	defer cancel()
	response, err := s.client.Txn(ctx).If(guard(token)).Then(operations...).Commit()
	switch {
	case err != nil:
		return fmt.Errorf("etcd transaction: %w", err)
	case !response.Succeeded:
		return state.ErrLockLost
	}
	return nil
}

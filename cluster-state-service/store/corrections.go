package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/blox/blox/cluster-state-service/state"
)

// maxCorrections is the number of corrections in one transaction: each takes two operations, and etcd allows 128.
const maxCorrections = 60

// guard fails a transaction if another replica holds the lock.
func guard(token state.FencingToken) clientv3.Cmp {
	return clientv3.Compare(clientv3.CreateRevision(token.Key), "=", token.Revision)
}

// ApplyCorrections applies the corrections whose records have not changed since they were computed, and returns how
// many it applied. A record that changed meanwhile is newer than its correction. No key may occur twice. An error
// means that this replica lost the lock, or that etcd failed.
func (s *Store) ApplyCorrections(
	ctx context.Context, token state.FencingToken, corrections []state.Correction,
) (applied int, err error) {
	var lease clientv3.LeaseID
	if slices.ContainsFunc(corrections, state.Correction.IsRemoval) {
		if lease, err = s.tombstones.lease(ctx, s.client); err != nil {
			return 0, err
		}
	}
	for len(corrections) > 0 {
		n := correctionsPerTransaction(corrections)
		batch := corrections[:n]
		corrections = corrections[n:]
		for len(batch) > 0 {
			changed, err := s.applyBatch(ctx, token, batch, lease)
			if err != nil {
				return applied, fmt.Errorf("correct %s and %d more: %w", batch[0].Key, len(batch)-1, err)
			}
			if len(changed) == 0 {
				applied += len(batch)
				break
			}
			batch = slices.DeleteFunc(slices.Clone(batch), func(c state.Correction) bool { return changed[c.Key] })
		}
	}
	return applied, nil
}

func correctionsPerTransaction(corrections []state.Correction) int {
	bytes := 0
	for n, c := range corrections {
		bytes += len(c.Value)
		if n > 0 && (n == maxCorrections || bytes > maxBytes) {
			return n
		}
	}
	return len(corrections)
}

// applyBatch applies all corrections in one transaction. If some of the records have changed meanwhile, it applies
// none and returns the keys of the changed records.
func (s *Store) applyBatch(
	ctx context.Context, token state.FencingToken, corrections []state.Correction, lease clientv3.LeaseID,
) (changed map[state.Key]bool, err error) {
	guards := []clientv3.Cmp{guard(token)}
	reads := []clientv3.Op{clientv3.OpGet(token.Key, clientv3.WithKeysOnly())}
	var changes []clientv3.Op
	for _, c := range corrections {
		key, tombstone := c.Key.String(), c.Key.TombstoneKey()
		guards = append(guards, clientv3.Compare(clientv3.ModRevision(key), "=", c.Revision))
		reads = append(reads, clientv3.OpGet(key, clientv3.WithKeysOnly()))
		if c.IsRemoval() {
			changes = append(changes, clientv3.OpDelete(key), clientv3.OpPut(tombstone, "{}", clientv3.WithLease(lease)))
		} else {
			changes = append(changes, clientv3.OpPut(key, string(c.Value)), clientv3.OpDelete(tombstone))
		}
	}
	ctx, cancel := context.WithTimeout(ctx, opTimeout)
	defer cancel()
	response, err := s.client.Txn(ctx).If(guards...).Then(changes...).Else(reads...).Commit()
	if err != nil {
		if errors.Is(err, rpctypes.ErrLeaseNotFound) {
			s.tombstones.dropLease()
		}
		return nil, fmt.Errorf("etcd transaction: %w", err)
	}
	if response.Succeeded {
		for _, c := range corrections {
			s.metrics.corrections.WithLabelValues(changeLabel(c)).Inc()
		}
		return nil, nil
	}
	lock := response.Responses[0].GetResponseRange().GetKvs()
	if len(lock) == 0 || lock[0].CreateRevision != token.Revision {
		return nil, state.ErrLockLost
	}
	changed = map[state.Key]bool{}
	for i, c := range corrections {
		if modRevision(response.Responses[i+1]) != c.Revision {
			changed[c.Key] = true
		}
	}
	return changed, nil
}

// modRevision returns the mod revision of the key that a get found; 0 if it found none.
func modRevision(get *etcdserverpb.ResponseOp) int64 {
	if kvs := get.GetResponseRange().GetKvs(); len(kvs) > 0 {
		return kvs[0].ModRevision
	}
	return 0
}

func changeLabel(c state.Correction) string {
	if c.IsRemoval() {
		return "remove"
	}
	return "put"
}

// SaveReconciliation publishes a complete reconciliation to all replicas.
func (s *Store) SaveReconciliation(
	ctx context.Context, token state.FencingToken, account, region string, run state.Reconciliation,
) error {
	value, err := json.Marshal(run)
	if err != nil {
		return fmt.Errorf("encode reconciliation: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, opTimeout)
	defer cancel()
	put := clientv3.OpPut(state.ReconcilePrefix+account+"/"+region, string(value))
	response, err := s.client.Txn(ctx).If(guard(token)).Then(put).Commit()
	if err != nil {
		return fmt.Errorf("save reconciliation: %w", err)
	}
	if !response.Succeeded {
		return state.ErrLockLost
	}
	return nil
}

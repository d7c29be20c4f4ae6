package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"go.etcd.io/etcd/api/v3/mvccpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/blox/blox/cluster-state-service/state"
)

// guard fails a transaction once another replica holds the lock.
func guard(h state.FencingToken) clientv3.Cmp {
	return clientv3.Compare(clientv3.CreateRevision(h.Key), "=", h.Revision)
}

// maxCorrections goes into one transaction: two operations each, and etcd takes 128.
const maxCorrections = 60

// ApplyCorrections carries out corrections, each on its own terms: one whose record has changed meanwhile is left alone, as what
// arrived since is newer. It returns how many were done. An error means that the lock is lost or etcd failed.
// No key may come twice.
func (s *Store) ApplyCorrections(ctx context.Context, holder state.FencingToken, corrections []state.Correction) (int, error) {
	var lease clientv3.LeaseID
	if slices.ContainsFunc(corrections, state.Correction.IsRemoval) {
		var err error
		if lease, err = s.tombstones.lease(ctx, s.client); err != nil {
			return 0, err
		}
	}
	done := 0
	for len(corrections) > 0 {
		n := correctionsPerTransaction(corrections)
		some, err := s.correct(ctx, holder, corrections[:n], lease)
		done += some
		if err != nil {
			return done, fmt.Errorf("correct %s and %d more: %w", corrections[0].Key, n-1, err)
		}
		corrections = corrections[n:]
	}
	return done, nil
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

// correct tries all in one transaction and, when one of them has lost its race, each by itself.
func (s *Store) correct(ctx context.Context, holder state.FencingToken, corrections []state.Correction, lease clientv3.LeaseID) (int, error) {
	guards := []clientv3.Cmp{guard(holder)}
	var changes []clientv3.Op
	for _, c := range corrections {
		key := c.Key.String()
		guards = append(guards, clientv3.Compare(clientv3.ModRevision(key), "=", c.Revision))
		if c.IsRemoval() {
			changes = append(changes, clientv3.OpDelete(key), clientv3.OpPut(c.Key.TombstoneKey(), "{}", clientv3.WithLease(lease)))
		} else {
			changes = append(changes, clientv3.OpPut(key, string(c.Value)), clientv3.OpDelete(c.Key.TombstoneKey()))
		}
	}
	once, cancel := context.WithTimeout(ctx, opTimeout)
	defer cancel()
	answer, err := s.client.Txn(once).If(guards...).Then(changes...).
		Else(clientv3.OpGet(holder.Key, clientv3.WithKeysOnly())).Commit()
	switch {
	case err != nil:
		if errors.Is(err, rpctypes.ErrLeaseNotFound) {
			s.tombstones.dropLease()
		}
		return 0, fmt.Errorf("etcd transaction: %w", err)
	case answer.Succeeded:
		for _, c := range corrections {
			s.metrics.corrections.WithLabelValues(changeLabel(c)).Inc()
		}
		return len(corrections), nil
	}
	if err := checkLock(holder, answer.Responses[0].GetResponseRange().GetKvs()); err != nil || len(corrections) == 1 {
		return 0, err
	}
	done := 0
	for i := range corrections {
		n, err := s.correct(ctx, holder, corrections[i:i+1], lease)
		done += n
		if err != nil {
			return done, err
		}
	}
	return done, nil
}

// checkLock tells a lost lock from a lost race about one record.
func checkLock(h state.FencingToken, found []*mvccpb.KeyValue) error {
	if len(found) == 0 || found[0].CreateRevision != h.Revision {
		return state.ErrLockLost
	}
	return nil
}

// SaveReconcileRun tells everybody that a comparison with ECS is complete.
func (s *Store) SaveReconcileRun(ctx context.Context, holder state.FencingToken, account, region string, c state.ReconcileRun) error {
	value, err := json.Marshal(c)
	if err != nil {
		return fmt.Errorf("encode comparison: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, opTimeout)
	defer cancel()
	answer, err := s.client.Txn(ctx).If(guard(holder)).
		Then(clientv3.OpPut(state.ReconcilePrefix+account+"/"+region, string(value))).Commit()
	if err != nil {
		return fmt.Errorf("note comparison: %w", err)
	}
	if !answer.Succeeded {
		return state.ErrLockLost
	}
	return nil
}

func changeLabel(c state.Correction) string {
	if c.IsRemoval() {
		return "remove"
	}
	return "put"
}

package store

import (
	"context"
	"fmt"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/blox/blox/cluster-state-service/state"
)

// recordHealth stores the health of an instance that an event reports, unless the stored one is newer. The event of an
// unknown instance changes nothing: the state change event of its registration, or Describe, creates the record.
func (s *Store) recordHealth(ctx context.Context, c state.HealthChange) error {
	for {
		outcome, err := s.tryHealth(ctx, c)
		if err != nil {
			return fmt.Errorf("record health of %s: %w", c.Key, err)
		}
		if outcome != "" {
			s.metrics.records.WithLabelValues(outcome).Inc()
			return nil
		}
	}
}

// tryHealth returns the outcome; empty if the record changed meanwhile.
func (s *Store) tryHealth(ctx context.Context, c state.HealthChange) (outcome string, err error) {
	ctx, cancel := context.WithTimeout(ctx, opTimeout)
	defer cancel()
	key := c.Key.String()
	got, err := s.client.Get(ctx, key)
	switch {
	case err != nil:
		return "", fmt.Errorf("read: %w", err)
	case len(got.Kvs) == 0:
		return outcomeRemoved, nil
	}
	merged, changed, err := state.MergeHealth(got.Kvs[0].Value, c.Health)
	if err != nil || !changed { // a malformed record is for the reconciler
		return outcomeOlder, nil //nolint:nilerr // see above
	}
	unchanged := clientv3.Compare(clientv3.ModRevision(key), "=", got.Kvs[0].ModRevision)
	response, err := s.client.Txn(ctx).If(unchanged).Then(clientv3.OpPut(key, string(merged))).Commit()
	switch {
	case err != nil:
		return "", fmt.Errorf("etcd transaction: %w", err)
	case !response.Succeeded:
		return "", nil
	}
	return outcomeWritten, nil
}

// carryHealth makes an instance's event keep the health of the record that it replaces.
func (w *write) carryHealth(replaced state.HealthStatus) {
	w.Value = state.CarryHealth(w.received, replaced)
}

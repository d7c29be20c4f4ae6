package store

import (
	"context"
	"fmt"
	"time"

	"go.etcd.io/etcd/api/v3/etcdserverpb"

	"github.com/blox/blox/cluster-state-service/state"
)

// Record stores every record whose version is higher than the stored one. It drops records of entities that the
// reconciler removed: such an event arrived late. No key may occur twice.
// After an error some records may be stored; the caller may call Record again with all of them.
func (s *Store) Record(ctx context.Context, records []state.Record) error {
	writes := make([]write, 0, len(records))
	for _, r := range records {
		if r.Health != nil {
			if err := s.recordHealth(ctx, state.HealthChange{Key: r.Key, Health: *r.Health}); err != nil {
				return err
			}
			continue
		}
		stored := s.storedVersion(r.Key)
		if stored.Revision == 0 || stored.Version < r.Version {
			w := write{r, r.Key.String(), stored.Revision, r.Value}
			if r.Key.Kind == state.KindInstance {
				w.carryHealth(stored.Health)
			}
			writes = append(writes, w)
		} else {
			s.metrics.records.WithLabelValues(outcomeOlder).Inc()
		}
	}
	for len(writes) > 0 {
		n := transactionSize(writes)
		remaining, err := s.commit(ctx, writes[:n])
		if err != nil {
			return fmt.Errorf("record %d of %d: %w", n, len(records), err)
		}
		writes = append(remaining, writes[n:]...)
	}
	return nil
}

// commit tries all writes in one transaction. If one of them lost a race, the transaction changes nothing, and commit
// returns the writes that are still to be done, with the revisions that are current now. Each attempt has a time
// limit of its own, so losing many races does not time out.
func (s *Store) commit(ctx context.Context, writes []write) (remaining []write, err error) {
	ctx, cancel := context.WithTimeout(ctx, opTimeout)
	defer cancel()
	started := time.Now()
	response, err := newTransaction(s.client.Txn(ctx), writes).Commit()
	s.metrics.duration.Observe(time.Since(started).Seconds())
	if err != nil {
		return nil, fmt.Errorf("etcd transaction: %w", err)
	}
	if !response.Succeeded {
		return s.reread(writes, response.Responses), nil
	}
	s.metrics.batch.Observe(float64(len(writes)))
	s.metrics.records.WithLabelValues(outcomeWritten).Add(float64(len(writes)))
	return nil, nil
}

// reread updates the writes of a failed transaction with the records that the transaction read. It drops obsolete
// writes.
func (s *Store) reread(writes []write, responses []*etcdserverpb.ResponseOp) []write {
	var remaining []write
	for _, w := range writes {
		stored := responses[0].GetResponseRange().GetKvs()
		responses = responses[1:]
		removed := false
		if w.revision == 0 {
			removed = len(responses[0].GetResponseRange().GetKvs()) > 0
			responses = responses[1:]
		}
		switch {
		case len(stored) == 0 && removed:
			s.metrics.records.WithLabelValues(outcomeRemoved).Inc()
		case len(stored) == 0:
			// The transaction has not read the tombstone of a key that was deleted meanwhile. The next one guards it.
			w.revision = 0
			remaining = append(remaining, w)
		case stored[0].ModRevision == w.revision:
			remaining = append(remaining, w) // another write of the transaction lost its race
		case w.isNewerThan(stored[0].Value):
			if w.Key.Kind == state.KindInstance {
				instance, _ := state.DecodeInstance(stored[0].Value) // a malformed one has no health
				w.carryHealth(instance.HealthStatus)
			}
			w.revision = stored[0].ModRevision
			remaining = append(remaining, w)
		default:
			s.metrics.records.WithLabelValues(outcomeOlder).Inc()
		}
	}
	return remaining
}

// isNewerThan reports whether the write may replace a stored value. It may replace a malformed one.
func (w write) isNewerThan(value []byte) bool {
	version, err := state.DecodeVersion(w.Key.Kind, value)
	return err != nil || version < w.Version
}

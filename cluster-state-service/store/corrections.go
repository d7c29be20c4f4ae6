package store

import (
	"context"
	"fmt"
	"slices"
	"time"

	"go.etcd.io/etcd/api/v3/etcdserverpb"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/blox/blox/cluster-state-service/state"
)

// maxCorrections is the number of corrections in one transaction: each takes two operations, and etcd allows 128.
const maxCorrections = 60

// guard fails a transaction if another replica holds the lock.
func guard(token state.FencingToken) clientv3.Cmp {
	return clientv3.Compare(clientv3.CreateRevision(token.Key), "=", token.Revision)
}

// ApplyCorrections applies the corrections and returns how many it applied. It skips a removal whose record changed
// since the correction was computed, and a value that does not supersede the record as it is now: an event may have
// stored a newer record meanwhile, or a late one an older record. No key may occur twice. An error means that this
// replica lost the lock, or that etcd failed.
func (s *Store) ApplyCorrections(
	ctx context.Context, token state.FencingToken, corrections []state.Correction,
) (applied int, err error) {
	for len(corrections) > 0 {
		n := correctionsPerTransaction(corrections)
		batch := corrections[:n]
		corrections = corrections[n:]
		for len(batch) > 0 {
			remaining, err := s.applyBatch(ctx, token, batch)
			if err != nil {
				return applied, fmt.Errorf("correct %s and %d more: %w", batch[0].Key, len(batch)-1, err)
			}
			if remaining == nil {
				applied += len(batch)
			}
			batch = remaining
		}
	}
	return applied, nil
}

// maxReads is the number of records that one transaction reads; etcd allows 128.
const maxReads = 100

// Superseding returns the corrections that supersede the stored records, with their present revisions. It skips records
// that are no longer stored.
func (s *Store) Superseding(ctx context.Context, corrections []state.Correction) ([]state.Correction, error) {
	var superseding []state.Correction
	for chunk := range slices.Chunk(corrections, maxReads) {
		var reads []clientv3.Op
		for _, c := range chunk {
			reads = append(reads, clientv3.OpGet(c.Key.String()))
		}
		response, err := s.read(ctx, reads)
		if err != nil {
			return nil, fmt.Errorf("compare %s and %d more with ECS: %w", chunk[0].Key, len(chunk)-1, err)
		}
		for i, c := range chunk {
			kvs := response.Responses[i].GetResponseRange().GetKvs()
			if len(kvs) > 0 && c.Supersedes(kvs[0].Value) {
				c.Revision = kvs[0].ModRevision
				superseding = append(superseding, c)
			}
		}
	}
	return superseding, nil
}

func (s *Store) read(ctx context.Context, reads []clientv3.Op) (*clientv3.TxnResponse, error) {
	ctx, cancel := context.WithTimeout(ctx, opTimeout)
	defer cancel()
	response, err := s.client.Txn(ctx).Then(reads...).Commit()
	if err != nil {
		return nil, fmt.Errorf("etcd transaction: %w", err)
	}
	return response, nil
}

// CorrectUnchanged replaces one stored record, unless that has changed since the correction was computed. It needs no
// lock, and neither creates nor removes a record.
func (s *Store) CorrectUnchanged(ctx context.Context, c state.Correction) (applied bool, err error) {
	if c.IsRemoval() || c.Revision == 0 {
		return false, nil
	}
	ctx, cancel := context.WithTimeout(ctx, opTimeout)
	defer cancel()
	unchanged := clientv3.Compare(clientv3.ModRevision(c.Key.String()), "=", c.Revision)
	response, err := s.client.Txn(ctx).If(unchanged).Then(clientv3.OpPut(c.Key.String(), string(c.Value))).Commit()
	if err != nil {
		return false, fmt.Errorf("correct %s: etcd transaction: %w", c.Key, err)
	}
	if response.Succeeded {
		s.metrics.corrections.WithLabelValues(changeLabel(c)).Inc()
	}
	return response.Succeeded, nil
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

// applyBatch applies all corrections in one transaction and returns nil. If some of the records have changed meanwhile,
// it applies none and returns those that remain, with the revisions that are current now.
func (s *Store) applyBatch(
	ctx context.Context, token state.FencingToken, corrections []state.Correction,
) (remaining []state.Correction, err error) {
	guards := []clientv3.Cmp{guard(token)}
	reads := []clientv3.Op{clientv3.OpGet(token.Key, clientv3.WithKeysOnly())}
	var changes []clientv3.Op
	for _, c := range corrections {
		key, tombstone := c.Key.String(), c.Key.TombstoneKey()
		guards = append(guards, clientv3.Compare(clientv3.ModRevision(key), "=", c.Revision))
		reads = append(reads, clientv3.OpGet(key))
		if c.IsRemoval() {
			changes = append(changes, clientv3.OpDelete(key), clientv3.OpPut(tombstone, newTombstone(time.Now())))
		} else {
			changes = append(changes, clientv3.OpPut(key, string(c.Value)), clientv3.OpDelete(tombstone))
		}
	}
	ctx, cancel := context.WithTimeout(ctx, opTimeout)
	defer cancel()
	response, err := s.client.Txn(ctx).If(guards...).Then(changes...).Else(reads...).Commit()
	if err != nil {
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
	return rereadCorrections(corrections, response.Responses[1:]), nil
}

// rereadCorrections returns the corrections that remain after a transaction failed, given the records that it read, one
// for each correction. The result is not nil.
func rereadCorrections(corrections []state.Correction, responses []*etcdserverpb.ResponseOp) []state.Correction {
	remaining := []state.Correction{}
	for i, c := range corrections {
		var revision int64
		var stored []byte
		if kvs := responses[i].GetResponseRange().GetKvs(); len(kvs) > 0 {
			revision, stored = kvs[0].ModRevision, kvs[0].Value
		}
		switch {
		case revision == c.Revision: // another record of the transaction changed
			remaining = append(remaining, c)
		case c.IsRemoval(): // it presumes that the record has not changed for minutes
		case revision == 0 || c.Supersedes(stored):
			c.Revision = revision
			remaining = append(remaining, c)
		}
	}
	return remaining
}

func changeLabel(c state.Correction) string {
	if c.IsRemoval() {
		return "remove"
	}
	return "put"
}

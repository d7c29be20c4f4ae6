package store

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/blox/blox/cluster-state-service/state"
)

const (
	// tombstoneLife is how long Record drops events of a removed entity. EventBridge retries for 24 hours, and a queue
	// may retain an event for days. ECS itself forgets stopped tasks within hours.
	tombstoneLife    = 48 * time.Hour
	tombstonePage    = 1000
	prunesPerRequest = 100 // etcd allows 128 operations in a transaction
)

// tombstone marks a removed entity. It holds its expiry, because a lease would begin anew at every start of etcd.
type tombstone struct {
	ExpiresAt time.Time `json:"expiresAt"`
}

// newTombstone returns the value of a tombstone that begins now.
func newTombstone(now time.Time) string {
	value, err := json.Marshal(tombstone{now.Add(tombstoneLife).UTC().Truncate(time.Second)})
	if err != nil {
		panic(err) // impossible: the year has four digits
	}
	return string(value)
}

// pruneTombstones deletes the tombstones that have expired by now. It deletes none that changes meanwhile, so several
// replicas may call it.
func (s *Store) pruneTombstones(ctx context.Context, now time.Time) (pruned int, err error) {
	end := clientv3.GetPrefixRangeEnd(state.TombstonePrefix)
	for from := state.TombstonePrefix; ; {
		page, err := s.tombstonePage(ctx, from, end)
		if err != nil {
			return pruned, err
		}
		var expired []*mvccpb.KeyValue
		for _, kv := range page.Kvs {
			var held tombstone
			if json.Unmarshal(kv.Value, &held) == nil && !held.ExpiresAt.IsZero() && !now.Before(held.ExpiresAt) {
				expired = append(expired, kv)
			}
		}
		for batch := range slices.Chunk(expired, prunesPerRequest) {
			if err := s.deleteUnchanged(ctx, batch); err != nil {
				return pruned, err
			}
			pruned += len(batch)
		}
		if !page.More {
			return pruned, nil
		}
		from = string(page.Kvs[len(page.Kvs)-1].Key) + "\x00"
	}
}

func (s *Store) tombstonePage(ctx context.Context, from, end string) (*clientv3.GetResponse, error) {
	ctx, cancel := context.WithTimeout(ctx, opTimeout)
	defer cancel()
	page, err := s.client.Get(ctx, from, clientv3.WithRange(end), clientv3.WithLimit(tombstonePage))
	if err != nil {
		return nil, fmt.Errorf("read tombstones: %w", err)
	}
	return page, nil
}

// deleteUnchanged deletes keys if all of them are unchanged. Otherwise the next prune deletes them.
func (s *Store) deleteUnchanged(ctx context.Context, kvs []*mvccpb.KeyValue) error {
	var unchanged []clientv3.Cmp
	var deletions []clientv3.Op
	for _, kv := range kvs {
		unchanged = append(unchanged, clientv3.Compare(clientv3.ModRevision(string(kv.Key)), "=", kv.ModRevision))
		deletions = append(deletions, clientv3.OpDelete(string(kv.Key)))
	}
	ctx, cancel := context.WithTimeout(ctx, opTimeout)
	defer cancel()
	if _, err := s.client.Txn(ctx).If(unchanged...).Then(deletions...).Commit(); err != nil {
		return fmt.Errorf("delete %d tombstones: %w", len(deletions), err)
	}
	return nil
}

package store

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/client/v3/concurrency"

	"github.com/blox/blox/cluster-state-service/state"
)

// Each is followed by <stream>/<shard>: what the holder of a shard keeps, and who that is. Those who read a stream are under
// shardLocks<stream>/replica/<name>.
const (
	checkpoints = state.Root + "kinesis/"
	shardLocks  = state.Root + "lock/kinesis/"
	replicaPart = "replica/"
)

var errMembershipLost = errors.New("the lease of this reader of the stream is lost")

// GroupMember is one replica of those that share the shards of a Kinesis stream. One lease is behind all that it holds, so
// that all of it goes to others at once when the replica dies.
type GroupMember struct {
	client       *clientv3.Client
	lease        clientv3.LeaseID
	stream, name string

	mu    sync.Mutex
	locks map[string]state.FencingToken // by shard
}

// JoinGroup announces the replica called name as a reader of the stream, and works. The context of work ends when the lease
// is lost; what work has in hand by then is refused. All that is held is free once JoinGroup returns.
func (s *Store) JoinGroup(ctx context.Context, stream, name string, work func(context.Context, *GroupMember) error) error {
	return s.leased(ctx, "reading stream "+stream, errMembershipLost, func(ctx context.Context, session *concurrency.Session) error {
		r := &GroupMember{client: s.client, lease: session.Lease(), stream: stream, name: name, locks: map[string]state.FencingToken{}}
		limited, cancel := context.WithTimeout(ctx, opTimeout)
		_, err := s.client.Put(limited, shardLocks+stream+"/"+replicaPart+name, "", clientv3.WithLease(r.lease))
		cancel()
		if err != nil {
			return fmt.Errorf("announce a reader of stream %s: %w", stream, err)
		}
		return work(ctx, r)
	})
}

// Assignments tells the checkpoints by shard, the replicas that hold shards by shard, and all replicas, as of one moment.
func (r *GroupMember) Assignments(ctx context.Context) (saved map[string][]byte, holders map[string]string, replicas []string, err error) {
	ctx, cancel := context.WithTimeout(ctx, opTimeout)
	defer cancel()
	savedPrefix, locksPrefix := checkpoints+r.stream+"/", shardLocks+r.stream+"/"
	answer, err := r.client.Txn(ctx).Then(
		clientv3.OpGet(savedPrefix, clientv3.WithPrefix()), clientv3.OpGet(locksPrefix, clientv3.WithPrefix())).Commit()
	if err != nil {
		return nil, nil, nil, fmt.Errorf("look at the shards of stream %s: %w", r.stream, err)
	}
	saved, holders = map[string][]byte{}, map[string]string{}
	for _, kv := range answer.Responses[0].GetResponseRange().GetKvs() {
		saved[strings.TrimPrefix(string(kv.Key), savedPrefix)] = kv.Value
	}
	for _, kv := range answer.Responses[1].GetResponseRange().GetKvs() {
		rest := strings.TrimPrefix(string(kv.Key), locksPrefix)
		if replica, found := strings.CutPrefix(rest, replicaPart); found {
			replicas = append(replicas, replica)
		} else {
			holders[rest] = string(kv.Value)
		}
	}
	return saved, holders, replicas, nil
}

func (r *GroupMember) lockKey(shard string) string { return shardLocks + r.stream + "/" + shard }

func (r *GroupMember) checkpointKey(shard string) string { return checkpoints + r.stream + "/" + shard }

// AcquireShard makes this replica the holder of a shard, unless another one is, and gives the shard's checkpoint, nil for none.
func (r *GroupMember) AcquireShard(ctx context.Context, shard string) (checkpoint []byte, taken bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, opTimeout)
	defer cancel()
	key := r.lockKey(shard)
	looks := []clientv3.Op{clientv3.OpGet(key), clientv3.OpGet(r.checkpointKey(shard))}
	answer, err := r.client.Txn(ctx).If(clientv3.Compare(clientv3.CreateRevision(key), "=", 0)).
		Then(append([]clientv3.Op{clientv3.OpPut(key, r.name, clientv3.WithLease(r.lease))}, looks...)...).Else(looks...).Commit()
	if err != nil {
		return nil, false, fmt.Errorf("take shard %s of stream %s: %w", shard, r.stream, err)
	}
	found := answer.Responses[len(answer.Responses)-2:]
	lock := found[0].GetResponseRange().GetKvs()[0]
	if lock.Lease != int64(r.lease) { // ours may be there from a call whose answer did not arrive
		return nil, false, nil
	}
	r.mu.Lock()
	r.locks[shard] = state.FencingToken{Key: key, Revision: lock.CreateRevision}
	r.mu.Unlock()
	if kvs := found[1].GetResponseRange().GetKvs(); len(kvs) > 0 {
		checkpoint = kvs[0].Value
	}
	return checkpoint, true, nil
}

// fencingToken is what was taken; a shard that was not has the zero Holder.
func (r *GroupMember) fencingToken(shard string) state.FencingToken {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.locks[shard]
}

// SaveCheckpoint keeps a checkpoint; it does not, and tells so, when this replica does not hold the shard any more.
func (r *GroupMember) SaveCheckpoint(ctx context.Context, shard string, checkpoint []byte) (held bool, err error) {
	holder := r.fencingToken(shard)
	if holder.Revision == 0 {
		return false, nil
	}
	ctx, cancel := context.WithTimeout(ctx, opTimeout)
	defer cancel()
	answer, err := r.client.Txn(ctx).If(guard(holder)).Then(clientv3.OpPut(r.checkpointKey(shard), string(checkpoint))).Commit()
	if err != nil {
		return false, fmt.Errorf("save the checkpoint of shard %s of stream %s: %w", shard, r.stream, err)
	}
	return answer.Succeeded, nil
}

// ReleaseShard lets others have a shard; one that is not held is none to give, and no error.
func (r *GroupMember) ReleaseShard(ctx context.Context, shard string) error {
	key := r.lockKey(shard)
	ctx, cancel := context.WithTimeout(ctx, opTimeout)
	defer cancel()
	_, err := r.client.Txn(ctx).If(clientv3.Compare(clientv3.LeaseValue(key), "=", r.lease)).Then(clientv3.OpDelete(key)).Commit()
	if err != nil {
		return fmt.Errorf("give shard %s of stream %s: %w", shard, r.stream, err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.locks, shard)
	return nil
}

// DeleteCheckpoints deletes the checkpoints of shards that nobody holds.
func (r *GroupMember) DeleteCheckpoints(ctx context.Context, shards []string) error {
	for _, shard := range shards {
		limited, cancel := context.WithTimeout(ctx, opTimeout)
		_, err := r.client.Txn(limited).If(clientv3.Compare(clientv3.CreateRevision(r.lockKey(shard)), "=", 0)).
			Then(clientv3.OpDelete(r.checkpointKey(shard))).Commit()
		cancel()
		if err != nil {
			return fmt.Errorf("forget shard %s of stream %s: %w", shard, r.stream, err)
		}
	}
	return nil
}

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

// Keys below checkpointRoot are <stream>/<shard>: how far the shard was read. Keys below groupRoot are
// <stream>/<shard>: the shard's owner, and <stream>/replica/<name>: the members of the group that reads the stream.
const (
	checkpointRoot = state.Root + "kinesis/"
	groupRoot      = state.Root + "lock/kinesis/"
	memberPart     = "replica/"
)

var errMembershipLost = errors.New("group membership lost")

// GroupMember is one member of the group of replicas that share the shards of a Kinesis stream. One lease holds its
// membership and all of its shards, so if the replica dies, the other members can acquire all shards at once.
type GroupMember struct {
	client *clientv3.Client
	lease  clientv3.LeaseID
	stream string
	name   string

	mu    sync.Mutex
	owned map[string]state.FencingToken // by shard
}

// Assignments is the state of a group at one revision.
type Assignments struct {
	Checkpoints map[string][]byte // by shard
	Owners      map[string]string // member names, by shard; a free shard is absent
	Members     []string
}

// JoinGroup makes the replica called name a member of the group that reads the stream, and calls work. The context of
// work ends when the lease is lost; the group then rejects the member's writes. JoinGroup releases all shards before
// it returns.
func (s *Store) JoinGroup(
	ctx context.Context, stream, name string, work func(context.Context, *GroupMember) error,
) error {
	join := func(ctx context.Context, session *concurrency.Session) error {
		m := &GroupMember{
			client: s.client, lease: session.Lease(), stream: stream, name: name, owned: map[string]state.FencingToken{},
		}
		if err := m.announce(ctx); err != nil {
			return err
		}
		return work(ctx, m)
	}
	return s.withLease(ctx, "read stream "+stream, errMembershipLost, join)
}

func (m *GroupMember) announce(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, opTimeout)
	defer cancel()
	key := groupRoot + m.stream + "/" + memberPart + m.name
	if _, err := m.client.Put(ctx, key, "", clientv3.WithLease(m.lease)); err != nil {
		return fmt.Errorf("join the group of stream %s: %w", m.stream, err)
	}
	return nil
}

// Assignments returns the checkpoints, owners and members of the group at one revision.
func (m *GroupMember) Assignments(ctx context.Context) (Assignments, error) {
	ctx, cancel := context.WithTimeout(ctx, opTimeout)
	defer cancel()
	checkpointPrefix, groupPrefix := checkpointRoot+m.stream+"/", groupRoot+m.stream+"/"
	response, err := m.client.Txn(ctx).Then(
		clientv3.OpGet(checkpointPrefix, clientv3.WithPrefix()),
		clientv3.OpGet(groupPrefix, clientv3.WithPrefix()),
	).Commit()
	if err != nil {
		return Assignments{}, fmt.Errorf("read the group of stream %s: %w", m.stream, err)
	}
	a := Assignments{Checkpoints: map[string][]byte{}, Owners: map[string]string{}}
	for _, kv := range response.Responses[0].GetResponseRange().GetKvs() {
		a.Checkpoints[strings.TrimPrefix(string(kv.Key), checkpointPrefix)] = kv.Value
	}
	for _, kv := range response.Responses[1].GetResponseRange().GetKvs() {
		name := strings.TrimPrefix(string(kv.Key), groupPrefix)
		if member, found := strings.CutPrefix(name, memberPart); found {
			a.Members = append(a.Members, member)
		} else {
			a.Owners[name] = string(kv.Value)
		}
	}
	return a, nil
}

func (m *GroupMember) ownerKey(shard string) string { return groupRoot + m.stream + "/" + shard }

func (m *GroupMember) checkpointKey(shard string) string {
	return checkpointRoot + m.stream + "/" + shard
}

// AcquireShard makes this member the owner of a shard that has no other owner, and returns the shard's checkpoint,
// nil if it has none. Acquiring an owned shard again succeeds: the response to the previous call may have been lost.
func (m *GroupMember) AcquireShard(ctx context.Context, shard string) (checkpoint []byte, acquired bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, opTimeout)
	defer cancel()
	key := m.ownerKey(shard)
	put := clientv3.OpPut(key, m.name, clientv3.WithLease(m.lease))
	getOwner, getCheckpoint := clientv3.OpGet(key), clientv3.OpGet(m.checkpointKey(shard))
	response, err := m.client.Txn(ctx).If(clientv3.Compare(clientv3.CreateRevision(key), "=", 0)).
		Then(put, getOwner, getCheckpoint).Else(getOwner, getCheckpoint).Commit()
	if err != nil {
		return nil, false, fmt.Errorf("acquire shard %s of stream %s: %w", shard, m.stream, err)
	}
	gets := response.Responses[len(response.Responses)-2:]
	owner := gets[0].GetResponseRange().GetKvs()[0]
	if owner.Lease != int64(m.lease) {
		return nil, false, nil
	}
	m.mu.Lock()
	m.owned[shard] = state.FencingToken{Key: key, Revision: owner.CreateRevision}
	m.mu.Unlock()
	if kvs := gets[1].GetResponseRange().GetKvs(); len(kvs) > 0 {
		checkpoint = kvs[0].Value
	}
	return checkpoint, true, nil
}

// fencingToken returns the token of an owned shard; zero if this member does not own it.
func (m *GroupMember) fencingToken(shard string) state.FencingToken {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.owned[shard]
}

// SaveCheckpoint saves the checkpoint of a shard if this member owns the shard, and reports whether it does.
func (m *GroupMember) SaveCheckpoint(ctx context.Context, shard string, checkpoint []byte) (owned bool, err error) {
	token := m.fencingToken(shard)
	if token.Revision == 0 {
		return false, nil
	}
	ctx, cancel := context.WithTimeout(ctx, opTimeout)
	defer cancel()
	put := clientv3.OpPut(m.checkpointKey(shard), string(checkpoint))
	response, err := m.client.Txn(ctx).If(guard(token)).Then(put).Commit()
	if err != nil {
		return false, fmt.Errorf("save checkpoint of shard %s of stream %s: %w", shard, m.stream, err)
	}
	return response.Succeeded, nil
}

// ReleaseShard makes an owned shard free. It does nothing if this member does not own the shard.
func (m *GroupMember) ReleaseShard(ctx context.Context, shard string) error {
	ctx, cancel := context.WithTimeout(ctx, opTimeout)
	defer cancel()
	key := m.ownerKey(shard)
	isOwner := clientv3.Compare(clientv3.LeaseValue(key), "=", m.lease)
	if _, err := m.client.Txn(ctx).If(isOwner).Then(clientv3.OpDelete(key)).Commit(); err != nil {
		return fmt.Errorf("release shard %s of stream %s: %w", shard, m.stream, err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.owned, shard)
	return nil
}

// DeleteCheckpoints deletes the checkpoints of those shards that have no owner.
func (m *GroupMember) DeleteCheckpoints(ctx context.Context, shards []string) error {
	for _, shard := range shards {
		if err := m.deleteCheckpoint(ctx, shard); err != nil {
			return fmt.Errorf("delete checkpoint of shard %s of stream %s: %w", shard, m.stream, err)
		}
	}
	return nil
}

func (m *GroupMember) deleteCheckpoint(ctx context.Context, shard string) error {
	ctx, cancel := context.WithTimeout(ctx, opTimeout)
	defer cancel()
	isFree := clientv3.Compare(clientv3.CreateRevision(m.ownerKey(shard)), "=", 0)
	_, err := m.client.Txn(ctx).If(isFree).Then(clientv3.OpDelete(m.checkpointKey(shard))).Commit()
	return err
}

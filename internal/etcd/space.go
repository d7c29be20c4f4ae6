package etcd

import (
	"context"
	"errors"
	"sync/atomic"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
)

// Space checks whether etcd rejects writes for lack of space.
type Space struct {
	client     *clientv3.Client
	outOfSpace atomic.Bool // at the latest check that etcd answered
}

// NewSpace returns a Space that uses client.
func NewSpace(client *clientv3.Client) *Space { return &Space{client: client} }

// OutOfSpace reports whether etcd rejects writes for lack of space. It checks etcd at every call, because the next
// write may be far away. If etcd does not respond, the result is the previous one.
func (s *Space) OutOfSpace(ctx context.Context) bool {
	// The guard never holds, so nothing is written. etcd out of space rejects every transaction that contains a put.
	never := clientv3.Compare(clientv3.CreateRevision(dataIDKey), "<", 0)
	_, err := s.client.Txn(ctx).If(never).Then(clientv3.OpPut(dataIDKey, "")).Commit()
	if full := errors.Is(err, rpctypes.ErrNoSpace); full || err == nil {
		s.outOfSpace.Store(full)
	}
	return s.outOfSpace.Load()
}

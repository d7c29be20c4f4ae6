package store

import (
	"context"
	"errors"
	"fmt"

	"go.etcd.io/etcd/api/v3/mvccpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/blox/blox/daemon-scheduler/environment"
)

const recordsPerRead = 500

// Scan reads every record below prefix at one revision, which it returns too.
func (s *Store) Scan(ctx context.Context, prefix string) (kvs []*mvccpb.KeyValue, revision int64, err error) {
	end := clientv3.GetPrefixRangeEnd(prefix)
	for from := prefix; ; {
		got, err := s.client.Get(ctx, from,
			clientv3.WithRange(end), clientv3.WithLimit(recordsPerRead), clientv3.WithRev(revision))
		if err != nil {
			return nil, 0, fmt.Errorf("list %s: %w", prefix, classify(err))
		}
		if revision == 0 {
			revision = got.Header.Revision
		}
		kvs = append(kvs, got.Kvs...)
		if !got.More {
			return kvs, revision, nil
		}
		from = string(kvs[len(kvs)-1].Key) + "\x00"
	}
}

// Watch returns the changes below prefix from revision on, until ctx ends or the member loses its leader.
func (s *Store) Watch(ctx context.Context, prefix string, revision int64) clientv3.WatchChan {
	return s.client.Watch(clientv3.WithRequireLeader(ctx), prefix, clientv3.WithPrefix(), clientv3.WithRev(revision))
}

// PutWithLease writes a value that etcd removes with its lease, and removes other keys in the same transaction. It
// returns rpctypes.ErrLeaseNotFound if the lease does not exist.
func (s *Store) PutWithLease(
	ctx context.Context, key, value string, lease clientv3.LeaseID, remove []string,
) error {
	ops := []clientv3.Op{clientv3.OpPut(key, value, clientv3.WithLease(lease))}
	for _, old := range remove {
		ops = append(ops, clientv3.OpDelete(old))
	}
	_, err := s.client.Txn(ctx).Then(ops...).Commit()
	return classify(err)
}

// GrantLease returns a new lease.
func (s *Store) GrantLease(ctx context.Context, seconds int64) (clientv3.LeaseID, error) {
	granted, err := s.client.Grant(ctx, seconds)
	if err != nil {
		return 0, fmt.Errorf("grant a lease: %w", classify(err))
	}
	return granted.ID, nil
}

// classify adds environment.ErrStoreUnavailable to err if etcd did not respond, and environment.ErrStoreOutOfSpace if
// etcd accepts no writes.
func classify(err error) error {
	code := status.Code(err)
	// gRPC does not recognize an EtcdError as a status.
	if etcdError := (rpctypes.EtcdError{}); errors.As(err, &etcdError) {
		code = etcdError.Code()
	}
	if errors.Is(err, context.DeadlineExceeded) || code == codes.DeadlineExceeded || code == codes.Unavailable {
		return errors.Join(environment.ErrStoreUnavailable, err)
	}
	if errors.Is(err, rpctypes.ErrNoSpace) {
		return errors.Join(environment.ErrStoreOutOfSpace, err)
	}
	return err
}

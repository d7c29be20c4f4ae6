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

// Leased is a write of a record that etcd removes with its lease.
type Leased struct {
	Key, Value string
	Known      int64 // the record's revision; 0: there is no record
	Lease      clientv3.LeaseID
	Remove     []string // other keys to remove in the same transaction
}

// PutWithLease writes a record if etcd has it as known, and returns the revision of the write. If not, it writes
// nothing and returns the stored record; nil if there is none. It returns rpctypes.ErrLeaseNotFound if the lease does
// not exist.
func (s *Store) PutWithLease(ctx context.Context, l Leased) (revision int64, stored *mvccpb.KeyValue, err error) {
	ops := []clientv3.Op{clientv3.OpPut(l.Key, l.Value, clientv3.WithLease(l.Lease))}
	for _, old := range l.Remove {
		ops = append(ops, clientv3.OpDelete(old))
	}
	done, err := s.client.Txn(ctx).If(clientv3.Compare(clientv3.ModRevision(l.Key), "=", l.Known)).
		Then(ops...).Else(clientv3.OpGet(l.Key)).Commit()
	if err != nil {
		return 0, nil, classify(err)
	}
	if done.Succeeded {
		return done.Header.Revision, nil, nil
	}
	if kvs := done.Responses[0].GetResponseRange().Kvs; len(kvs) > 0 {
		stored = kvs[0]
	}
	return 0, stored, nil
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

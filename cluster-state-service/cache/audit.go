package cache

import (
	"context"
	"fmt"
	"iter"
	"time"

	"github.com/sirupsen/logrus"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/blox/blox/cluster-state-service/state"
	"github.com/blox/blox/internal/backoff"
	"github.com/blox/blox/internal/digest"
)

const (
	auditInterval = 5 * time.Minute // between two audits, at most
	auditPage     = 1000            // keys in a request
	auditPause    = 20 * time.Millisecond
)

// runAudits audits the cache until ctx ends.
func (c *Cache) runAudits(ctx context.Context) {
	for backoff.Sleep(ctx, backoff.Jitter(auditInterval)) { // jitter spreads the replicas
		if err := c.audit(ctx); err != nil && ctx.Err() == nil {
			c.log.WithError(err).Debug("failed to audit the cache")
		}
	}
}

// audit compares the cache with etcd at the same revision: the keys and their mod revisions. If they differ, it makes
// Run drop the cache and load it again. An error means that the comparison was impossible, such as after a compaction.
func (c *Cache) audit(ctx context.Context) error {
	s, err := c.WaitCurrent(ctx)
	if err != nil {
		return err
	}
	tasks, err := differences(ctx, c.client, s.Tasks, state.KindTask, s.Revision, c.tasks.Decode)
	if err != nil {
		return err
	}
	instances, err := differences(ctx, c.client, s.Instances, state.KindInstance, s.Revision, c.instances.Decode)
	if err != nil {
		return err
	}
	different := append(tasks, instances...)
	if len(different) == 0 {
		return nil
	}
	c.metrics.differences.Add(float64(len(different)))
	c.log.WithFields(logrus.Fields{"records": len(different), "first": different[0], "revision": s.Revision}).
		Error("the cache differs from etcd; reloading the cache")
	c.differs.Store(true)
	c.reload()
	return nil
}

// differences returns the keys of a kind that the index lacks, that etcd lacks at the revision, or whose mod revisions
// differ; and the kind's prefix if the index's digest, which clients compare with theirs, is not that of its entries.
// It reads keys only, and pauses between pages.
func differences[T, S any](
	ctx context.Context, client *clientv3.Client, index Index[S], kind state.Kind, revision int64,
	decode func([]byte) (T, error),
) (different []string, err error) {
	var versions digest.Sum
	for e := range index.Prefix("") {
		versions.Add(e.arn(), e.Revision)
	}
	if versions != index.Versions() {
		different = append(different, kind.Prefix())
	}
	next, stop := iter.Pull(index.Prefix(kind.Prefix()))
	defer stop()
	held, more := next()
	for from, end := kind.Prefix(), clientv3.GetPrefixRangeEnd(kind.Prefix()); ; {
		page, err := readKeys(ctx, client, from, end, revision)
		if err != nil {
			return nil, fmt.Errorf("audit %ss at revision %d: %w", kind, revision, err)
		}
		for _, kv := range page.Kvs {
			key := string(kv.Key)
			for ; more && held.Key < key; held, more = next() {
				different = append(different, held.Key)
			}
			switch {
			case more && held.Key == key:
				if held.Revision != kv.ModRevision {
					different = append(different, key)
				}
				held, more = next()
			case !isMalformed(ctx, client, key, revision, decode):
				different = append(different, key)
			}
		}
		if !page.More {
			break
		}
		from = string(page.Kvs[len(page.Kvs)-1].Key) + "\x00"
		backoff.Sleep(ctx, auditPause)
	}
	for ; more; held, more = next() {
		different = append(different, held.Key)
	}
	return different, nil
}

func readKeys(
	ctx context.Context, client *clientv3.Client, from, end string, revision int64,
) (*clientv3.GetResponse, error) {
	ctx, cancel := context.WithTimeout(ctx, etcdTimeout)
	defer cancel()
	return client.Get(ctx, from,
		clientv3.WithRange(end), clientv3.WithRev(revision), clientv3.WithLimit(auditPage), clientv3.WithKeysOnly())
}

// isMalformed reports whether the cache rightly lacks a key: the key or its value is malformed. If etcd does not
// respond, it reports true, and the next audit decides.
func isMalformed[T any](
	ctx context.Context, client *clientv3.Client, key string, revision int64, decode func([]byte) (T, error),
) bool {
	if _, err := state.ParseKey(key); err != nil {
		return true
	}
	ctx, cancel := context.WithTimeout(ctx, etcdTimeout)
	defer cancel()
	got, err := client.Get(ctx, key, clientv3.WithRev(revision))
	if err != nil || len(got.Kvs) == 0 {
		return true
	}
	_, err = decode(got.Kvs[0].Value)
	return err != nil
}

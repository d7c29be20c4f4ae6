package cache

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"github.com/sirupsen/logrus"
	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/blox/blox/daemon-scheduler/store"
	"github.com/blox/blox/internal/backoff"
	"github.com/blox/blox/internal/logging"
)

const (
	listTimeout       = 30 * time.Second
	firstRetryDelay   = 100 * time.Millisecond
	longestRetryDelay = 5 * time.Second
	stableAfter       = time.Minute // a watch that lasted as long resets the back-off
)

// Handler receives the records below a prefix. One goroutine calls it.
type Handler interface {
	// Replace receives all records, as they are at revision.
	Replace(kvs []*mvccpb.KeyValue, revision int64)
	// Apply receives the changes of one watch response, in etcd's order.
	Apply(events []*clientv3.Event)
	// Interrupted is called when the watch ends. The next Replace shows the changes since then.
	Interrupted()
}

// Follow lists the records below prefix and watches them. It retries until ctx ends.
func Follow(ctx context.Context, s *store.Store, prefix string, handler Handler, log logrus.FieldLogger) {
	retry := backoff.New(firstRetryDelay, longestRetryDelay)
	failures := logging.NewFailureLog(log.WithField("prefix", prefix), "failed to follow etcd; listing again",
		"resumed following etcd")
	for ctx.Err() == nil {
		start := time.Now()
		err := listAndWatch(ctx, s, prefix, handler, failures.Succeeded)
		if ctx.Err() != nil {
			return
		}
		if time.Since(start) > stableAfter {
			retry.Reset()
		}
		failures.Failed(err)
		retry.Wait(ctx)
	}
}

// listAndWatch calls listed when the handler has all records.
func listAndWatch(ctx context.Context, s *store.Store, prefix string, handler Handler, listed func()) error {
	listCtx, cancel := context.WithTimeout(ctx, listTimeout)
	kvs, revision, err := s.Scan(listCtx, prefix)
	cancel()
	if err != nil {
		return err
	}
	handler.Replace(kvs, revision)
	listed()
	defer handler.Interrupted()
	watchCtx, cancel := context.WithCancel(ctx)
	defer cancel()
	order := s.WatchOrder(revision)
	for changes := range s.Watch(watchCtx, prefix, revision+1) {
		if err := cmp.Or(changes.Err(), order.Check(changes)); err != nil {
			return fmt.Errorf("watch %s: %w", prefix, err)
		}
		handler.Apply(changes.Events)
	}
	return fmt.Errorf("watch %s: ended", prefix)
}

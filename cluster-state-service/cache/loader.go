package cache

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/sirupsen/logrus"
	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"
	"golang.org/x/sync/errgroup"

	"github.com/blox/blox/cluster-state-service/state"
	"github.com/blox/blox/internal/etcd"
)

const (
	pageSize    = 500 // keys a request while loading
	pageTimeout = 30 * time.Second
)

// loadedPrefixes are the keys that the cache holds.
var loadedPrefixes = []string{
	state.KindTask.Prefix(), state.KindInstance.Prefix(), state.ReconcilePrefix, state.LockPrefix,
}

// followData is loadAndWatch until etcd is wiped or restored, its watch loses events or an audit finds a
// difference. Then it drops the cache's content.
func (c *Cache) followData(ctx context.Context, loaded func()) error {
	data, cancel := c.monitor.Context(ctx)
	defer cancel()
	err := c.loadAndWatch(data, loaded)
	if cause := context.Cause(data); errors.Is(cause, etcd.ErrDataReplaced) {
		c.drop()
		return cause
	}
	if c.differs.Swap(false) || errors.Is(err, etcd.ErrWatchOrder) {
		c.drop()
	}
	return err
}

// loadAndWatch loads all records and applies the events of etcd's watch until that fails. It calls loaded after the
// load.
func (c *Cache) loadAndWatch(ctx context.Context, loaded func()) error {
	ctx, cancel := context.WithCancel(dedicatedStream(ctx))
	defer cancel()
	if err := c.probe(ctx); err != nil {
		return err
	}
	s, err := c.load(ctx)
	if err != nil {
		return err
	}
	c.restart(s)
	c.metrics.loads.Inc()
	loaded()
	c.mu.Lock()
	c.cancelWatch = cancel
	c.mu.Unlock()
	c.log.WithFields(logrus.Fields{
		"revision": s.Revision, "tasks": s.Tasks.Len(), "instances": s.Instances.Len(),
	}).Info("cache loaded")

	watch := c.watchClient.Watch(ctx, state.Root, clientv3.WithPrefix(), clientv3.WithRev(s.Revision+1),
		clientv3.WithFragment())
	order := c.monitor.WatchOrder(s.Revision)
	for response := range watch {
		switch err := cmp.Or(response.Err(), order.Check(response)); {
		case err != nil:
			return fmt.Errorf("watch %s: %w", state.Root, err)
		case response.IsProgressNotify():
			c.advanceTo(response.Header.Revision)
		case len(response.Events) > 0:
			c.apply(response.Events)
		}
	}
	return fmt.Errorf("watch %s: ended", state.Root)
}

// probe detects an unavailable etcd within etcdTimeout. A page of the load has a longer timeout.
func (c *Cache) probe(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, etcdTimeout)
	defer cancel()
	if _, err := c.client.Get(ctx, state.ReconcilePrefix, clientv3.WithCountOnly()); err != nil {
		return fmt.Errorf("reach etcd: %w", err)
	}
	return nil
}

// dedicatedStream puts the watch and its progress requests on one gRPC stream that no other watch uses.
func dedicatedStream(ctx context.Context) context.Context {
	return etcd.DedicatedStream(clientv3.WithRequireLeader(ctx), "cache")
}

// load reads all records at one revision.
func (c *Cache) load(ctx context.Context) (*Snapshot, error) {
	s := &Snapshot{
		Tasks: NewTasks(), Instances: NewInstances(), Metadata: map[string]MetadataKey{},
		generation: c.monitor.Generation(),
	}
	if previous := c.Snapshot(); previous != nil {
		s.Changes = previous.Changes
	}
	for _, prefix := range loadedPrefixes {
		err := c.loadPrefix(ctx, prefix, &s.Revision, func(kv *mvccpb.KeyValue) { c.put(s, kv) })
		if err != nil {
			return nil, fmt.Errorf("load %s: %w", prefix, err)
		}
	}
	s.Reconciliations = newReconciliations(s.Metadata)
	s.TasksChanged, s.InstancesChanged = s.Revision, s.Revision
	return s, nil
}

// loadPrefix reads the prefix at the revision and calls each in the order of the keys. If the revision is zero, the
// first page sets it. While each decodes a page, etcd already sends the next one.
func (c *Cache) loadPrefix(ctx context.Context, prefix string, revision *int64, each func(*mvccpb.KeyValue)) error {
	pages, at := make(chan *clientv3.GetResponse), *revision
	reader, ctx := errgroup.WithContext(ctx)
	reader.Go(func() error {
		defer close(pages)
		return c.readPages(ctx, prefix, at, pages)
	})
	for page := range pages {
		if *revision == 0 {
			*revision = page.Header.Revision
		}
		for _, kv := range page.Kvs {
			each(kv)
		}
	}
	return reader.Wait()
}

// readPages sends the pages of the prefix, all at one revision: the given one or, if that is zero, the first page's.
func (c *Cache) readPages(
	ctx context.Context, prefix string, revision int64, pages chan<- *clientv3.GetResponse,
) error {
	end := clientv3.GetPrefixRangeEnd(prefix)
	for from := prefix; ; {
		limited, cancel := context.WithTimeout(ctx, pageTimeout)
		page, err := c.client.Get(limited, from,
			clientv3.WithRange(end), clientv3.WithLimit(pageSize), clientv3.WithRev(revision))
		cancel()
		if err != nil {
			return err
		}
		if revision == 0 {
			revision = page.Header.Revision
		}
		more := page.More
		if more {
			from = string(page.Kvs[len(page.Kvs)-1].Key) + "\x00"
		}
		select {
		case pages <- page:
		case <-ctx.Done():
			return ctx.Err()
		}
		if !more {
			return nil
		}
	}
}

// advanceTo publishes that no key has changed up to revision.
func (c *Cache) advanceTo(revision int64) {
	if s := c.Snapshot(); revision > s.Revision {
		next := *s
		next.Revision = revision
		c.publish(&next, nil)
	}
}

// apply publishes one snapshot that includes events, which are whole revisions.
func (c *Cache) apply(events []*clientv3.Event) {
	old := c.Snapshot()
	next := &Snapshot{
		Revision: events[len(events)-1].Kv.ModRevision,
		Tasks:    old.Tasks.Clone(), Instances: old.Instances.Clone(),
		Metadata: old.Metadata, Reconciliations: old.Reconciliations,
		Changes: old.Changes + int64(len(events)), generation: old.generation,
		TasksChanged: old.TasksChanged, InstancesChanged: old.InstancesChanged,
	}
	metadataChanged := slices.ContainsFunc(events, func(e *clientv3.Event) bool { return IsMetadataKey(string(e.Kv.Key)) })
	if metadataChanged {
		next.Metadata = maps.Clone(old.Metadata)
	}
	changes := make([]Change, 0, len(events))
	for _, e := range events {
		switch key := string(e.Kv.Key); {
		case strings.HasPrefix(key, state.KindTask.Prefix()):
			next.TasksChanged = e.Kv.ModRevision
		case strings.HasPrefix(key, state.KindInstance.Prefix()):
			next.InstancesChanged = e.Kv.ModRevision
		}
		update := c.put
		if e.Type == clientv3.EventTypeDelete {
			update = c.remove
		}
		if change := update(next, e.Kv); change != nil {
			changes = append(changes, *change)
		}
	}
	if metadataChanged {
		next.Reconciliations = newReconciliations(next.Metadata)
	}
	c.publish(next, changes)
}

// put stores a key's value in s. It returns the change for subscribers, or nil if there is none. A malformed value is
// logged and its key removed from s, so that one bad record does not spoil a list.
func (c *Cache) put(s *Snapshot, kv *mvccpb.KeyValue) *Change {
	name := string(kv.Key)
	if IsMetadataKey(name) {
		s.Metadata[name] = ParseMetadataKey(name, string(kv.Value), kv.CreateRevision)
		return nil
	}
	key, err := state.ParseKey(name)
	if err != nil {
		return nil // another part of Blox owns this key
	}
	var change Change
	if key.Kind == state.KindTask {
		change, err = c.tasks.putInto(s.Tasks, kv)
	} else {
		change, err = c.instances.putInto(s.Instances, kv)
	}
	return c.putChange(key, kv, change, err)
}

// putChange completes the change of a put. It logs a malformed record and returns nil.
func (c *Cache) putChange(key state.Key, kv *mvccpb.KeyValue, change Change, err error) *Change {
	if err != nil {
		c.log.WithError(err).WithField("key", key.String()).Error("malformed record skipped")
		return nil
	}
	change.Key, change.Revision, change.Created = key, kv.ModRevision, kv.CreateRevision == kv.ModRevision
	return &change
}

// remove deletes a key from s. It returns the change for subscribers, or nil if there is none.
func (c *Cache) remove(s *Snapshot, kv *mvccpb.KeyValue) *Change {
	name := string(kv.Key)
	if IsMetadataKey(name) {
		delete(s.Metadata, name)
		return nil
	}
	key, err := state.ParseKey(name)
	if err != nil {
		return nil
	}
	var previous any
	if key.Kind == state.KindTask {
		previous = entityOf(s.Tasks.Delete(name))
	} else {
		previous = entityOf(s.Instances.Delete(name))
	}
	return c.deleteChange(key, kv.ModRevision, previous)
}

// deleteChange returns the change of a deletion.
func (c *Cache) deleteChange(key state.Key, revision int64, previous any) *Change {
	encode := c.tasks.EncodeDeleted
	if key.Kind == state.KindInstance {
		encode = c.instances.EncodeDeleted
	}
	return &Change{
		Key: key, Revision: revision, Deleted: true, Line: append(encode(key, revision), '\n'), Previous: previous,
	}
}

// Package cache keeps a copy in memory of the records in etcd. It answers every read of the API and feeds every stream.
//
// Only etcd's watch changes the cache, so replicas that share an etcd agree. Reads through WaitCurrent are
// linearizable.
package cache

import (
	"cmp"
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/sirupsen/logrus"
	clientv3 "go.etcd.io/etcd/client/v3"
	"golang.org/x/sync/errgroup"

	"github.com/blox/blox/cluster-state-service/state"
	"github.com/blox/blox/internal/backoff"
	"github.com/blox/blox/internal/broadcast"
	"github.com/blox/blox/internal/etcd"
	"github.com/blox/blox/internal/logging"
)

const (
	defaultHistoryLimit = 20_000
	// maxReplays bounds concurrent replays: each makes etcd scan its history.
	maxReplays = 2
	// Delays before etcd is loaded again after the watch was lost.
	minReloadDelay = 50 * time.Millisecond
	maxReloadDelay = 5 * time.Second
)

// Cache is the copy and its subscribers. Construct it with New; it is empty until Run has loaded etcd.
type Cache struct {
	watchClient *clientv3.Client
	client      *clientv3.Client
	monitor     *etcd.Monitor
	progress    *etcd.Progress
	tasks       Codec[state.Task, state.TaskSummary]
	instances   Codec[state.Instance, state.Instance]
	log         logrus.FieldLogger
	metrics     metrics

	historyLimit int // number of changes

	snapshot atomic.Pointer[Snapshot] // nil until the first load
	lastRead atomic.Pointer[read]     // of etcd's revision; nil before the first
	differs  atomic.Bool              // an audit found the cache to differ from etcd

	mu          sync.Mutex
	history     *broadcast.History[Change]
	advanced    chan struct{} // closed and replaced whenever a snapshot is published
	wanted      int64         // highest revision that a caller of WaitCurrent waits for
	cancelWatch func()        // stops the current watch, which forces a reload

	progressWake  chan struct{} // signals that wanted has risen
	revisionReads revisionReads
	replaySlots   chan struct{} // holds a token for each running replay
}

// Config holds New's inputs.
type Config struct {
	// WatchClient serves only the cache's own watch: etcd answers progress requests for all watches of a connection at
	// once.
	WatchClient *clientv3.Client
	Client      *clientv3.Client
	// Monitor detects that etcd was wiped or restored, which empties the cache; nil detects nothing.
	Monitor *etcd.Monitor
	// Tasks and Instances decode and encode the records.
	Tasks     Codec[state.Task, state.TaskSummary]
	Instances Codec[state.Instance, state.Instance]
	Log       logrus.FieldLogger
	// HistoryLimit is the number of changes kept for streams that start in the past; 20,000 by default. Older changes
	// are replayed from etcd.
	HistoryLimit int
	// Metrics registers the cache's metrics; nil registers none.
	Metrics prometheus.Registerer
}

// New constructs a Cache. Run fills it.
func New(cfg Config) *Cache {
	c := &Cache{
		watchClient: cfg.WatchClient, client: cfg.Client, monitor: cfg.Monitor,
		progress: etcd.NewProgress(cfg.Client, cfg.Log),
		tasks:    cfg.Tasks, instances: cfg.Instances, log: cfg.Log,
		historyLimit: cmp.Or(cfg.HistoryLimit, defaultHistoryLimit),
		advanced:     make(chan struct{}), progressWake: make(chan struct{}, 1), cancelWatch: func() {},
		revisionReads: revisionReads{wake: make(chan struct{}, 1)},
		replaySlots:   make(chan struct{}, maxReplays),
	}
	c.history = c.newHistory(0)
	c.metrics = newMetrics(c, cfg.Metrics)
	return c
}

// Run keeps the cache current until ctx is cancelled, and then returns nil. If etcd cancels the watch or is
// unavailable, Run reloads the cache as soon as etcd answers. Until then the cache keeps its last state, and
// WaitCurrent returns an error. When etcd was wiped or restored, Run empties the cache first.
func (c *Cache) Run(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { c.revisionReads.run(ctx, c.readRevision); return nil })
	group.Go(func() error { c.requestProgress(ctx); return nil })
	group.Go(func() error { c.progress.Run(ctx); return nil })
	group.Go(func() error { c.runAudits(ctx); return nil })
	group.Go(func() error {
		defer func() { c.currentHistory().Close(errStopped) }()
		failures := logging.NewFailureLog(c.log.WithField("etcd", c.client.Endpoints()),
			"etcd watch lost; reloading the cache", "resumed following etcd")
		for retry := backoff.New(minReloadDelay, maxReloadDelay); ctx.Err() == nil; retry.Wait(ctx) {
			err := c.followData(ctx, func() { retry.Reset(); failures.Succeeded() })
			if ctx.Err() == nil {
				failures.Failed(err)
			}
		}
		return nil
	})
	return group.Wait()
}

// Snapshot returns the latest state, which may lag behind etcd; nil before the first load. See WaitCurrent.
func (c *Cache) Snapshot() *Snapshot { return c.snapshot.Load() }

// StoredVersion returns the version that the cache holds under a key. The store uses it as its guess of what it
// replaces.
func (c *Cache) StoredVersion(key state.Key) state.StoredVersion {
	if s := c.Snapshot(); s != nil {
		return s.StoredVersion(key)
	}
	return state.StoredVersion{}
}

// ReconciledAt returns when the last complete reconciliation of a cluster began; zero if there was none.
func (c *Cache) ReconciledAt(clusterARN string) time.Time {
	if s := c.Snapshot(); s != nil {
		return s.Reconciliations.Of(clusterARN).StartedAt
	}
	return time.Time{}
}

// publish makes s the current snapshot after it has appended s's changes to the history. A reader that sees a revision
// therefore finds every change up to it in the history.
func (c *Cache) publish(s *Snapshot, changes []Change) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(changes) > 0 {
		c.history.Append(changes[len(changes)-1].Revision, changes...)
	}
	c.snapshot.Store(s)
	close(c.advanced)
	c.advanced = make(chan struct{})
}

// restart begins a new history at a freshly loaded snapshot and ends all streams with errInterrupted. That includes
// streams opened before the first load: changes made since are in the snapshot, but not in the history.
func (c *Cache) restart(s *Snapshot) {
	c.mu.Lock()
	c.history.Close(errInterrupted)
	c.history = c.newHistory(s.Revision)
	c.wanted = 0
	c.mu.Unlock()
	c.publish(s, nil)
}

// drop empties the cache and ends all streams with errInterrupted. It is for an etcd that was wiped or restored, or
// whose watch lost events: the cache's content is worthless then.
func (c *Cache) drop() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.history.Close(errInterrupted)
	c.history = c.newHistory(0)
	c.wanted = 0
	c.snapshot.Store(nil)
}

// reload stops the current watch, so that Run loads everything again.
func (c *Cache) reload() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.cancelWatch()
}

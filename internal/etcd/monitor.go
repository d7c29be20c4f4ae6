package etcd

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
	"github.com/sirupsen/logrus"
	clientv3 "go.etcd.io/etcd/client/v3"
)

// ErrDataReplaced is why a context of Monitor.Context ended: etcd was wiped, or restored from a backup whose revisions
// were not raised. Copies of etcd's data, revisions and leases from before are worthless.
var ErrDataReplaced = errors.New("etcd was wiped or restored from a backup")

// dataIDKey holds a random id. A wiped etcd lacks it, even if its revision has already overtaken the former one.
const dataIDKey = "ecs/data-id"

const (
	checkInterval = time.Second            // between two checks
	recheckDelay  = 100 * time.Millisecond // before the next check if a response was suspicious
	checkTimeout  = 5 * time.Second
)

// Monitor detects that etcd's data was replaced. It compares the header of every response of its clients with the
// highest revision seen before. Only a linearizable read proves a replacement, because a member may lag: Run makes one
// each second, and at once after a suspicious response or a new watch. A watch that resumes at a revision that etcd
// has not reached yet would wait without an error. A nil Monitor detects nothing.
type Monitor struct {
	log        logrus.FieldLogger
	replaced   prometheus.Counter
	violations prometheus.Counter // found by WatchOrder
	usage      *usage
	suspect    chan struct{} // requests a check

	mu         sync.Mutex
	seen       position
	generation int64 // replacements detected
	contexts   map[*context.CancelCauseFunc]struct{}
}

// position is how far one history of etcd has got.
type position struct {
	cluster  uint64 // 0 before the first check
	revision int64
	dataID   string // empty if etcd accepts no writes
}

// NewMonitor returns a Monitor that logs and counts replacements, and measures how much of its space etcd uses. The
// registerer adds the service's prefix; nil registers nothing.
func NewMonitor(log logrus.FieldLogger, registerer prometheus.Registerer) *Monitor {
	factory := promauto.With(registerer)
	return &Monitor{
		log: log, suspect: make(chan struct{}, 1), contexts: map[*context.CancelCauseFunc]struct{}{},
		usage: newUsage(registerer),
		replaced: factory.NewCounter(prometheus.CounterOpts{
			Name: "etcd_data_replaced_total",
			Help: "Times that etcd was found wiped or restored from a backup without raised revisions.",
		}),
		violations: factory.NewCounter(prometheus.CounterOpts{
			Name: "etcd_watch_order_violations_total",
			Help: "Watches that delivered an event after etcd had announced its revision.",
		}),
	}
}

// Run checks and measures etcd until ctx ends, and then returns nil.
func (m *Monitor) Run(ctx context.Context, client *clientv3.Client) error {
	var measuring sync.WaitGroup
	measuring.Go(func() { m.usage.run(ctx, client) })
	defer measuring.Wait()
	ticker := time.NewTicker(checkInterval)
	defer ticker.Stop()
	for ctx.Err() == nil {
		// Failures reach the users of etcd, which log them. The next check follows.
		_ = m.check(ctx, client)
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(recheckDelay):
		}
		select {
		case <-ctx.Done():
		case <-ticker.C:
		case <-m.suspect:
		}
	}
	return nil
}

// Context returns a context that ends with ctx, or with the cause ErrDataReplaced when etcd's data is replaced. The
// caller must call cancel.
func (m *Monitor) Context(ctx context.Context) (data context.Context, cancel context.CancelFunc) {
	data, end := context.WithCancelCause(ctx)
	if m == nil {
		return data, func() { end(nil) }
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.contexts[&end] = struct{}{}
	return data, func() {
		m.mu.Lock()
		delete(m.contexts, &end)
		m.mu.Unlock()
		end(nil)
	}
}

// Generation counts the replacements. It grows before the contexts end.
func (m *Monitor) Generation() int64 {
	if m == nil {
		return 0
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.generation
}

// check reads etcd linearizably and compares the result with the position before.
func (m *Monitor) check(ctx context.Context, client *clientv3.Client) error {
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	before := m.mark()
	got, err := client.Get(ctx, dataIDKey)
	if err != nil {
		return fmt.Errorf("read %s: %w", dataIDKey, err)
	}
	now := position{cluster: got.Header.ClusterId, revision: got.Header.Revision}
	if len(got.Kvs) > 0 {
		now.dataID = string(got.Kvs[0].Value)
	}
	m.compare(before, now)
	if now.dataID != "" {
		return nil
	}
	created, err := createDataID(ctx, client)
	if err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.seen.dataID = created
	return nil
}

// mark is what the monitor knew when a request or stream began. A response belongs to the history of its beginning:
// it says nothing about a later generation of the data.
type mark struct {
	position
	generation int64
}

// createDataID returns the new id, or the id of another replica that was faster.
func createDataID(ctx context.Context, client *clientv3.Client) (string, error) {
	id := uuid.NewString()
	done, err := client.Txn(ctx).
		If(clientv3.Compare(clientv3.CreateRevision(dataIDKey), "=", 0)).
		Then(clientv3.OpPut(dataIDKey, id)).
		Else(clientv3.OpGet(dataIDKey)).Commit()
	if err != nil {
		return "", fmt.Errorf("create %s: %w", dataIDKey, err)
	}
	if !done.Succeeded {
		if held := done.Responses[0].GetResponseRange().GetKvs(); len(held) > 0 {
			return string(held[0].Value), nil
		}
	}
	return id, nil
}

// compare takes over now, which was read after before had been seen. If both cannot belong to one history, it ends all
// contexts.
func (m *Monitor) compare(before mark, now position) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if before.generation != m.generation {
		return
	}
	if now.follows(before.position) {
		m.seen.cluster = now.cluster
		m.seen.revision = max(m.seen.revision, now.revision)
		m.seen.dataID = now.dataID
		return
	}
	m.seen = now
	m.generation++
	m.replaced.Inc()
	m.log.WithFields(logrus.Fields{
		"previousRevision": before.revision, "revision": now.revision,
		"previousCluster": fmt.Sprintf("%x", before.cluster), "cluster": fmt.Sprintf("%x", now.cluster),
		"previousDataID": before.dataID, "dataID": now.dataID,
	}).Warn("etcd was wiped or restored from a backup; reloading and electing a leader")
	for end := range m.contexts {
		(*end)(ErrDataReplaced)
	}
	clear(m.contexts)
}

// follows reports whether p may be a later position of the same history as before.
func (p position) follows(before position) bool {
	if before.cluster == 0 {
		return p.revision >= before.revision
	}
	return p.cluster == before.cluster && p.revision >= before.revision &&
		(before.dataID == "" || p.dataID == before.dataID)
}

func (m *Monitor) mark() mark {
	m.mu.Lock()
	defer m.mu.Unlock()
	return mark{m.seen, m.generation}
}

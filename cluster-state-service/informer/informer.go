// Package informer keeps a copy of what a cluster-state-service (CSS) knows, for those who build schedulers on it: every
// container instance and every task, in memory, up to date within moments of a change.
//
// It lists once and then follows the two streams. When a stream breaks it is resumed, at another replica of the CSS
// where there is one, and nothing is missed or told twice; where that cannot be, the copy is listed anew.
//
//	m, err := mirror.New(mirror.Config{Endpoints: []string{"localhost:3000"}})
//	stop := m.Subscribe(func(c mirror.Change) { queue.Add(c.ClusterARN) })
//	defer stop()
//	go m.Run(ctx)
package informer

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/sirupsen/logrus"
	"golang.org/x/sync/errgroup"

	"github.com/blox/blox/internal/redact"
	"github.com/blox/blox/swagger/cluster-state-service/v1/models"
)

// Config is what a Mirror needs to know.
type Config struct {
	// Endpoints are the replicas of one CSS, which share an etcd: host:port or a URL. One is used at a time.
	Endpoints []string
	// HTTPClient must not have a Timeout, which would end streams; its Transport knows the certificates for https. Nil is one
	// of the Mirror's own, which trusts the machine's authorities.
	HTTPClient *http.Client
	// Log is told of broken connections; nil is told nothing.
	Log logrus.FieldLogger
	// Heartbeat is how often a quiet stream shows that it is alive: whole seconds, 1 to 300, 5 when zero. A stream that is
	// silent for three of them is given up.
	Heartbeat time.Duration
}

// Informer is the copy. All of its methods may be called at any time, by many goroutines.
type Informer struct {
	endpoints []string
	client    *http.Client
	log       logrus.FieldLogger
	heartbeat time.Duration
	silence   time.Duration // after which a connection is given up
	backoff   time.Duration // after a first failure, twice as long after the next; up to slowest

	instances    *records[models.ContainerInstance]
	tasks        *records[models.Task]
	listeners    listeners
	reconciledMu sync.Mutex
	reconciledAt time.Time
}

// New checks cfg. The Mirror is empty until Run has listed.
func New(cfg Config) (*Informer, error) {
	if cfg.Heartbeat == 0 {
		cfg.Heartbeat = 5 * time.Second
	}
	if cfg.Heartbeat < time.Second || cfg.Heartbeat > 300*time.Second || cfg.Heartbeat%time.Second != 0 {
		return nil, fmt.Errorf("heartbeat %s: not whole seconds from 1 to 300", cfg.Heartbeat)
	}
	if len(cfg.Endpoints) == 0 {
		return nil, errors.New("no endpoint of a cluster-state-service is given")
	}
	m := &Informer{
		client:    cfg.HTTPClient,
		log:       cfg.Log,
		heartbeat: cfg.Heartbeat,
		silence:   3 * cfg.Heartbeat,
		backoff:   100 * time.Millisecond,
		instances: newRecords(KindInstance, readInstance, instanceMarks),
		tasks:     newRecords(KindTask, readTask, taskMarks),
	}
	for _, given := range cfg.Endpoints {
		endpoint, err := baseURL(given)
		if err != nil {
			return nil, err
		}
		m.endpoints = append(m.endpoints, endpoint)
	}
	if m.client == nil {
		m.client = &http.Client{Transport: &http.Transport{Proxy: http.ProxyFromEnvironment}}
	}
	if m.log == nil {
		silent := logrus.New()
		silent.SetOutput(io.Discard)
		m.log = silent
	}
	return m, nil
}

// baseURL is what the paths of the API are added to.
func baseURL(endpoint string) (string, error) {
	base, bare := endpoint, !strings.Contains(endpoint, "://")
	if bare {
		base = "http://" + base
	}
	u, err := url.Parse(base)
	if err != nil || bare && u.Port() == "" || u.Hostname() == "" || u.Scheme != "http" && u.Scheme != "https" || strings.ContainsAny(endpoint, "?#") {
		return "", fmt.Errorf("endpoint %q of a cluster-state-service: neither host:port nor a URL", redact.URL(endpoint))
	}
	return strings.TrimRight(base, "/"), nil
}

// Run keeps the copy up to date until ctx ends, and then returns nil. Whatever fails is tried again for as long.
func (m *Informer) Run(ctx context.Context) error {
	defer m.client.CloseIdleConnections()
	kinds, ctx := errgroup.WithContext(ctx)
	kinds.Go(func() error { return follow(ctx, m, "instances", m.instances) })
	kinds.Go(func() error { return follow(ctx, m, "tasks", m.tasks) })
	return kinds.Wait()
}

// Synced tells whether the copy is complete: both kinds have been listed.
func (m *Informer) Synced() bool {
	return !m.instances.currentAt().IsZero() && !m.tasks.currentAt().IsZero()
}

// Age is the time since the copy is known to have held all that the CSS did; of its two kinds, the older one's. While
// all is well it is below Config.Heartbeat. Before Synced it is the longest of durations.
func (m *Informer) Age(now time.Time) time.Duration {
	if !m.Synced() {
		return math.MaxInt64
	}
	return max(now.Sub(m.instances.currentAt()), now.Sub(m.tasks.currentAt()))
}

// ListedAt is when the copy, or a part of it, was last made by a list; zero before the first. A stream that cannot be
// resumed, because it is too old or etcd was restored from a backup, leads to another list: changes in between may not
// have been told one by one, and deletions not at all if what was deleted had not been seen.
func (m *Informer) ListedAt() time.Time {
	instances, tasks := m.instances.listedAt(), m.tasks.listedAt()
	if instances.After(tasks) {
		return instances
	}
	return tasks
}

// ReconciledAt is when the CSS had last compared all that it has with ECS, as it said with its latest list or when its
// latest stream began, so it may have done so since. Zero when it is not known.
func (m *Informer) ReconciledAt() time.Time {
	m.reconciledMu.Lock()
	defer m.reconciledMu.Unlock()
	return m.reconciledAt
}

// compared notes what a CSS says of its last comparison, in RFC 3339; the latest counts.
func (m *Informer) compared(header string) {
	at, err := time.Parse(time.RFC3339Nano, header)
	if err != nil { // it has not said
		return
	}
	m.reconciledMu.Lock()
	defer m.reconciledMu.Unlock()
	if at.After(m.reconciledAt) {
		m.reconciledAt = at
	}
}

// Instances are the cluster's container instances, ordered by ARN, also those that are not ACTIVE. The slice is the
// caller's; the instances are shared, so nobody may change them.
func (m *Informer) Instances(clusterARN string) []*models.ContainerInstance {
	return slices.Collect(m.instances.of(clusterARN))
}

// Tasks are the cluster's tasks, ordered by ARN, also those that have stopped. The slice is the caller's; the tasks are
// shared, so nobody may change them.
func (m *Informer) Tasks(clusterARN string) []*models.Task {
	return slices.Collect(m.tasks.of(clusterARN))
}

// TasksStartedBy are the tasks with that startedBy, of all clusters, in no order, also those that have stopped. The slice is
// the caller's; the tasks are shared, so nobody may change them.
func (m *Informer) TasksStartedBy(by string) []*models.Task { return m.tasks.with(mark{startedBy, by}) }

// TasksOn are the tasks on the container instance with that ARN, in no order, also those that have stopped. The slice is the
// caller's; the tasks are shared, so nobody may change them.
func (m *Informer) TasksOn(containerInstanceARN string) []*models.Task {
	return m.tasks.with(mark{located, containerInstanceARN})
}

// Skipped is how many odd records, such as ones that lack a required field, the copy has done without since it began, and
// when the last of them came; each is logged.
func (m *Informer) Skipped() (n int, last time.Time) {
	n, last = m.tasks.leftOut()
	instances, at := m.instances.leftOut()
	if at.After(last) {
		last = at
	}
	return n + instances, last
}

// Instance is the container instance with that ARN, which nobody may change; nil when there is none.
func (m *Informer) Instance(arn string) *models.ContainerInstance { return m.instances.get(arn) }

// Task is the task with that ARN, which nobody may change; nil when there is none.
func (m *Informer) Task(arn string) *models.Task { return m.tasks.get(arn) }

// Subscribe has fn called after every change of the copy, which fn may then read, until stop is called; when stop has
// returned, fn is not running and is not called again. The first list is a change for every record. Calls do not overlap
// and hold up the Mirror, so fn only notes what there is to do; it must call neither Subscribe nor stop.
func (m *Informer) Subscribe(fn func(Change)) (stop func()) { return m.listeners.add(fn) }

// Package informer keeps a copy of a cluster-state-service (CSS) in memory, for programs that build schedulers: every
// container instance and every task, current within milliseconds of a change.
//
// An Informer lists once and then follows two streams. If a stream breaks, it resumes it, at another replica of the
// CSS if there is one, and neither misses nor repeats a change. If it cannot resume the stream, it lists again. Every
// five minutes it compares a digest of its copy with the CSS, and lists again if they differ.
//
//	clusters, err := informer.New(informer.Config{Endpoints: []string{"localhost:3000"}})
//	stop := clusters.Subscribe(func(c informer.Change) { queue.Add(c.ClusterARN) })
//	defer stop()
//	go clusters.Run(ctx)
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
	"github.com/blox/blox/internal/tokenfile"
	"github.com/blox/blox/swagger/cluster-state-service/v1/models"
)

// Config holds New's inputs.
type Config struct {
	// Endpoints are the replicas of one CSS, which share an etcd: host:port or a URL. The Informer uses one at a time.
	Endpoints []string
	// HTTPClient sends the requests. It must have no Timeout, which would end streams. The default trusts the system's
	// certificate authorities.
	HTTPClient *http.Client
	// TokenFile is the path of a file with the bearer token of every request; empty if the CSS needs none. The Informer
	// reads the file again after it has changed. The token needs the role viewer, and operator for RefreshInstances.
	TokenFile string
	// Log receives connection failures and malformed records; nil logs nothing.
	Log logrus.FieldLogger
	// Heartbeat is the interval of heartbeats on an idle stream: whole seconds from 1 to 300; 5 by default. The
	// Informer reconnects after three intervals without data.
	Heartbeat time.Duration
}

// Informer is the copy. Its methods are safe for concurrent use.
type Informer struct {
	endpoints []string
	client    *http.Client
	token     *tokenfile.File // nil if the CSS needs none
	log       logrus.FieldLogger
	heartbeat time.Duration
	// readTimeout is the time without data after which a connection counts as broken.
	readTimeout time.Duration
	minDelay    time.Duration // before the first retry
	// auditInterval is the time between two comparisons with the CSS, at most.
	auditInterval time.Duration

	instances    *records[models.ContainerInstance]
	tasks        *records[models.Task]
	subscribers  subscribers
	reconciledMu sync.Mutex
	reconciledAt time.Time
}

// New validates cfg. The Informer is empty until Run has listed.
func New(cfg Config) (*Informer, error) {
	if cfg.Heartbeat == 0 {
		cfg.Heartbeat = 5 * time.Second
	}
	if cfg.Heartbeat < time.Second || cfg.Heartbeat > 300*time.Second || cfg.Heartbeat%time.Second != 0 {
		return nil, fmt.Errorf("heartbeat %s: must be whole seconds from 1 to 300", cfg.Heartbeat)
	}
	if len(cfg.Endpoints) == 0 {
		return nil, errors.New("no endpoint of a cluster-state-service")
	}
	m := &Informer{
		client:      cfg.HTTPClient,
		log:         cfg.Log,
		heartbeat:   cfg.Heartbeat,
		readTimeout: 3 * cfg.Heartbeat,
		minDelay:    firstRetryDelay,

		auditInterval: defaultAuditInterval,
		instances:     newRecords(KindInstance, readInstance, instanceKeys),
		tasks:         newRecords(KindTask, readTask, taskKeys),
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
	if cfg.TokenFile != "" {
		var err error
		if m.token, err = tokenfile.Open(cfg.TokenFile, m.log); err != nil {
			return nil, fmt.Errorf("token file: %w", err)
		}
	}
	return m, nil
}

// baseURL returns the URL that the API's paths are appended to.
func baseURL(endpoint string) (string, error) {
	base, bare := endpoint, !strings.Contains(endpoint, "://")
	if bare {
		base = "http://" + base
	}
	u, err := url.Parse(base)
	switch {
	case err != nil, u.Hostname() == "", bare && u.Port() == "",
		u.Scheme != "http" && u.Scheme != "https", strings.ContainsAny(endpoint, "?#"):
		return "", fmt.Errorf("endpoint %q of a cluster-state-service: must be host:port or a URL", redact.URL(endpoint))
	}
	return strings.TrimRight(base, "/"), nil
}

// Run keeps the copy current until ctx is cancelled, and then returns nil. It retries every failure.
func (m *Informer) Run(ctx context.Context) error {
	defer m.client.CloseIdleConnections()
	kinds, ctx := errgroup.WithContext(ctx)
	kinds.Go(func() error { return follow(ctx, m, "instances", m.instances) })
	kinds.Go(func() error { return follow(ctx, m, "tasks", m.tasks) })
	return kinds.Wait()
}

// Synced reports whether the copy is complete: both kinds have been listed.
func (m *Informer) Synced() bool {
	return !m.instances.currentAt().IsZero() && !m.tasks.currentAt().IsZero()
}

// TooOld reports whether the last list failed because the CSS is too old for an Informer, as v0.3 is. Upgrade the CSS.
func (m *Informer) TooOld() bool { return m.instances.tooOld.Load() || m.tasks.tooOld.Load() }

// Age returns the time since the copy was last known to equal the CSS, for the older of its two kinds. With a working
// connection it stays below Config.Heartbeat. Before Synced it is the maximum duration.
func (m *Informer) Age(now time.Time) time.Duration {
	if !m.Synced() {
		return math.MaxInt64
	}
	return max(now.Sub(m.instances.currentAt()), now.Sub(m.tasks.currentAt()))
}

// ListedAt returns the time of the last list of either kind; zero before the first. The Informer lists again if it
// cannot resume a stream, for example after an etcd restore. Subscribers then miss intermediate changes. They also
// miss the deletion of a record that was created after the stream broke.
func (m *Informer) ListedAt() time.Time {
	instances, tasks := m.instances.listedAt(), m.tasks.listedAt()
	if instances.After(tasks) {
		return instances
	}
	return tasks
}

// Reconciled reports whether the CSS has reconciled the cluster with that ARN at least once. Otherwise the copy may
// lack its records: ECS may refuse to list them, for example. A cluster that the CSS does not know is empty.
func (m *Informer) Reconciled(clusterARN string) bool {
	return m.instances.isReconciled(clusterARN) && m.tasks.isReconciled(clusterARN)
}

// ReconciledAt returns since when the CSS has reconciled every cluster for which Reconciled is true, as of the latest
// list or the start of the latest stream: later ones may have ended since. It is zero if unknown.
func (m *Informer) ReconciledAt() time.Time {
	m.reconciledMu.Lock()
	defer m.reconciledMu.Unlock()
	return m.reconciledAt
}

// setReconciledAt stores the value of a CSS's header, in RFC 3339, if it is later than the stored one.
func (m *Informer) setReconciledAt(header string) {
	at, err := time.Parse(time.RFC3339Nano, header)
	if err != nil { // no reconciliation has ended yet
		return
	}
	m.reconciledMu.Lock()
	defer m.reconciledMu.Unlock()
	if at.After(m.reconciledAt) {
		m.reconciledAt = at
	}
}

// Instances returns the cluster's container instances in any status, ordered by ARN. The caller owns the slice, but
// must not modify the instances.
func (m *Informer) Instances(clusterARN string) []*models.ContainerInstance {
	return slices.Collect(m.instances.inCluster(clusterARN))
}

// Tasks returns the cluster's tasks, ordered by ARN, stopped ones included. The caller owns the slice, but must not
// modify the tasks.
func (m *Informer) Tasks(clusterARN string) []*models.Task {
	return slices.Collect(m.tasks.inCluster(clusterARN))
}

// TasksStartedBy returns the tasks of all clusters with that startedBy, in no order, stopped ones included. The caller
// owns the slice, but must not modify the tasks.
func (m *Informer) TasksStartedBy(startedBy string) []*models.Task {
	return m.tasks.withKey(secondaryKey{startedByField, startedBy})
}

// TasksOn returns the tasks on a container instance, in no order, stopped ones included. The caller owns the slice, but
// must not modify the tasks.
func (m *Informer) TasksOn(containerInstanceARN string) []*models.Task {
	return m.tasks.withKey(secondaryKey{containerInstanceField, containerInstanceARN})
}

// Skipped returns the number of malformed records that the Informer has skipped and logged, such as ones without a
// required field, and the time of the last.
func (m *Informer) Skipped() (n int, last time.Time) {
	n, last = m.tasks.skippedRecords()
	instances, at := m.instances.skippedRecords()
	if at.After(last) {
		last = at
	}
	return n + instances, last
}

// Instance returns the container instance with that ARN; nil if there is none. The caller must not modify it.
func (m *Informer) Instance(arn string) *models.ContainerInstance { return m.instances.get(arn) }

// Task returns the task with that ARN; nil if there is none. The caller must not modify it.
func (m *Informer) Task(arn string) *models.Task { return m.tasks.get(arn) }

// Subscribe calls fn after every change of the copy until stop is called. fn may read the copy. The first list is a
// change of every record. Calls do not overlap, and they block the Informer, so fn should only add to a work queue.
// fn must call neither Subscribe nor stop. After stop has returned, fn does not run.
func (m *Informer) Subscribe(fn func(Change)) (stop func()) { return m.subscribers.add(fn) }

// Package status is the read side of daemon-scheduler: counts, instance statuses, dry runs, readiness, and streams of
// them. Every replica computes them from its caches of etcd and of the clusters; streams compute once per change.
package status

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
	"github.com/sirupsen/logrus"

	"github.com/blox/blox/daemon-scheduler/cache"
	"github.com/blox/blox/daemon-scheduler/clusterstate"
	"github.com/blox/blox/daemon-scheduler/environment"
	"github.com/blox/blox/daemon-scheduler/events"
	"github.com/blox/blox/daemon-scheduler/planner"
)

// Config holds the status's dependencies and settings.
type Config struct {
	Cache               *cache.Cache
	Cluster             clusterstate.Cluster
	Events              *events.Store
	Etcd                EtcdReader
	Encoder             Encoder
	Replica             string        // the name of this replica
	StartConfirmTimeout time.Duration // as the engine's
	Log                 logrus.FieldLogger
	Metrics             prometheus.Registerer
}

// EtcdReader reads etcd for Readiness. store.Store implements it.
type EtcdReader interface {
	// Leader returns the name of the replica that leads; empty if none does.
	Leader(ctx context.Context) (string, error)
	// OutOfSpace reports whether etcd rejects writes for lack of space.
	OutOfSpace(ctx context.Context) bool
}

// Encoder encodes the lines of streams, with their newlines.
type Encoder interface {
	Instance(status environment.InstanceStatus, group string) []byte
	InstanceDeleted(arn string) []byte
	// Counts encodes the counts of a stream's instances.
	Counts(environment.Counts) []byte
	// Environment encodes an environment with its newest deployment.
	Environment(e environment.Environment, observed Observed) []byte
	EnvironmentDeleted(name string) []byte
	Event(environment.Event) []byte
	Readiness(Readiness) []byte
	// State encodes how many rows a stream has and whether they are current.
	State(count int, current bool) []byte
}

// Status computes the status of environments. All methods may be called by any goroutine.
type Status struct {
	Config
	agents clusterstate.AgentTracker

	availability clusterstate.AvailabilityTracker

	versions  versions
	summaries summaries
	overlaps  overlaps
	instances instanceStreams
	overview  overview

	computations prometheus.Counter // of summaries
}

// New returns a Status that follows the changes of the caches until stop is called.
func New(cfg Config) (s *Status, stop func()) {
	s = &Status{Config: cfg, versions: newVersions()}
	s.summaries = summaries{versions: &s.versions, entries: map[string]*summaryEntry{}}
	s.computations = promauto.With(cfg.Metrics).NewCounter(prometheus.CounterOpts{
		Name: "blox_ds_status_computations_total",
		Help: "Computations of an environment's counts and instance statuses: one per change, while they are read.",
	})
	if cfg.Metrics != nil {
		cfg.Metrics.MustRegister(collector{s})
	}
	s.overlaps.byCluster = map[string]*clusterOverlaps{}
	s.instances.publishers = map[string]map[environment.Grouping]*instancePublisher{}
	s.overview.init(s)
	cfg.Cache.Subscribe(cache.Listener{EnvironmentChanged: s.environmentChanged, OwnCommits: true})
	cfg.Events.Subscribe(s.overview.eventsChanged)
	return s, cfg.Cluster.Follow(s)
}

// Run reads who leads while the overview has readers. It returns nil after ctx has ended.
func (s *Status) Run(ctx context.Context) error { return s.overview.run(ctx) }

// Counts are the numbers of an environment's tasks.
type Counts struct {
	Total        environment.Counts
	ByDeployment map[string]environment.Counts // running and pending tasks, by deployment id
}

// Counts counts the tasks of an environment as it is stored. A task that the current deployment has adopted counts as
// its own. Counts returns nil if a cache is stale. All callers share the result, which must not change.
func (s *Status) Counts(e environment.Environment) *Counts {
	if known := s.summarize(e); known != nil {
		return &known.counts
	}
	return nil
}

// InstanceStatuses returns the status of each instance of a stored environment's cluster. It reports false if a cache
// is stale. All callers share the result, which must not change.
func (s *Status) InstanceStatuses(e environment.Environment) ([]environment.InstanceStatus, bool) {
	if known := s.summarize(e); known != nil {
		return known.instances, true
	}
	return nil, false
}

// DryRun returns the steps that the scheduler would take if the environment were e, and its counts before the first of
// them. It reports false if a cache is stale.
func (s *Status) DryRun(e environment.Environment) ([]environment.Step, *Counts, bool) {
	if !s.currentIn(e.Cluster) {
		return nil, nil, false
	}
	before, state := s.compute(e, time.Now())
	return planner.DryRun(state), &before.counts, true
}

// current reports whether both caches are up to date.
func (s *Status) current() bool { return s.Cache.Synced() && s.Cluster.Fresh(time.Now()) }

// currentIn reports whether both caches are up to date and the state of the cluster is complete.
func (s *Status) currentIn(clusterARN string) bool {
	return s.current() && s.Cluster.Reconciled(clusterARN)
}

func (s *Status) environmentChanged(name string) {
	if _, err := s.Cache.Record(name); err != nil {
		s.summaries.forget(name)
		s.availability.Forget(name)
	}
	s.invalidateStreams(name)
}

func (s *Status) invalidateStreams(name string) {
	s.overview.environmentChanged(name)
	s.instances.environmentChanged(name)
}

// TaskChanged implements clusterstate.Listener. Tasks of others matter on draining instances, whose changes
// InstanceChanged receives, and to environments that release instances for scale-in.
func (s *Status) TaskChanged(clusterARN string, t environment.Task) {
	s.versions.taskChanged(t.StartedBy)
	if name, ours := s.Cache.NameByDeployment(t.StartedBy); ours {
		s.invalidateStreams(name)
		return
	}
	for _, name := range s.Cache.WithOthersTasks(clusterARN) {
		s.versions.workloadChanged(name)
		s.invalidateStreams(name)
	}
}

// InstanceChanged implements clusterstate.Listener.
func (s *Status) InstanceChanged(c environment.InstanceChange) {
	if !c.Changed { // free resources are not shown
		return
	}
	for _, clusterARN := range s.Cache.MatchingClusters(c.ClusterARN) {
		s.versions.instanceChanged(clusterARN)
		for _, name := range s.Cache.NamesInCluster(clusterARN) {
			s.invalidateStreams(name)
		}
	}
}

// Package status is the read side of daemon-scheduler: counts, instance statuses, dry runs, readiness, and streams of
// them. Every replica computes them from its caches of etcd and of the clusters; streams compute once per change.
package status

import (
	"context"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/blox/blox/daemon-scheduler/cache"
	"github.com/blox/blox/daemon-scheduler/clusterstate"
	"github.com/blox/blox/daemon-scheduler/engine"
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
	Instance(environment.InstanceStatus) []byte
	InstanceDeleted(arn string) []byte
	// Environment encodes an environment with its newest deployment; counts is nil if the cluster state is stale.
	Environment(e environment.Environment, counts *Counts) []byte
	EnvironmentDeleted(name string) []byte
	Event(environment.Event) []byte
	Readiness(Readiness) []byte
	// State encodes how many rows a stream has and whether they are current.
	State(count int, current bool) []byte
}

// Status computes the status of environments. All methods may be called by any goroutine.
type Status struct {
	Config
	agents    clusterstate.AgentTracker
	instances instanceStreams
	overview  overview
}

// New returns a Status that follows the changes of the caches until stop is called.
func New(cfg Config) (s *Status, stop func()) {
	s = &Status{Config: cfg}
	s.instances.publishers = map[string]*instancePublisher{}
	s.overview.init(s)
	cfg.Cache.Subscribe(cache.Listener{EnvironmentChanged: s.environmentChanged, OwnCommits: true})
	cfg.Events.Subscribe(s.overview.eventsChanged)
	return s, cfg.Cluster.Follow(s)
}

// Run reads who leads while the overview has readers. It returns nil after ctx has ended.
func (s *Status) Run(ctx context.Context) error { return s.overview.run(ctx) }

// plannerInput returns what the planner needs. It reports false if a cache is stale.
func (s *Status) plannerInput(e environment.Environment) (planner.State, bool) {
	now := time.Now()
	if !s.Cache.Synced() || !s.Cluster.Fresh(now) {
		return planner.State{}, false
	}
	_, launches, _ := s.Cache.Environment(e.Name) // an environment that the cache does not have yet has no launches
	state, _ := engine.BuildState(s.Cache, s.Cluster, e)
	s.agents.Observe(e.Cluster, state.Instances, now)
	state.DisconnectedSince = s.agents.DisconnectedSince(e.Cluster)
	state.Launches = launches
	state.Fresh = true
	state.Now = now
	state.StartConfirmTimeout = s.StartConfirmTimeout
	return state, true
}

// Counts are the numbers of an environment's tasks.
type Counts struct {
	Total        environment.Counts
	ByDeployment map[string]environment.Counts // running and pending tasks, by deployment id
}

// Counts counts an environment's tasks. A task that the current deployment has adopted counts as its own. Counts
// returns nil if a cache is stale.
func (s *Status) Counts(e environment.Environment) *Counts {
	state, ok := s.plannerInput(e)
	if !ok {
		return nil
	}
	current, _ := e.Current()
	byDeployment := map[string]environment.Counts{}
	for _, task := range state.Tasks {
		if !task.Live() {
			continue
		}
		id := task.StartedBy
		if e.Adopts(current, id) {
			id = current.ID
		}
		counts := byDeployment[id]
		if task.Running() {
			counts.Running++
		} else {
			counts.Pending++
		}
		byDeployment[id] = counts
	}
	return &Counts{Total: planner.Make(state).Counts, ByDeployment: byDeployment}
}

// InstanceStatuses returns the status of each instance of an environment's cluster. It reports false if a cache is
// stale.
func (s *Status) InstanceStatuses(e environment.Environment) ([]environment.InstanceStatus, bool) {
	state, ok := s.plannerInput(e)
	if !ok {
		return nil, false
	}
	return planner.InstanceStatuses(state), true
}

// DryRun returns the steps that the scheduler would take if the environment were e. It reports false if a cache is
// stale.
func (s *Status) DryRun(e environment.Environment) ([]environment.Step, bool) {
	state, ok := s.plannerInput(e)
	if !ok {
		return nil, false
	}
	return planner.DryRun(state), true
}

// current reports whether both caches are up to date.
func (s *Status) current() bool { return s.Cache.Synced() && s.Cluster.Fresh(time.Now()) }

func (s *Status) environmentChanged(name string) {
	s.overview.environmentChanged(name)
	s.instances.environmentChanged(name)
}

// TaskChanged implements clusterstate.Listener. Tasks of others matter on draining instances only, whose changes
// InstanceChanged receives.
func (s *Status) TaskChanged(_ string, t environment.Task) {
	if name, ours := s.Cache.NameByDeployment(t.StartedBy); ours {
		s.environmentChanged(name)
	}
}

// InstanceChanged implements clusterstate.Listener.
func (s *Status) InstanceChanged(c environment.InstanceChange) {
	for _, name := range s.Cache.NamesInCluster(c.ClusterARN) {
		s.environmentChanged(name)
	}
}

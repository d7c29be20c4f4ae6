package status

import (
	"slices"
	"sync"
	"time"

	"github.com/blox/blox/daemon-scheduler/engine"
	"github.com/blox/blox/daemon-scheduler/environment"
	"github.com/blox/blox/daemon-scheduler/planner"
)

const (
	// maxSummaryAge bounds how long a summary is shown whose change was missed.
	maxSummaryAge = 10 * time.Minute
	// summaryRetention is how long a summary that is not read is kept.
	summaryRetention = 10 * time.Minute
)

// summary is what is computed from an environment's record, its launches and its cluster. All readers share it, so it
// must not change.
type summary struct {
	counts    Counts
	instances []environment.InstanceStatus // by ARN
	changesAt time.Time                    // see planner.Summary
}

// summaries holds the newest summary of each environment. It is computed when it is read, once per change.
type summaries struct {
	versions *versions

	mu      sync.Mutex
	entries map[string]*summaryEntry // by environment
}

type summaryEntry struct {
	readAt time.Time // guarded by summaries.mu

	mu          sync.Mutex // held while the summary is computed
	inputs      inputs
	readsOrders bool // the summary depends on the cluster's drain orders
	recomputeAt time.Time
	summary     *summary // nil before the first
}

// entry returns the entry of an environment, and drops entries that have not been read for long.
func (s *summaries) entry(name string, now time.Time) *summaryEntry {
	s.mu.Lock()
	defer s.mu.Unlock()
	e, ok := s.entries[name]
	if !ok {
		for unread, e := range s.entries {
			if now.Sub(e.readAt) > summaryRetention {
				s.remove(unread)
			}
		}
		e = &summaryEntry{}
		s.entries[name] = e
	}
	e.readAt = now
	return e
}

// forget removes the summary of a deleted environment.
func (s *summaries) forget(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.remove(name)
}

// remove removes an entry. Its caller holds the lock.
func (s *summaries) remove(name string) {
	delete(s.entries, name)
	s.versions.disown(name)
}

// summarize returns the summary of an environment as it is stored; nil if a cache is stale. It reflects all changes
// that the caches received before the call.
func (s *Status) summarize(e environment.Environment) *summary {
	if !s.currentIn(e.Cluster) {
		return nil
	}
	now := time.Now()
	entry := s.summaries.entry(e.Name, now)
	entry.mu.Lock()
	defer entry.mu.Unlock()
	// The inputs are read before what they identify, so that a change in between makes the summary be computed again.
	in := s.inputs(e)
	if e.StoredVersion > 0 && !entry.outdates(in) {
		return s.refresh(entry, e, in, now)
	}
	shown, _ := s.compute(e, now)
	return shown
}

// outdates reports whether the entry's summary is of a newer record than in, in the same data of etcd.
func (e *summaryEntry) outdates(in inputs) bool {
	older := in.incarnation < e.inputs.incarnation ||
		in.incarnation == e.inputs.incarnation && in.record < e.inputs.record
	return older && in.cache.Generation == e.inputs.cache.Generation
}

// refresh computes an entry's summary if its inputs have changed. Its caller holds the entry's lock.
func (s *Status) refresh(entry *summaryEntry, e environment.Environment, in inputs, now time.Time) *summary {
	if in.incarnation != entry.inputs.incarnation || in.record != entry.inputs.record {
		s.versions.own(e)
	}
	if !entry.holds(in, now) {
		var state planner.State
		entry.inputs = in
		entry.summary, state = s.compute(e, now)
		entry.readsOrders = state.DrainOrders != nil
		changesAt := planner.Earliest(entry.summary.changesAt, s.Cluster.IgnoredUntil(now))
		entry.recomputeAt = planner.Earliest(changesAt, now.Add(maxSummaryAge))
	}
	return entry.summary
}

// holds reports whether the entry's summary is of these inputs, and of now.
func (e *summaryEntry) holds(in inputs, now time.Time) bool {
	if !e.readsOrders {
		in.cache.DrainOrders = e.inputs.cache.DrainOrders
	}
	return e.summary != nil && e.inputs == in && now.Before(e.recomputeAt)
}

func (s *Status) inputs(e environment.Environment) inputs {
	tasks, instances := s.versions.of(e.Name, e.Cluster)
	return inputs{
		incarnation: e.Incarnation, record: e.StoredVersion, cache: s.Cache.Version(e.Name, e.Cluster),
		tasks: tasks, instances: instances, ignored: s.Cluster.Ignored(),
		daemons: s.Cluster.DaemonGroupChanges(), alarmsUnknown: s.alarmsUnknown(e),
	}
}

// compute computes the summary of an environment, which need not be stored, and returns what it is computed from.
func (s *Status) compute(e environment.Environment, now time.Time) (*summary, planner.State) {
	s.computations.Inc()
	state := s.plannerState(e, now)
	planned := planner.Summarize(state)
	return &summary{
		counts:    Counts{Total: planned.Counts, ByDeployment: countByDeployment(e, state.Tasks)},
		instances: planned.Instances,
		changesAt: planned.ChangesAt,
	}, state
}

// plannerState returns what the planner needs, provided that the caches are current.
func (s *Status) plannerState(e environment.Environment, now time.Time) planner.State {
	_, launches, _ := s.Cache.Environment(e.Name) // an environment that the cache does not have yet has no launches
	state, own := engine.BuildState(s.Cache, s.Cluster, e)
	s.agents.Observe(e.Cluster, state.Instances, now)
	state.DisconnectedSince = s.agents.DisconnectedSince(e.Cluster)
	state.PendingFor = s.Cluster.PendingFor(own, now)
	// Without a reader, nothing is observed here. The leader observes always, and its plan counts by that.
	state.Availability = s.Cluster.LeaderAvailability().Extend(e.Name, s.availability.Observe(e, own, now))
	state.Launches = launches
	state.Alarms.Unknown = s.alarmsUnknown(e)
	state.Fresh = true
	state.Now = now
	state.StartConfirmTimeout = s.StartConfirmTimeout
	return state
}

// countByDeployment counts the live tasks by deployment id. A task that the current deployment has adopted counts as
// its own.
func countByDeployment(e environment.Environment, tasks []environment.Task) map[string]environment.Counts {
	current, _ := e.Current()
	counts := map[string]environment.Counts{}
	for _, task := range tasks {
		if !task.Live() {
			continue
		}
		id := task.StartedBy
		if e.Adopts(current, id) {
			id = current.ID
		}
		sum := counts[id]
		if task.Running() {
			sum.Running++
		} else {
			sum.Pending++
		}
		counts[id] = sum
	}
	return counts
}

// alarmsUnknown reports whether the leader lacks the states of alarms, so that the rollout waits.
func (s *Status) alarmsUnknown(e environment.Environment) bool {
	observed := s.Cache.ObservedConditions(e.Name)
	return observed.Incarnation == e.Incarnation && len(e.MonitoredAlarms()) > 0 &&
		slices.ContainsFunc(observed.Conditions, func(c environment.Condition) bool {
			return c.Type == environment.ConditionAlarmsUnknown
		})
}

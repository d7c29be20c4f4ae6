package status

import (
	"cmp"
	"fmt"
	"maps"
	"math/bits"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/blox/blox/daemon-scheduler/environment"
)

// maxNamedOverlaps bounds the environments that the message of a condition names.
const maxNamedOverlaps = 5

// overlaps finds environments of one cluster that run tasks of one family on the same instances. It computes each
// cluster once per change, when it is read.
type overlaps struct {
	mu        sync.Mutex
	byCluster map[string]*clusterOverlaps // by ARN
}

// clusterOverlaps are the overlaps in one cluster. Its fields are immutable but for reuse by the next computation.
type clusterOverlaps struct {
	version    overlapVersion
	instances  []environment.Instance            // by ARN; nil if no two environments have the same family
	selections map[selectionKey]bitset           // of these instances
	conditions map[string]*environment.Condition // by environment
}

// overlapVersion identifies what the overlaps in a cluster are computed from.
type overlapVersion struct {
	generation int64 // of etcd's data
	records    int64 // of the cluster's environments
	instances  int64 // of the cluster, see versions
}

// selectionKey identifies the instances that an environment selects.
type selectionKey struct {
	name        string
	incarnation int64
	revision    int
}

// daemon is the part of an environment that is in effect.
type daemon struct {
	name      string
	since     time.Time // when its deployment was created
	instances bitset
}

// overlap returns the condition of an environment that overlaps others; nil if it does not, or if a cache is stale. An
// overlap that stays the same is the same pointer.
func (s *Status) overlap(e environment.Environment) *environment.Condition {
	if !s.currentIn(e.Cluster) {
		return nil
	}
	s.overlaps.mu.Lock()
	defer s.overlaps.mu.Unlock()
	cached := s.Cache.ClusterVersion(e.Cluster)
	_, instances := s.versions.of(e.Name, e.Cluster)
	version := overlapVersion{cached.Generation, cached.Records, instances}
	known := s.overlaps.byCluster[e.Cluster]
	if known == nil || known.version != version {
		known = s.findOverlaps(e.Cluster, version, known)
		s.overlaps.byCluster[e.Cluster] = known
		maps.DeleteFunc(s.overlaps.byCluster, func(arn string, _ *clusterOverlaps) bool {
			return s.Cache.ClusterVersion(arn).Records == 0 // it has no environments
		})
	}
	return known.conditions[e.Name]
}

// findOverlaps computes the overlaps of a cluster; former is the computation before, nil without one.
func (s *Status) findOverlaps(clusterARN string, version overlapVersion, former *clusterOverlaps) *clusterOverlaps {
	found := &clusterOverlaps{
		version: version, selections: map[selectionKey]bitset{}, conditions: map[string]*environment.Condition{},
	}
	if former == nil {
		former = &clusterOverlaps{}
	}
	if former.version.instances != version.instances {
		former.instances, former.selections = nil, nil
	}
	for family, members := range s.families(clusterARN) {
		if len(members) < 2 {
			continue
		}
		if found.instances == nil {
			found.instances = former.instances
		}
		if found.instances == nil {
			found.instances = registeredInstances(s.Cluster.Instances(clusterARN))
		}
		daemons := make([]daemon, 0, len(members))
		for _, e := range members {
			daemons = append(daemons, found.daemon(e, former))
		}
		for n := range daemons {
			condition := overlapCondition(family, daemons, n)
			if condition == nil {
				continue
			}
			name := daemons[n].name
			if before := former.conditions[name]; before != nil && before.Equal(*condition) {
				condition = before
			}
			found.conditions[name] = condition
		}
	}
	return found
}

// families returns a cluster's environments by the family of the task definition in effect, in the order of their
// names.
func (s *Status) families(clusterARN string) map[string][]environment.Environment {
	families := map[string][]environment.Environment{}
	for _, name := range s.Cache.NamesInCluster(clusterARN) {
		e, err := s.Cache.Record(name)
		if err != nil || e.IsDeleting() {
			continue
		}
		if d, deployed := e.Effective(); deployed {
			family := environment.Family(d.TaskDefinition)
			families[family] = append(families[family], e)
		}
	}
	return families
}

// daemon returns the part of a deployed environment that is in effect. Instances that an earlier computation has
// selected are not selected anew.
func (c *clusterOverlaps) daemon(e environment.Environment, former *clusterOverlaps) daemon {
	effective, _ := e.Effective()
	key := selectionKey{e.Name, e.Incarnation, effective.RevisionNumber()}
	selected, known := former.selections[key]
	if !known {
		selector, _ := e.RevisionFor(effective).Spec.Selector() // one that cannot be parsed matches all instances
		selected = newBitset(len(c.instances))
		for n, i := range c.instances {
			if selector.Matches(i) {
				selected.set(n)
			}
		}
	}
	c.selections[key] = selected
	return daemon{e.Name, effective.StartTime, selected}
}

// overlapCondition returns the condition of the n-th of the daemons of one family; nil if it shares no instance.
func overlapCondition(family string, daemons []daemon, n int) *environment.Condition {
	own := daemons[n]
	shared := newBitset(0)
	var others []string
	var since time.Time
	for i, other := range daemons {
		if i == n || !own.instances.intersects(other.instances) {
			continue
		}
		others = append(others, other.name)
		shared = shared.or(own.instances.and(other.instances))
		begun := slices.MaxFunc([]time.Time{own.since, other.since}, time.Time.Compare)
		if since.IsZero() || begun.Before(since) {
			since = begun
		}
	}
	if len(others) == 0 {
		return nil
	}
	return &environment.Condition{
		Type: environment.ConditionOverlapsEnvironment, Status: environment.ConditionTrue,
		Reason: "SameTaskDefinitionFamily", Message: overlapMessage(family, others, shared.count()),
		LastTransitionTime: since,
	}
}

func overlapMessage(family string, others []string, shared int) string {
	instances := "1 instance"
	if shared != 1 {
		instances = fmt.Sprintf("%d instances", shared)
	}
	named := others[:min(len(others), maxNamedOverlaps)]
	more := ""
	if hidden := len(others) - len(named); hidden > 0 {
		more = fmt.Sprintf(" and %d more", hidden)
	}
	return fmt.Sprintf("Tasks of %s also run for %s%s, on %s of this environment.",
		family, strings.Join(named, ", "), more, instances)
}

func registeredInstances(instances []environment.Instance) []environment.Instance {
	registered := slices.DeleteFunc(slices.Clone(instances), environment.Instance.Deregistered)
	slices.SortFunc(registered, func(a, b environment.Instance) int { return cmp.Compare(a.ARN, b.ARN) })
	return slices.Clip(registered)
}

// bitset is a set of small numbers.
type bitset []uint64

// newBitset returns an empty set of numbers below n.
func newBitset(n int) bitset { return make(bitset, (n+63)/64) }

func (b bitset) set(n int) { b[n/64] |= 1 << (n % 64) }

func (b bitset) intersects(other bitset) bool {
	for n := range min(len(b), len(other)) {
		if b[n]&other[n] != 0 {
			return true
		}
	}
	return false
}

func (b bitset) and(other bitset) bitset {
	both := make(bitset, min(len(b), len(other)))
	for n := range both {
		both[n] = b[n] & other[n]
	}
	return both
}

// or returns the union; b may be shorter.
func (b bitset) or(other bitset) bitset {
	either := slices.Clone(other)
	for n := range b {
		either[n] |= b[n]
	}
	return either
}

func (b bitset) count() (n int) {
	for _, word := range b {
		n += bits.OnesCount64(word)
	}
	return n
}

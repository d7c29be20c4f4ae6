package cache

import (
	"maps"

	"github.com/blox/blox/daemon-scheduler/environment"
	"github.com/blox/blox/daemon-scheduler/store"
)

// index holds the records and their secondary indexes. A record replaces one of a lower StoredVersion only, as the
// process's own commits enter the index before the watch returns them.
type index struct {
	generation   int64           // of etcd's data: how often it had been wiped or restored
	listed       map[string]bool // prefixes
	environments map[string]environment.Environment
	// malformed has the error of each environment whose record cannot be decoded.
	malformed map[string]error
	launches  map[string]map[string]environment.Launch // by environment and instance
	// sharedLaunches has the environments whose map of launches readers have, so that it must not change: copy on write.
	sharedLaunches map[string]bool
	attributes     map[string]map[environment.AttributeKey]environment.ReadinessAttribute // by cluster ARN

	conditions map[string]environment.ObservedConditions // by environment
	health     health

	// launchVersions has a number for each environment with launches, which grows with each change of one of them.
	launchVersions map[string]int64
	launchChanges  int64 // so far, of all environments

	// recordVersions has a number for each cluster with environments, by ARN, which grows with each change of one of them.
	recordVersions map[string]int64
	recordChanges  int64 // so far, of all clusters

	drainOrders      drainOrders
	byCluster        map[string]map[string]bool          // cluster ARN to names
	othersMatter     map[string]map[string]bool          // as byCluster: see Cache.WithOthersTasks
	withAttribute    map[string]map[string]bool          // as byCluster: environments that set an attribute
	byDeployment     map[string]string                   // deployment id to name
	attributeCluster map[environment.AttributeKey]string // to cluster ARN
}

func newIndex() index {
	return index{
		listed:           map[string]bool{},
		environments:     map[string]environment.Environment{},
		malformed:        map[string]error{},
		launches:         map[string]map[string]environment.Launch{},
		sharedLaunches:   map[string]bool{},
		attributes:       map[string]map[environment.AttributeKey]environment.ReadinessAttribute{},
		conditions:       map[string]environment.ObservedConditions{},
		health:           newHealth(),
		launchVersions:   map[string]int64{},
		recordVersions:   map[string]int64{},
		drainOrders:      drainOrders{byCluster: map[string]*orders{}},
		byCluster:        map[string]map[string]bool{},
		othersMatter:     map[string]map[string]bool{},
		withAttribute:    map[string]map[string]bool{},
		byDeployment:     map[string]string{},
		attributeCluster: map[environment.AttributeKey]string{},
	}
}

// names returns the environments, and the deleted ones that left launches or conditions behind.
func (i *index) names() map[string]bool {
	names := keys(i.environments)
	for name := range i.launches {
		names[name] = true
	}
	for name := range i.conditions {
		names[name] = true
	}
	return names
}

// record returns an environment, or why there is none.
func (i *index) record(name string) (environment.Environment, error) {
	if err, malformed := i.malformed[name]; malformed {
		return environment.Environment{}, err
	}
	e, ok := i.environments[name]
	if !ok {
		return e, environment.NotFound(name)
	}
	return e, nil
}

// putEnvironment reports whether e is newer than the record in the index.
func (i *index) putEnvironment(e environment.Environment) bool {
	old, ok := i.environments[e.Name]
	if ok && old.StoredVersion >= e.StoredVersion {
		return false
	}
	i.unindex(e.Name, old)
	i.environments[e.Name] = e
	put(i.byCluster, e.Cluster, e.Name, true)
	i.drainOrders.replace(old, e)
	for _, spec := range e.SpecsInEffect() {
		if spec.ScaleInAfterMinutes > 0 {
			put(i.othersMatter, e.Cluster, e.Name, true)
		}
		if spec.ReadinessAttribute != "" {
			put(i.withAttribute, e.Cluster, e.Name, true)
		}
	}
	if e.Takeover.Moves() {
		put(i.othersMatter, e.Cluster, e.Name, true)
	}
	if e.Takeover.MarksInstances() {
		put(i.withAttribute, e.Cluster, e.Name, true)
	}
	for id := range e.Deployments {
		i.byDeployment[id] = e.Name
	}
	i.recordChanged(old.Cluster)
	i.recordChanged(e.Cluster)
	return true
}

// recordChanged records a change of an environment in the cluster, or away from it.
func (i *index) recordChanged(clusterARN string) {
	i.recordChanges++
	i.recordVersions[clusterARN] = i.recordChanges
	if len(i.byCluster[clusterARN]) == 0 {
		delete(i.recordVersions, clusterARN)
	}
}

// removeEnvironment removes an environment that was deleted at revision.
func (i *index) removeEnvironment(name string, revision int64) {
	old, ok := i.environments[name]
	if !ok || old.StoredVersion > revision {
		delete(i.malformed, name)
		return
	}
	i.unindex(name, old)
	i.recordChanged(old.Cluster)
	i.drainOrders.replace(old, environment.Environment{})
}

// unindex removes an environment from everything but drainOrders.
func (i *index) unindex(name string, old environment.Environment) {
	delete(i.malformed, name)
	delete(i.environments, name)
	for id := range old.Deployments {
		delete(i.byDeployment, id)
	}
	for _, names := range []map[string]map[string]bool{i.byCluster, i.othersMatter, i.withAttribute} {
		remove(names, old.Cluster, name)
	}
}

func (i *index) removeOtherEnvironments(listed map[string]bool) {
	for name, e := range i.environments {
		if !listed[store.EnvironmentKey(name)] {
			i.removeEnvironment(name, e.StoredVersion)
		}
	}
	for name := range i.malformed {
		if !listed[store.EnvironmentKey(name)] {
			delete(i.malformed, name)
		}
	}
}

// putLaunch reports whether l is newer than the record in the index.
func (i *index) putLaunch(name string, l environment.Launch) bool {
	if i.launches[name][l.Instance].StoredVersion >= l.StoredVersion {
		return false
	}
	i.unshareLaunches(name)
	put(i.launches, name, l.Instance, l)
	i.launchesChanged(name)
	return true
}

// removeLaunch reports whether there was such a launch that is not newer than revision.
func (i *index) removeLaunch(name, instance string, revision int64) bool {
	held, ok := i.launches[name][instance]
	if !ok || held.StoredVersion > revision {
		return false
	}
	i.unshareLaunches(name)
	remove(i.launches, name, instance)
	i.launchesChanged(name)
	return true
}

// shareLaunches returns an environment's launches by instance, in a map that does not change from then on.
func (i *index) shareLaunches(name string) map[string]environment.Launch {
	launches := i.launches[name]
	if len(launches) > 0 {
		i.sharedLaunches[name] = true
	}
	return launches
}

// unshareLaunches makes an environment's launches writable.
func (i *index) unshareLaunches(name string) {
	if i.sharedLaunches[name] {
		i.launches[name] = maps.Clone(i.launches[name])
		delete(i.sharedLaunches, name)
	}
}

func (i *index) launchesChanged(name string) {
	i.launchChanges++
	i.launchVersions[name] = i.launchChanges
	if len(i.launches[name]) == 0 {
		delete(i.launchVersions, name)
	}
}

func (i *index) removeOtherLaunches(listed map[string]bool) {
	for name, launches := range i.launches {
		for instance, l := range launches {
			if !listed[store.LaunchKey(name, instance)] {
				i.removeLaunch(name, instance, l.StoredVersion)
			}
		}
	}
}

// putAttribute reports whether a is newer than the record in the index.
func (i *index) putAttribute(a environment.ReadinessAttribute) bool {
	former := i.attributeCluster[a.Key()]
	if i.attributes[former][a.Key()].StoredVersion >= a.StoredVersion {
		return false
	}
	remove(i.attributes, former, a.Key())
	put(i.attributes, a.Cluster, a.Key(), a)
	i.attributeCluster[a.Key()] = a.Cluster
	return true
}

// removeAttribute reports the attribute's cluster, and whether there was one that is not newer than revision.
func (i *index) removeAttribute(key environment.AttributeKey, revision int64) (clusterARN string, removed bool) {
	clusterARN, held := i.attributeCluster[key]
	if !held || i.attributes[clusterARN][key].StoredVersion > revision {
		return "", false
	}
	remove(i.attributes, clusterARN, key)
	delete(i.attributeCluster, key)
	return clusterARN, true
}

func (i *index) removeOtherAttributes(listed map[string]bool) {
	for key, clusterARN := range i.attributeCluster {
		if !listed[store.AttributeKey(key)] {
			i.removeAttribute(key, i.attributes[clusterARN][key].StoredVersion)
		}
	}
}

// putConditions reports whether o is newer than the record in the index.
func (i *index) putConditions(o environment.ObservedConditions) bool {
	if i.conditions[o.Environment].StoredVersion >= o.StoredVersion {
		return false
	}
	i.conditions[o.Environment] = o
	return true
}

// removeConditions reports whether there was a record that is not newer than revision.
func (i *index) removeConditions(name string, revision int64) bool {
	held, ok := i.conditions[name]
	if !ok || held.StoredVersion > revision {
		return false
	}
	delete(i.conditions, name)
	return true
}

func (i *index) removeOtherConditions(listed map[string]bool) {
	for name := range i.conditions {
		if !listed[store.ConditionsKey(name)] {
			delete(i.conditions, name)
		}
	}
}

// put sets a value in one of the inner maps, and creates that if there is none.
func put[K, L comparable, V any](m map[K]map[L]V, outer K, inner L, value V) {
	if m[outer] == nil {
		m[outer] = map[L]V{}
	}
	m[outer][inner] = value
}

// remove is the reverse of put.
func remove[K, L comparable, V any](m map[K]map[L]V, outer K, inner L) {
	delete(m[outer], inner)
	if len(m[outer]) == 0 {
		delete(m, outer)
	}
}

func keys[V any](m map[string]V) map[string]bool {
	set := make(map[string]bool, len(m))
	for key := range m {
		set[key] = true
	}
	return set
}

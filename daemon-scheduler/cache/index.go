package cache

import (
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
	malformed  map[string]error
	launches   map[string]map[string]environment.Launch                               // by environment and instance
	attributes map[string]map[environment.AttributeKey]environment.ReadinessAttribute // by cluster ARN

	// launchVersions has a number for each environment with launches, which grows with each change of one of them.
	launchVersions map[string]int64
	launchChanges  int64 // so far, of all environments

	drainOrders      drainOrders
	byCluster        map[string]map[string]bool          // cluster ARN to names
	releasing        map[string]map[string]bool          // as byCluster: environments that release instances for scale-in
	withAttribute    map[string]map[string]bool          // as byCluster: environments that name a readiness attribute
	byDeployment     map[string]string                   // deployment id to name
	attributeCluster map[environment.AttributeKey]string // to cluster ARN
}

func newIndex() index {
	return index{
		listed:           map[string]bool{},
		environments:     map[string]environment.Environment{},
		malformed:        map[string]error{},
		launches:         map[string]map[string]environment.Launch{},
		attributes:       map[string]map[environment.AttributeKey]environment.ReadinessAttribute{},
		launchVersions:   map[string]int64{},
		drainOrders:      drainOrders{byCluster: map[string]*orders{}},
		byCluster:        map[string]map[string]bool{},
		releasing:        map[string]map[string]bool{},
		withAttribute:    map[string]map[string]bool{},
		byDeployment:     map[string]string{},
		attributeCluster: map[environment.AttributeKey]string{},
	}
}

// names returns the environments, and the deleted ones that left launches behind.
func (i *index) names() map[string]bool {
	names := keys(i.environments)
	for name := range i.launches {
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
			put(i.releasing, e.Cluster, e.Name, true)
		}
		if spec.ReadinessAttribute != "" {
			put(i.withAttribute, e.Cluster, e.Name, true)
		}
	}
	for id := range e.Deployments {
		i.byDeployment[id] = e.Name
	}
	return true
}

// removeEnvironment removes an environment that was deleted at revision.
func (i *index) removeEnvironment(name string, revision int64) {
	old, ok := i.environments[name]
	if !ok || old.StoredVersion > revision {
		delete(i.malformed, name)
		return
	}
	i.unindex(name, old)
	i.drainOrders.replace(old, environment.Environment{})
}

// unindex removes an environment from everything but drainOrders.
func (i *index) unindex(name string, old environment.Environment) {
	delete(i.malformed, name)
	delete(i.environments, name)
	for id := range old.Deployments {
		delete(i.byDeployment, id)
	}
	for _, names := range []map[string]map[string]bool{i.byCluster, i.releasing, i.withAttribute} {
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
	remove(i.launches, name, instance)
	i.launchesChanged(name)
	return true
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

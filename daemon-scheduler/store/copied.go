package store

import "github.com/blox/blox/daemon-scheduler/environment"

// copied is what etcd holds, as far as it is known. Higher revisions win, as own writes are known before the watch
// tells of them.
type copied struct {
	listed       int // bits of kinds
	environments map[string]environment.Environment
	unreadable   map[string]error // environments
	daemons      daemons
	launches     map[string]map[string]environment.Launch
	byCluster    map[string]map[string]bool                                             // cluster ARN to names
	byDeployment map[string]string                                                      // deployment id to name
	yielding     map[string]map[string]bool                                             // of byCluster, those that yield
	naming       map[string]map[string]bool                                             // of byCluster, those that name a readiness attribute
	marks        map[string]map[environment.AttributeKey]environment.ReadinessAttribute // by cluster ARN
	marked       map[environment.AttributeKey]string                                    // to cluster ARN
	events       map[string]decided                                                     // by batch id
}

func newCopied() copied {
	return copied{
		environments: map[string]environment.Environment{}, unreadable: map[string]error{}, daemons: daemons{},
		launches: map[string]map[string]environment.Launch{}, byCluster: map[string]map[string]bool{},
		byDeployment: map[string]string{}, yielding: map[string]map[string]bool{},
		naming: map[string]map[string]bool{}, marks: map[string]map[environment.AttributeKey]environment.ReadinessAttribute{}, marked: map[environment.AttributeKey]string{},
		events: map[string]decided{},
	}
}

// setEnvironment tells whether e was news.
func (c *copied) setEnvironment(e environment.Environment) bool {
	old, ok := c.environments[e.Name]
	if ok && old.StoredVersion >= e.StoredVersion {
		return false
	}
	c.unindex(e.Name, old)
	c.environments[e.Name] = e
	add(c.byCluster, e.Cluster, e.Name, true)
	spec := e.CurrentSpec()
	c.daemons.replace(old, e, spec.DrainOrder)
	if spec.ScaleInAfterMinutes > 0 {
		add(c.yielding, e.Cluster, e.Name, true)
	}
	if spec.ReadinessAttribute != "" {
		add(c.naming, e.Cluster, e.Name, true)
	}
	for id := range e.Deployments {
		c.byDeployment[id] = e.Name
	}
	return true
}

func (c *copied) dropEnvironment(name string, revision int64) {
	old, ok := c.environments[name]
	if !ok || old.StoredVersion > revision {
		delete(c.unreadable, name)
		return
	}
	c.unindex(name, old)
	c.daemons.replace(old, environment.Environment{}, 0)
}

// unindex takes an environment out of everything but daemons.
func (c *copied) unindex(name string, old environment.Environment) {
	delete(c.unreadable, name)
	delete(c.environments, name)
	for id := range old.Deployments {
		delete(c.byDeployment, id)
	}
	for _, of := range []map[string]map[string]bool{c.byCluster, c.yielding, c.naming} {
		remove(of, old.Cluster, name)
	}
}

// setLaunch tells whether l was news.
func (c *copied) setLaunch(name string, l environment.Launch) bool {
	if c.launches[name][l.Instance].StoredVersion >= l.StoredVersion {
		return false
	}
	add(c.launches, name, l.Instance, l)
	return true
}

func (c *copied) dropLaunch(name, instance string, revision int64) bool {
	held, ok := c.launches[name][instance]
	if !ok || held.StoredVersion > revision {
		return false
	}
	remove(c.launches, name, instance)
	return true
}

// add puts a value into one of several maps, which is made when there is none.
func add[K, L comparable, V any](to map[K]map[L]V, which K, key L, value V) {
	if to[which] == nil {
		to[which] = map[L]V{}
	}
	to[which][key] = value
}

// remove is the reverse of add.
func remove[K, L comparable, V any](from map[K]map[L]V, which K, key L) {
	delete(from[which], key)
	if len(from[which]) == 0 {
		delete(from, which)
	}
}

package store

import "github.com/blox/blox/daemon-scheduler/environment"

// copied is what etcd holds, as far as it is known. Higher revisions win, as own writes are known before the watch
// tells of them.
type copied struct {
	listed       int // bits of kinds
	environments map[string]environment.Environment
	unreadable   map[string]error // environments
	launches     map[string]map[string]environment.Launch
	byCluster    map[string]map[string]bool // cluster ARN to names
	byDeployment map[string]string          // deployment id to name
	yielding     map[string]map[string]bool // of byCluster, those that yield
}

func newCopied() copied {
	return copied{
		environments: map[string]environment.Environment{}, unreadable: map[string]error{},
		launches: map[string]map[string]environment.Launch{}, byCluster: map[string]map[string]bool{},
		byDeployment: map[string]string{}, yielding: map[string]map[string]bool{},
	}
}

// setEnvironment tells whether e was news.
func (c *copied) setEnvironment(e environment.Environment) bool {
	old, ok := c.environments[e.Name]
	if ok && old.Revision >= e.Revision {
		return false
	}
	c.dropEnvironment(e.Name, e.Revision)
	c.environments[e.Name] = e
	if c.byCluster[e.Cluster] == nil {
		c.byCluster[e.Cluster] = map[string]bool{}
	}
	c.byCluster[e.Cluster][e.Name] = true
	if e.InEffect().YieldAfterMinutes > 0 {
		if c.yielding[e.Cluster] == nil {
			c.yielding[e.Cluster] = map[string]bool{}
		}
		c.yielding[e.Cluster][e.Name] = true
	}
	for id := range e.Deployments {
		c.byDeployment[id] = e.Name
	}
	return true
}

func (c *copied) dropEnvironment(name string, revision int64) {
	delete(c.unreadable, name)
	old, ok := c.environments[name]
	if !ok || old.Revision > revision {
		return
	}
	delete(c.environments, name)
	for id := range old.Deployments {
		delete(c.byDeployment, id)
	}
	delete(c.yielding[old.Cluster], name)
	if len(c.yielding[old.Cluster]) == 0 {
		delete(c.yielding, old.Cluster)
	}
	delete(c.byCluster[old.Cluster], name)
	if len(c.byCluster[old.Cluster]) == 0 {
		delete(c.byCluster, old.Cluster)
	}
}

// setLaunch tells whether l was news.
func (c *copied) setLaunch(name string, l environment.Launch) bool {
	if c.launches[name] == nil {
		c.launches[name] = map[string]environment.Launch{}
	}
	if c.launches[name][l.Instance].Revision >= l.Revision {
		return false
	}
	c.launches[name][l.Instance] = l
	return true
}

func (c *copied) dropLaunch(name, instance string, revision int64) bool {
	held, ok := c.launches[name][instance]
	if !ok || held.Revision > revision {
		return false
	}
	delete(c.launches[name], instance)
	if len(c.launches[name]) == 0 {
		delete(c.launches, name)
	}
	return true
}

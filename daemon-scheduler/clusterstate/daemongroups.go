package clusterstate

import (
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/blox/blox/daemon-scheduler/environment"
)

const (
	servicePrefix           = "service:" // of the task group of a service's tasks
	serviceDeploymentPrefix = "ecs-svc/" // of their startedBy, the id of the service's deployment

	maxServiceDeployments = 10_000 // bounds the memory: beyond them all services are described anew
)

// daemonGroups holds which services of ECS are DAEMON services. It is safe for concurrent use.
//
// A service keeps its scheduling strategy. A deleted one may be created anew with another strategy, but not without
// another deployment, so a service is known by the deployments that have started its tasks.
type daemonGroups struct {
	mu          sync.Mutex // serializes changes
	deployments map[string]bool
	groups      atomic.Pointer[map[string]map[string]bool] // groups of DAEMON services, by cluster ARN
	changes     atomic.Int64
}

// DaemonGroups returns the task groups of the known DAEMON services of a cluster. The caller must not change the map.
func (c Cluster) DaemonGroups(clusterARN string) map[string]bool {
	if c.daemons == nil {
		return nil
	}
	if known := c.daemons.groups.Load(); known != nil {
		return (*known)[clusterARN]
	}
	return nil
}

// DaemonGroupChanges counts the changes of what DaemonGroups returns.
func (c Cluster) DaemonGroupChanges() int64 {
	if c.daemons == nil {
		return 0
	}
	return c.daemons.changes.Load()
}

// UnknownServices returns the names of the services that have live tasks among these and whose scheduling strategy is
// not known.
func (c Cluster) UnknownServices(tasks []environment.Task) (names []string) {
	if c.daemons == nil {
		return nil
	}
	c.daemons.mu.Lock()
	defer c.daemons.mu.Unlock()
	for _, t := range tasks {
		name, ok := serviceOf(t)
		if ok && t.Live() && !c.daemons.deployments[t.StartedBy] {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// LearnServices records the scheduling strategies of services: daemon has the names of those that were described, and
// whether each is a DAEMON service. Their deployments are those that have started these tasks.
func (c Cluster) LearnServices(clusterARN string, daemon map[string]bool, tasks []environment.Task) {
	d := c.daemons
	if d == nil || len(daemon) == 0 {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.deployments == nil || len(d.deployments) > maxServiceDeployments {
		d.deployments = map[string]bool{}
	}
	next := map[string]map[string]bool{}
	if known := d.groups.Load(); known != nil {
		next = maps.Clone(*known)
	}
	groups := map[string]bool{}
	maps.Copy(groups, next[clusterARN])
	for name, isDaemon := range daemon {
		delete(groups, servicePrefix+name)
		if isDaemon {
			groups[servicePrefix+name] = true
		}
	}
	for _, t := range tasks {
		name, ok := serviceOf(t)
		if _, described := daemon[name]; ok && described {
			d.deployments[t.StartedBy] = true
		}
	}
	next[clusterARN] = groups
	d.groups.Store(&next)
	d.changes.Add(1)
}

// ServiceGroup returns the task group of the tasks of the service with that name.
func ServiceGroup(name string) string { return servicePrefix + name }

// serviceOf returns the name of the service that started the task; false if none did.
func serviceOf(t environment.Task) (name string, ok bool) {
	name, ok = strings.CutPrefix(t.Group, servicePrefix)
	return name, ok && strings.HasPrefix(t.StartedBy, serviceDeploymentPrefix)
}

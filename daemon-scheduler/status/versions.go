package status

import (
	"sync"

	"github.com/blox/blox/daemon-scheduler/cache"
	"github.com/blox/blox/daemon-scheduler/environment"
)

// inputs identifies everything that a summary is computed from, but the time: summaries of equal inputs are equal.
type inputs struct {
	incarnation int64 // of the environment
	record      int64 // StoredVersion
	cache       cache.Version
	tasks       int64 // of the environment, see versions
	instances   int64 // of the cluster, see versions
	ignored     int64 // see clusterstate.Cluster.Ignored
	daemons     int64 // see clusterstate.Cluster.DaemonGroupChanges

	alarmsUnknown bool // the rollout waits for the states of alarms
}

// versions numbers the changes of the cluster state, as far as they change summaries.
type versions struct {
	mu        sync.Mutex
	tasks     map[string]int64    // by environment
	instances map[string]int64    // by cluster ARN
	owners    map[string]string   // environments by the ids of their deployments
	owned     map[string][]string // the reverse of owners
}

func newVersions() versions {
	return versions{
		tasks: map[string]int64{}, instances: map[string]int64{},
		owners: map[string]string{}, owned: map[string][]string{},
	}
}

// own counts the tasks of an environment's deployments from now on. The cache may not have the deployments yet.
func (v *versions) own(e environment.Environment) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.release(e.Name)
	for id := range e.Deployments {
		v.owners[id] = e.Name
		v.owned[e.Name] = append(v.owned[e.Name], id)
	}
}

// disown ends the counting of an environment's tasks.
func (v *versions) disown(name string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.release(name)
	delete(v.tasks, name)
}

// release removes an environment's deployments. Its caller holds the lock.
func (v *versions) release(name string) {
	for _, id := range v.owned[name] {
		delete(v.owners, id)
	}
	delete(v.owned, name)
}

// taskChanged records a change of a task.
func (v *versions) taskChanged(startedBy string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if name, ok := v.owners[startedBy]; ok {
		v.tasks[name]++
	}
}

// workloadChanged records a change of a task that matters to an environment that has not started it.
func (v *versions) workloadChanged(name string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.tasks[name]++
}

// instanceChanged records a change of an instance of a cluster.
func (v *versions) instanceChanged(clusterARN string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.instances[clusterARN]++
}

// of returns the versions of an environment's tasks and of its cluster's instances.
func (v *versions) of(name, clusterARN string) (tasks, instances int64) {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.tasks[name], v.instances[clusterARN]
}

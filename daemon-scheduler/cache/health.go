package cache

import (
	"maps"
	"slices"

	"go.etcd.io/etcd/api/v3/mvccpb"

	"github.com/blox/blox/daemon-scheduler/environment"
	"github.com/blox/blox/daemon-scheduler/store"
)

// health holds the health of tasks, by environment and task ARN.
type health struct {
	byTask   map[string]map[string]environment.TaskHealth
	versions map[string]int64 // by environment: grows with each change of one of them
	changes  int64            // so far, of all environments
}

func newHealth() health {
	return health{byTask: map[string]map[string]environment.TaskHealth{}, versions: map[string]int64{}}
}

// put reports whether t is newer than the record that is held.
func (h *health) put(name string, t environment.TaskHealth) bool {
	if h.byTask[name][t.Task].StoredVersion >= t.StoredVersion {
		return false
	}
	put(h.byTask, name, t.Task, t)
	h.changed(name)
	return true
}

// remove reports whether there was such a record that is not newer than revision.
func (h *health) remove(name, task string, revision int64) bool {
	held, ok := h.byTask[name][task]
	if !ok || held.StoredVersion > revision {
		return false
	}
	remove(h.byTask, name, task)
	h.changed(name)
	return true
}

func (h *health) changed(name string) {
	h.changes++
	h.versions[name] = h.changes
	if len(h.byTask[name]) == 0 {
		delete(h.versions, name)
	}
}

func (i *index) removeOtherHealth(listed map[string]bool) {
	for name, tasks := range i.health.byTask {
		for task, t := range tasks {
			if !listed[store.HealthKey(name, task)] {
				i.health.remove(name, task, t.StoredVersion)
			}
		}
	}
}

// loadHealth replaces a malformed record by one without a result, which the leader can overwrite or remove.
func (c *Cache) loadHealth(kv *mvccpb.KeyValue) (name string, changed bool) {
	t, err := store.DecodeHealth(kv)
	if err != nil {
		c.log.WithError(err).WithField("key", string(kv.Key)).Error("malformed task health skipped")
		name, task, ok := store.ParseHealthKey(string(kv.Key))
		if !ok {
			return "", false
		}
		t = environment.TaskHealth{Environment: name, Task: task, StoredVersion: kv.ModRevision}
	}
	return t.Environment, c.index.health.put(t.Environment, t)
}

func (c *Cache) unloadHealth(kv *mvccpb.KeyValue) (name string, changed bool) {
	name, task, ok := store.ParseHealthKey(string(kv.Key))
	return name, ok && c.index.health.remove(name, task, kv.ModRevision)
}

// TaskHealth returns what is known of the health of an environment's tasks, by task ARN.
func (c *Cache) TaskHealth(name string) map[string]environment.TaskHealth {
	c.mu.Lock()
	defer c.mu.Unlock()
	return maps.Clone(c.index.health.byTask[name])
}

// NamesWithHealth returns the names of the environments with records of their tasks' health, deleted ones included.
func (c *Cache) NamesWithHealth() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Collect(maps.Keys(c.index.health.byTask))
}

// HealthCommitted applies a commit of this process's store.
func (c *Cache) HealthCommitted(name string, put, remove []environment.TaskHealth, revision int64) {
	c.applyHealth(name, put, remove, revision)
	c.listeners.environmentChanged(name, ownCommit)
}

func (c *Cache) applyHealth(name string, put, remove []environment.TaskHealth, revision int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, t := range put {
		t.StoredVersion = revision
		c.index.health.put(name, t)
	}
	for _, t := range remove {
		c.index.health.remove(name, t.Task, revision)
	}
}

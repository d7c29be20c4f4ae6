package cache

import (
	"time"

	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/blox/blox/daemon-scheduler/environment"
	"github.com/blox/blox/daemon-scheduler/store"
)

// kind is one kind of record: how it enters the index and leaves it.
type kind struct {
	prefix string
	// put and remove return what the record is about, the name of an environment or the ARN of a cluster, and whether
	// the index has changed. It has not if this process's own commit is already in it.
	put    func(*Cache, *mvccpb.KeyValue) (subject string, changed bool)
	remove func(*Cache, *mvccpb.KeyValue) (subject string, changed bool)
	// removeOthers removes the records whose keys are not listed.
	removeOthers func(i *index, listed map[string]bool)
	subjects     func(i *index) map[string]bool
	notify       func(l *listeners, subject string)
	broadcast    bool // to the readers of Watch
}

func notifyEnvironment(l *listeners, name string) { l.environmentChanged(name, foreignCommit) }

var kinds = []kind{
	{
		prefix:       store.EnvironmentPrefix,
		put:          (*Cache).loadEnvironment,
		remove:       (*Cache).unloadEnvironment,
		removeOthers: (*index).removeOtherEnvironments,
		subjects:     (*index).names,
		notify:       notifyEnvironment,
		broadcast:    true,
	},
	{
		prefix:       store.LaunchPrefix,
		put:          (*Cache).loadLaunch,
		remove:       (*Cache).unloadLaunch,
		removeOthers: (*index).removeOtherLaunches,
		subjects:     (*index).names,
		notify:       notifyEnvironment,
	},
	{
		prefix:       store.AttributePrefix,
		put:          (*Cache).loadAttribute,
		remove:       (*Cache).unloadAttribute,
		removeOthers: (*index).removeOtherAttributes,
		subjects:     func(i *index) map[string]bool { return keys(i.attributes) },
		notify:       (*listeners).attributesChanged,
	},
	{
		prefix:       store.ConditionsPrefix,
		put:          (*Cache).loadConditions,
		remove:       (*Cache).unloadConditions,
		removeOthers: (*index).removeOtherConditions,
		subjects:     func(i *index) map[string]bool { return keys(i.conditions) },
		notify:       notifyEnvironment,
	},
	{
		prefix:       store.HealthPrefix,
		put:          (*Cache).loadHealth,
		remove:       (*Cache).unloadHealth,
		removeOthers: (*index).removeOtherHealth,
		subjects:     func(i *index) map[string]bool { return keys(i.health.byTask) },
		notify:       notifyEnvironment,
	},
}

// loader is the Handler of one kind.
type loader struct {
	cache *Cache
	kind  kind
}

// Replace implements Handler. It notifies the listeners of all records, as any of them may have changed.
func (l *loader) Replace(kvs []*mvccpb.KeyValue, revision int64) {
	for subject := range l.replace(kvs) {
		l.kind.notify(&l.cache.listeners, subject)
	}
	if l.kind.broadcast {
		l.cache.broadcaster.replace(kvs, revision)
	}
}

func (l *loader) replace(kvs []*mvccpb.KeyValue) (subjects map[string]bool) {
	c := l.cache
	c.mu.Lock()
	defer c.mu.Unlock()
	listed := map[string]bool{}
	for _, kv := range kvs {
		listed[string(kv.Key)] = true
		l.kind.put(c, kv)
	}
	l.kind.removeOthers(&c.index, listed)
	c.index.listed[l.kind.prefix] = true
	return l.kind.subjects(&c.index)
}

// Apply implements Handler.
func (l *loader) Apply(events []*clientv3.Event) {
	for subject := range l.apply(events) {
		l.kind.notify(&l.cache.listeners, subject)
	}
	if l.kind.broadcast {
		l.cache.broadcaster.apply(events)
	}
}

func (l *loader) apply(events []*clientv3.Event) (changed map[string]bool) {
	changed = map[string]bool{}
	l.cache.mu.Lock()
	defer l.cache.mu.Unlock()
	for _, event := range events {
		update := l.kind.put
		if event.Type == clientv3.EventTypeDelete {
			update = l.kind.remove
		}
		if subject, is := update(l.cache, event.Kv); is {
			changed[subject] = true
		}
	}
	return changed
}

// Interrupted implements Handler.
func (l *loader) Interrupted() {
	if l.kind.broadcast {
		l.cache.broadcaster.interrupted()
	}
}

func (c *Cache) loadEnvironment(kv *mvccpb.KeyValue) (name string, changed bool) {
	name = store.EnvironmentName(string(kv.Key))
	e, err := store.DecodeEnvironment(kv)
	if err != nil {
		c.log.WithError(err).WithField("key", string(kv.Key)).Error("malformed environment skipped")
		c.index.removeEnvironment(name, kv.ModRevision)
		c.index.malformed[name] = err
		return name, true
	}
	return name, c.index.putEnvironment(e)
}

func (c *Cache) unloadEnvironment(kv *mvccpb.KeyValue) (name string, changed bool) {
	name = store.EnvironmentName(string(kv.Key))
	c.index.removeEnvironment(name, kv.ModRevision)
	return name, true
}

// loadLaunch treats a malformed launch as open since it was written, as its task may exist.
func (c *Cache) loadLaunch(kv *mvccpb.KeyValue) (name string, changed bool) {
	name, instance, ok := store.ParseLaunchKey(string(kv.Key))
	if !ok {
		return "", false
	}
	l, err := store.DecodeLaunch(kv)
	if err != nil {
		c.log.WithError(err).WithField("key", string(kv.Key)).Error("malformed launch counted as open")
		l = environment.Launch{
			Instance: instance, State: environment.LaunchOpen, StoredVersion: kv.ModRevision,
			NotAfter: time.Now().Add(environment.LaunchWindow),
		}
	}
	return name, c.index.putLaunch(name, l)
}

func (c *Cache) unloadLaunch(kv *mvccpb.KeyValue) (name string, changed bool) {
	name, instance, ok := store.ParseLaunchKey(string(kv.Key))
	return name, ok && c.index.removeLaunch(name, instance, kv.ModRevision)
}

// loadAttribute skips a malformed attribute: it names no cluster, so Blox cannot remove it from ECS.
func (c *Cache) loadAttribute(kv *mvccpb.KeyValue) (clusterARN string, changed bool) {
	a, err := store.DecodeAttribute(kv)
	if err != nil {
		c.log.WithError(err).WithField("key", string(kv.Key)).Error("malformed readiness attribute skipped")
		return "", false
	}
	return a.Cluster, c.index.putAttribute(a)
}

func (c *Cache) unloadAttribute(kv *mvccpb.KeyValue) (clusterARN string, changed bool) {
	key, _ := store.ParseAttributeKey(string(kv.Key))
	return c.index.removeAttribute(key, kv.ModRevision)
}

// loadConditions replaces a malformed record by one without conditions, which the leader can overwrite or remove.
func (c *Cache) loadConditions(kv *mvccpb.KeyValue) (name string, changed bool) {
	o, err := store.DecodeConditions(kv)
	if err != nil {
		c.log.WithError(err).WithField("key", string(kv.Key)).Error("malformed conditions skipped")
		o = environment.ObservedConditions{
			Environment: store.ConditionsName(string(kv.Key)), StoredVersion: kv.ModRevision,
		}
	}
	return o.Environment, c.index.putConditions(o)
}

func (c *Cache) unloadConditions(kv *mvccpb.KeyValue) (name string, changed bool) {
	name = store.ConditionsName(string(kv.Key))
	return name, c.index.removeConditions(name, kv.ModRevision)
}

// Package cache holds a copy of the store's records in memory, with the indexes that the engine and the status need. It
// lists each kind of record and then watches it.
package cache

import (
	"context"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/sirupsen/logrus"

	"github.com/blox/blox/daemon-scheduler/environment"
	"github.com/blox/blox/daemon-scheduler/store"
)

// Cache is a copy of the environments, launches, readiness attributes, observed conditions and task health. All methods
// may be called by any goroutine.
type Cache struct {
	store *store.Store
	log   logrus.FieldLogger

	mu    sync.Mutex
	index index

	broadcaster broadcaster
	listeners   listeners
}

// New returns an empty cache. It also receives what the store commits, so that the leader's reads are not behind its
// own writes.
func New(s *store.Store, log logrus.FieldLogger) *Cache {
	c := &Cache{store: s, log: log, index: newIndex()}
	c.broadcaster.init()
	s.OnCommit(c)
	return c
}

// Run keeps the cache up to date until ctx ends, and then returns nil. When etcd was wiped or restored, it drops
// everything and lists again.
func (c *Cache) Run(ctx context.Context) error {
	for ctx.Err() == nil {
		data, cancel := c.store.DataContext(ctx)
		c.drop(c.store.DataGeneration())
		c.follow(data)
		cancel()
	}
	return nil
}

// follow lists and watches all kinds of records until ctx ends.
func (c *Cache) follow(ctx context.Context) {
	var following sync.WaitGroup
	for _, k := range kinds {
		following.Go(func() { Follow(ctx, c.store, k.prefix, &loader{cache: c, kind: k}, c.log) })
	}
	following.Wait()
}

// drop empties the cache unless it is of this generation of etcd's data. Streams end with an error, so that their
// clients list again.
func (c *Cache) drop(generation int64) {
	names, clusters := c.dropIndex(generation)
	if names == nil {
		return
	}
	c.broadcaster.drop()
	for name := range names {
		c.listeners.environmentChanged(name, foreignCommit)
	}
	for clusterARN := range clusters {
		c.listeners.attributesChanged(clusterARN)
	}
}

// dropIndex returns the environments and the clusters with readiness attributes that the index held; nil if it is of
// this generation.
func (c *Cache) dropIndex(generation int64) (names, clusters map[string]bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.index.generation == generation {
		return nil, nil
	}
	names, clusters = c.index.names(), keys(c.index.attributes)
	c.index = newIndex()
	c.index.generation = generation
	return names, clusters
}

// Synced reports whether every kind of record has been listed since etcd was last wiped or restored.
func (c *Cache) Synced() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.index.listed) == len(kinds) && c.index.generation == c.store.DataGeneration()
}

// Environment returns an environment and its launches by instance. If there is no such environment, the error is
// environment.ErrNotFound; its launches may still exist. The caller must not change the map.
func (c *Cache) Environment(name string) (environment.Environment, map[string]environment.Launch, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	e, err := c.index.record(name)
	return e, c.index.shareLaunches(name), err
}

// Record returns an environment without its launches. If there is no such environment, the error is
// environment.ErrNotFound.
func (c *Cache) Record(name string) (environment.Environment, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.index.record(name)
}

// Version identifies what the cache returns about an environment, beside its record. It is comparable.
type Version struct {
	Generation  int64 // of etcd's data
	Launches    int64 // of the environment
	DrainOrders int64 // of the cluster
	Health      int64 // of the environment's tasks
}

// Version returns the version of an environment's launches, of its tasks' health and of its cluster's drain orders.
// Each change, and each wipe or restore of etcd, makes another one.
func (c *Cache) Version(name, clusterARN string) Version {
	c.mu.Lock()
	defer c.mu.Unlock()
	return Version{
		Generation: c.index.generation, Launches: c.index.launchVersions[name],
		DrainOrders: c.index.drainOrders.version(clusterARN), Health: c.index.health.versions[name],
	}
}

// ClusterVersion identifies the records of a cluster's environments. It is comparable.
type ClusterVersion struct {
	Generation int64 // of etcd's data
	Records    int64 // 0: there is no environment
}

// ClusterVersion returns the version of the records of a cluster's environments. Each change, and each wipe or restore
// of etcd, makes another one.
func (c *Cache) ClusterVersion(clusterARN string) ClusterVersion {
	c.mu.Lock()
	defer c.mu.Unlock()
	return ClusterVersion{Generation: c.index.generation, Records: c.index.recordVersions[clusterARN]}
}

// ObservedConditions returns the record of an environment's conditions; without conditions if there is none. The caller
// must not change them.
func (c *Cache) ObservedConditions(name string) environment.ObservedConditions {
	c.mu.Lock()
	defer c.mu.Unlock()
	o := c.index.conditions[name]
	o.Environment = name
	return o
}

// Names returns the names of all environments, and of deleted ones that left launches or conditions behind.
func (c *Cache) Names() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Sorted(maps.Keys(c.index.names()))
}

// NamesInCluster returns the names of a cluster's environments.
func (c *Cache) NamesInCluster(clusterARN string) []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Sorted(maps.Keys(c.index.byCluster[clusterARN]))
}

// MatchingClusters returns the cluster with an ARN or, for one that ends in /*, the clusters with environments in its
// account and region.
func (c *Cache) MatchingClusters(clusterARN string) (clusters []string) {
	region, all := strings.CutSuffix(clusterARN, "*")
	if !all {
		return []string{clusterARN}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for cluster := range c.index.byCluster {
		if strings.HasPrefix(cluster, region) {
			clusters = append(clusters, cluster)
		}
	}
	slices.Sort(clusters)
	return clusters
}

// NameByDeployment returns the name of the environment that has the deployment.
func (c *Cache) NameByDeployment(id string) (name string, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	name, ok = c.index.byDeployment[id]
	return name, ok
}

// ClusterOf returns the ARN of an environment's cluster.
func (c *Cache) ClusterOf(name string) (clusterARN string, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	e, ok := c.index.environments[name]
	return e.Cluster, ok
}

// WithOthersTasks returns the names of a cluster's environments to which the tasks of others matter: those that release
// instances for scale-in, and those that take a service over.
func (c *Cache) WithOthersTasks(clusterARN string) []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Collect(maps.Keys(c.index.othersMatter[clusterARN]))
}

// FailedOn returns the names of a cluster's environments whose latest launch on the instance failed.
func (c *Cache) FailedOn(clusterARN, instance string) (names []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for name := range c.index.byCluster[clusterARN] {
		if c.index.launches[name][instance].State == environment.LaunchFailed {
			names = append(names, name)
		}
	}
	return names
}

// DrainOrders returns the drain orders of a cluster's environments by the ids of their deployments. The caller must not
// change the map.
func (c *Cache) DrainOrders(clusterARN string) map[string]int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.index.drainOrders.share(clusterARN)
}

// UsesReadiness reports whether readiness attributes are set on a cluster's instances, or may be.
func (c *Cache) UsesReadiness(clusterARN string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.index.withAttribute[clusterARN])+len(c.index.attributes[clusterARN]) > 0
}

// ClustersWithAttributes returns the ARNs of the clusters on whose instances readiness attributes are set.
func (c *Cache) ClustersWithAttributes() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Collect(maps.Keys(c.index.attributes))
}

// ReadinessInputs returns a cluster's environments that name a readiness attribute, and the attributes that are set on
// the cluster's instances.
func (c *Cache) ReadinessInputs(
	clusterARN string,
) (environments []environment.Environment, attributes []environment.ReadinessAttribute) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for name := range c.index.withAttribute[clusterARN] {
		environments = append(environments, c.index.environments[name])
	}
	return environments, slices.Collect(maps.Values(c.index.attributes[clusterARN]))
}

// AttributesInUse returns the names of the attributes that the environments of each cluster use, by cluster ARN.
func (c *Cache) AttributesInUse() map[string][]string {
	c.mu.Lock()
	environments := slices.Collect(maps.Values(c.index.environments))
	c.mu.Unlock()
	inUse := map[string][]string{}
	for _, e := range environments {
		if names := e.AttributesInUse(); len(names) > 0 {
			inUse[e.Cluster] = append(inUse[e.Cluster], names...)
		}
	}
	for clusterARN, names := range inUse {
		inUse[clusterARN] = slices.Compact(slices.Sorted(slices.Values(names)))
	}
	return inUse
}

// Committed applies a commit of this process's store.
func (c *Cache) Committed(changes store.Changes, revision int64) {
	c.apply(changes, revision)
	c.listeners.environmentChanged(changes.Name, ownCommit)
}

func (c *Cache) apply(changes store.Changes, revision int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	held, ok := c.index.environments[changes.Name]
	// The watch may already have returned the environment's deletion, which the commit must not undo.
	if ok && held.Incarnation == changes.Incarnation && changes.Environment != nil {
		e := *changes.Environment
		e.StoredVersion = revision
		c.index.putEnvironment(e)
	}
	if changes.Remove != nil {
		c.index.removeEnvironment(changes.Name, revision)
	}
	for _, l := range changes.Put {
		l.StoredVersion = revision
		c.index.putLaunch(changes.Name, l)
	}
	for _, l := range changes.Delete {
		c.index.removeLaunch(changes.Name, l.Instance, revision)
	}
}

// AttributesCommitted applies a commit of this process's store.
func (c *Cache) AttributesCommitted(put, remove []environment.ReadinessAttribute, revision int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, a := range put {
		a.StoredVersion = revision
		c.index.putAttribute(a)
	}
	for _, a := range remove {
		c.index.removeAttribute(a.Key(), revision)
	}
}

// ConditionsCommitted applies a commit of this process's store.
func (c *Cache) ConditionsCommitted(o environment.ObservedConditions, revision int64) {
	c.applyConditions(o, revision)
	c.listeners.environmentChanged(o.Environment, ownCommit)
}

func (c *Cache) applyConditions(o environment.ObservedConditions, revision int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(o.Conditions) == 0 {
		c.index.removeConditions(o.Environment, revision)
		return
	}
	o.StoredVersion = revision
	c.index.putConditions(o)
}

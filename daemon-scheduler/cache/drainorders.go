package cache

import (
	"maps"

	"github.com/blox/blox/daemon-scheduler/environment"
)

// drainOrders holds, by cluster ARN, the drain orders of the cluster's environments by the ids of their deployments.
type drainOrders struct {
	byCluster map[string]*orders
	changes   int64 // so far
}

type orders struct {
	byDeployment map[string]int
	version      int64 // unique; grows with each change
	shared       bool  // readers have the map, so it must not change: copy on write
}

// version returns the version of a cluster's map; 0 if it is empty.
func (d *drainOrders) version(clusterARN string) int64 {
	if held, ok := d.byCluster[clusterARN]; ok {
		return held.version
	}
	return 0
}

// share returns a cluster's map, which does not change from then on.
func (d *drainOrders) share(clusterARN string) map[string]int {
	held, ok := d.byCluster[clusterARN]
	if !ok {
		return map[string]int{}
	}
	held.shared = true
	return held.byDeployment
}

// replace replaces an environment's deployments by those of e. The zero Environment has none.
func (d *drainOrders) replace(old, e environment.Environment) {
	for id := range old.Deployments {
		if _, stays := e.Deployments[id]; !stays || old.Cluster != e.Cluster {
			delete(d.writable(old.Cluster), id)
		}
	}
	for id, spec := range e.SpecsByDeployment() {
		order := spec.DrainOrder
		// A deployment's progress changes the record but not the order, so it must not cost a copy.
		if held, ok := d.byCluster[e.Cluster]; ok {
			if former, ok := held.byDeployment[id]; ok && former == order {
				continue
			}
		}
		d.writable(e.Cluster)[id] = order
	}
	if held, ok := d.byCluster[old.Cluster]; ok && len(held.byDeployment) == 0 {
		delete(d.byCluster, old.Cluster)
	}
}

// writable returns a cluster's map, copied if it is shared.
func (d *drainOrders) writable(clusterARN string) map[string]int {
	switch held, ok := d.byCluster[clusterARN]; {
	case !ok:
		d.byCluster[clusterARN] = &orders{byDeployment: map[string]int{}}
	case held.shared:
		d.byCluster[clusterARN] = &orders{byDeployment: maps.Clone(held.byDeployment)}
	}
	held := d.byCluster[clusterARN]
	d.changes++
	held.version = d.changes
	return held.byDeployment
}

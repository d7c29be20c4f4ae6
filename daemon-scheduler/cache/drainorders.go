package cache

import (
	"maps"

	"github.com/blox/blox/daemon-scheduler/environment"
)

// drainOrders holds, by cluster ARN, the drain orders of the cluster's environments by the ids of their deployments.
type drainOrders map[string]*orders

type orders struct {
	byDeployment map[string]int
	shared       bool // readers have the map, so it must not change: copy on write
}

// share returns a cluster's map, which does not change from then on.
func (d drainOrders) share(clusterARN string) map[string]int {
	held, ok := d[clusterARN]
	if !ok {
		return map[string]int{}
	}
	held.shared = true
	return held.byDeployment
}

// replace replaces an environment's deployments by those of e. The zero Environment has none.
func (d drainOrders) replace(old, e environment.Environment) {
	for id := range old.Deployments {
		if _, stays := e.Deployments[id]; !stays || old.Cluster != e.Cluster {
			delete(d.writable(old.Cluster), id)
		}
	}
	for id, spec := range e.SpecsByDeployment() {
		order := spec.DrainOrder
		// A deployment's progress changes the record but not the order, so it must not cost a copy.
		if held, ok := d[e.Cluster]; ok {
			if former, ok := held.byDeployment[id]; ok && former == order {
				continue
			}
		}
		d.writable(e.Cluster)[id] = order
	}
	if held, ok := d[old.Cluster]; ok && len(held.byDeployment) == 0 {
		delete(d, old.Cluster)
	}
}

// writable returns a cluster's map, copied if it is shared.
func (d drainOrders) writable(clusterARN string) map[string]int {
	switch held, ok := d[clusterARN]; {
	case !ok:
		d[clusterARN] = &orders{byDeployment: map[string]int{}}
	case held.shared:
		d[clusterARN] = &orders{byDeployment: maps.Clone(held.byDeployment)}
	}
	return d[clusterARN].byDeployment
}

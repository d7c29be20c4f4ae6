package reconcile

import (
	"github.com/blox/blox/cluster-state-service/cache"
)

// clusterCounts are the counts that DescribeClusters returns.
type clusterCounts struct{ instances, running, pending int }

func (c clusterCounts) isEmpty() bool { return c == clusterCounts{} }

// countRange holds the least and the greatest counts that ECS may report for the stored records of a cluster. AWS does
// not document how it counts tasks and instances in transitional states.
type countRange struct{ least, greatest clusterCounts }

func (r countRange) contains(c clusterCounts) bool {
	within := func(least, n, greatest int) bool { return least <= n && n <= greatest }
	return within(r.least.instances, c.instances, r.greatest.instances) &&
		within(r.least.running, c.running, r.greatest.running) &&
		within(r.least.pending, c.pending, r.greatest.pending)
}

// countStored returns the counts of the stored records by cluster ARN, of every cluster that has records.
func countStored(s *cache.Snapshot) map[string]countRange {
	counts := map[string]countRange{}
	for e := range s.Instances.Prefix("") {
		r := counts[e.Entity.ClusterARN]
		r.addInstance(e.Entity.Status)
		counts[e.Entity.ClusterARN] = r
	}
	for e := range s.Tasks.Prefix("") {
		r := counts[e.Entity.ClusterARN]
		r.addTask(e.Entity.LastStatus)
		counts[e.Entity.ClusterARN] = r
	}
	return counts
}

func (r *countRange) addInstance(status string) {
	switch status {
	case "ACTIVE", "DRAINING":
		r.least.instances++
		r.greatest.instances++
	case "INACTIVE":
	default:
		r.greatest.instances++
	}
}

func (r *countRange) addTask(lastStatus string) {
	switch lastStatus {
	case "RUNNING":
		r.least.running++
		r.greatest.running++
	case "PENDING":
		r.least.pending++
		r.greatest.pending++
	case "STOPPED", "DELETED":
	default:
		r.greatest.running++
		r.greatest.pending++
	}
}

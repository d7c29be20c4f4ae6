package engine

import (
	"maps"
	"slices"

	"github.com/blox/blox/daemon-scheduler/cache"
	"github.com/blox/blox/daemon-scheduler/clusterstate"
	"github.com/blox/blox/daemon-scheduler/environment"
	"github.com/blox/blox/daemon-scheduler/planner"
)

// BuildState returns what the caches hold that a plan for the environment depends on; own are those of its tasks that
// the environment's deployments have started. It reads the tasks of others only where they matter: on DRAINING
// instances and, if the environment releases instances for scale-in, on all.
func BuildState(
	records *cache.Cache, cluster clusterstate.Cluster, e environment.Environment,
) (s planner.State, own []environment.Task) {
	own = cluster.Tasks(e.Cluster, slices.Collect(maps.Keys(e.Deployments))...)
	s = planner.State{Environment: e, Instances: cluster.Instances(e.Cluster), Tasks: slices.Clip(own)}
	releases := e.CurrentSpec().ScaleInAfterMinutes > 0
	for _, i := range s.Instances {
		if i.Deregistered() || i.Status != "DRAINING" && !releases {
			continue
		}
		if s.DrainOrders == nil {
			s.DrainOrders = records.DrainOrders(e.Cluster)
		}
		for _, t := range cluster.TasksOn(i.ARN) {
			if _, ours := e.Deployments[t.StartedBy]; !ours && t.Live() {
				s.Tasks = append(s.Tasks, t)
			}
		}
	}
	return s, own
}

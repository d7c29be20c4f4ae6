package engine

import (
	"maps"
	"slices"

	"github.com/blox/blox/daemon-scheduler/environment"
	"github.com/blox/blox/daemon-scheduler/planner"
)

// Situation is what the copies hold that a plan for the environment depends on; own are the tasks among it that its
// deployments have started. Others' tasks are looked at only where they matter: on instances that are draining and, where the
// environment yields, on all.
func Situation(records Store, clusters Cluster, e environment.Environment) (s planner.State, own []environment.Task) {
	own = clusters.Tasks(e.Cluster, slices.Collect(maps.Keys(e.Deployments))...)
	s = planner.State{Environment: e, Instances: clusters.Instances(e.Cluster), Tasks: slices.Clip(own)}
	yields := e.CurrentSpec().ScaleInAfterMinutes > 0
	for _, i := range s.Instances {
		if i.Deregistered() || i.Status != "DRAINING" && !yields {
			continue
		}
		if s.DrainOrders == nil {
			s.DrainOrders = records.Daemons(e.Cluster)
		}
		for _, t := range clusters.TasksOn(i.ARN) {
			if _, its := e.Deployments[t.StartedBy]; !its && t.Live() {
				s.Tasks = append(s.Tasks, t)
			}
		}
	}
	return s, own
}

// Package clusterstate is what daemon-scheduler sees of ECS: the copy that a cluster-state-service provides, and what ECS
// itself knows of clusters and task definitions by name.
package clusterstate

import (
	"time"

	"github.com/blox/blox/cluster-state-service/informer"
	"github.com/blox/blox/daemon-scheduler/environment"
	"github.com/blox/blox/swagger/cluster-state-service/v1/models"
)

// MostStale is how old the copy may be for anything to be started or stopped because of it.
const MostStale = 30 * time.Second

// Cluster is the copy, in the words of the domain.
type Cluster struct{ *informer.Informer }

// Fresh tells whether the copy is complete and no older than MostStale.
func (c Cluster) Fresh(now time.Time) bool { return c.Synced() && c.Age(now) <= MostStale }

// DoubtedAt is when the copy, or a part of it, was last not what a stream of changes makes of it: it was listed, or lacks a
// record that could not be read.
func (c Cluster) DoubtedAt() time.Time {
	at := c.ListedAt()
	if _, odd := c.Skipped(); odd.After(at) {
		return odd
	}
	return at
}

// Instances are the container instances of the cluster with that ARN.
func (c Cluster) Instances(clusterARN string) []environment.Instance {
	copied := c.Informer.Instances(clusterARN)
	instances := make([]environment.Instance, 0, len(copied))
	for _, i := range copied {
		instances = append(instances, environment.Instance{
			ARN: value(i.Entity.ContainerInstanceARN), Status: value(i.Entity.Status),
			AgentConnected: value(i.Entity.AgentConnected), EC2InstanceID: i.Entity.EC2InstanceID,
			Attributes: attributes(i.Entity.Attributes),
		})
	}
	return instances
}

// attributes are as the copy has them: to look through them is cheaper than to index all of them for every look.
type attributes []*models.ContainerInstanceAttribute

func (a attributes) Attribute(name string) (string, bool) {
	for _, one := range a {
		if one != nil && value(one.Name) == name {
			return value(one.Value), true
		}
	}
	return "", false
}

// Tasks are the tasks of the cluster with that ARN that were started by these, in no order.
func (c Cluster) Tasks(clusterARN string, startedBy ...string) []environment.Task {
	var tasks []environment.Task
	for _, by := range startedBy {
		for _, t := range c.TasksStartedBy(by) {
			if value(t.Entity.ClusterARN) == clusterARN {
				tasks = append(tasks, task(t.Entity))
			}
		}
	}
	return tasks
}

// TasksOn are the tasks on the instance with that ARN, of everyone, in no order.
func (c Cluster) TasksOn(instanceARN string) []environment.Task {
	on := c.Informer.TasksOn(instanceARN)
	tasks := make([]environment.Task, 0, len(on))
	for _, t := range on {
		tasks = append(tasks, task(t.Entity))
	}
	return tasks
}

func task(e *models.TaskDetail) environment.Task {
	return environment.Task{
		ARN: value(e.TaskARN), Instance: value(e.ContainerInstanceARN), StartedBy: e.StartedBy,
		LastStatus: value(e.LastStatus), DesiredStatus: value(e.DesiredStatus), StoppedReason: e.StoppedReason,
		CreatedAt: at(value(e.CreatedAt)), StartedAt: at(e.StartedAt), StoppedAt: at(e.StoppedAt),
	}
}

func value[V any](p *V) (v V) {
	if p != nil {
		v = *p
	}
	return v
}

// at reads a time as events and CSS write it; zero when there is none.
func at(s string) time.Time {
	t, err := time.Parse(time.RFC3339Nano, s)
	if err != nil {
		return time.Time{}
	}
	return t
}

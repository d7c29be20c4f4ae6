// Package clusterstate adapts the informer to the scheduler: it converts the informer's copy of the clusters to domain
// types and its changes to what they mean for environments.
package clusterstate

import (
	"time"

	"github.com/go-openapi/swag/conv"

	"github.com/blox/blox/cluster-state-service/informer"
	"github.com/blox/blox/daemon-scheduler/environment"
	"github.com/blox/blox/swagger/cluster-state-service/v1/models"
)

// MaxAge is the greatest age of a cluster state that the scheduler acts on.
const MaxAge = 30 * time.Second

// Cluster is the state of all clusters as the informer knows it, without phantoms: tasks that ECS does not know. Copies
// share the phantoms.
type Cluster struct {
	*informer.Informer
	phantoms *phantoms // nil leaves none out
}

// New returns the state of the informer's clusters.
func New(i *informer.Informer) Cluster { return Cluster{Informer: i, phantoms: &phantoms{}} }

// IgnoreTasks leaves the tasks with these ARNs out of Tasks and TasksOn, until the cluster-state-service has reconciled
// with ECS and removed them.
func (c Cluster) IgnoreTasks(arns []string) {
	if c.phantoms != nil && len(arns) > 0 {
		c.phantoms.add(arns, time.Now())
	}
}

// Ignored counts the calls of IgnoreTasks that have taken effect.
func (c Cluster) Ignored() int64 {
	if c.phantoms == nil {
		return 0
	}
	return c.phantoms.changes.Load()
}

// Fresh reports whether the cluster state is complete and no older than MaxAge.
func (c Cluster) Fresh(now time.Time) bool { return c.Synced() && c.Age(now) <= MaxAge }

// DoubtedAt returns when the cluster state last differed from what a stream of changes makes of it: the informer listed
// it anew, or skipped a malformed record.
func (c Cluster) DoubtedAt() time.Time {
	at := c.ListedAt()
	if _, skippedAt := c.Skipped(); skippedAt.After(at) {
		return skippedAt
	}
	return at
}

// Instances returns the container instances of the cluster with that ARN.
func (c Cluster) Instances(clusterARN string) []environment.Instance {
	known := c.Informer.Instances(clusterARN)
	instances := make([]environment.Instance, 0, len(known))
	for _, i := range known {
		instances = append(instances, convertInstance(i.Entity))
	}
	return instances
}

// Instance returns the container instance with that ARN; false if it has left.
func (c Cluster) Instance(arn string) (environment.Instance, bool) {
	known := c.Informer.Instance(arn)
	if known == nil {
		return environment.Instance{}, false
	}
	return convertInstance(known.Entity), true
}

func convertInstance(e *models.ContainerInstanceDetail) environment.Instance {
	return environment.Instance{
		ARN: conv.Value(e.ContainerInstanceARN), Status: conv.Value(e.Status), AgentConnected: conv.Value(e.AgentConnected),
		EC2InstanceID: e.EC2InstanceID, Attributes: attributes(e.Attributes),
	}
}

// attributes holds the informer's own list: searching it is cheaper than indexing all attributes for every
// reconciliation.
type attributes []*models.ContainerInstanceAttribute

func (a attributes) Attribute(name string) (string, bool) {
	for _, one := range a {
		if one != nil && conv.Value(one.Name) == name {
			return conv.Value(one.Value), true
		}
	}
	return "", false
}

// Tasks returns the tasks of the cluster with that ARN that were started by any of startedBy, in no order.
func (c Cluster) Tasks(clusterARN string, startedBy ...string) []environment.Task {
	var tasks []environment.Task
	isPhantom := c.phantoms.at(time.Now())
	for _, by := range startedBy {
		for _, t := range c.TasksStartedBy(by) {
			if conv.Value(t.Entity.ClusterARN) == clusterARN && !isPhantom(conv.Value(t.Entity.TaskARN)) {
				tasks = append(tasks, task(t.Entity))
			}
		}
	}
	return tasks
}

// TasksOn returns the tasks on the instance with that ARN, of all schedulers, in no order.
func (c Cluster) TasksOn(instanceARN string) []environment.Task {
	on := c.Informer.TasksOn(instanceARN)
	tasks := make([]environment.Task, 0, len(on))
	isPhantom := c.phantoms.at(time.Now())
	for _, t := range on {
		if !isPhantom(conv.Value(t.Entity.TaskARN)) {
			tasks = append(tasks, task(t.Entity))
		}
	}
	return tasks
}

func task(e *models.TaskDetail) environment.Task {
	return environment.Task{
		ARN: conv.Value(e.TaskARN), Instance: conv.Value(e.ContainerInstanceARN), StartedBy: e.StartedBy,
		Group:      e.Group,
		LastStatus: conv.Value(e.LastStatus), DesiredStatus: conv.Value(e.DesiredStatus),
		StoppedReason: e.StoppedReason, StopCode: e.StopCode,
		CreatedAt: parseTime(conv.Value(e.CreatedAt)), StartedAt: parseTime(e.StartedAt), StoppedAt: parseTime(e.StoppedAt),
	}
}

// parseTime parses a time as cluster-state-service writes it; zero if there is none.
func parseTime(s string) time.Time {
	t, err := time.Parse(time.RFC3339Nano, s)
	if err != nil {
		return time.Time{}
	}
	return t
}

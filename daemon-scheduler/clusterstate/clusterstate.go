// Package clusterstate adapts the informer to the scheduler: it converts the informer's copy of the clusters to domain
// types and its changes to what they mean for environments.
package clusterstate

import (
	"slices"
	"sync/atomic"
	"time"

	"github.com/go-openapi/swag/conv"

	"github.com/blox/blox/cluster-state-service/informer"
	"github.com/blox/blox/daemon-scheduler/environment"
	"github.com/blox/blox/swagger/cluster-state-service/v1/models"
)

// MaxAge is the greatest age of a cluster state that the scheduler acts on.
const MaxAge = 30 * time.Second

// Cluster is the state of all clusters as the informer knows it, without phantoms: tasks that ECS does not know. Copies
// share the phantoms, the pending times, the DAEMON services and the leader's tracker.
type Cluster struct {
	*informer.Informer
	instances *instanceLists
	tasks     *taskConversions
	phantoms  *phantoms     // nil leaves none out
	pending   *pendingTimes // nil measures none
	daemons   *daemonGroups // nil knows none
	// leader has the tracker of the leader if that is this process; nil has none.
	leader *atomic.Pointer[AvailabilityTracker]
}

// New returns the state of the informer's clusters. It follows the informer's changes for as long as that exists.
func New(i *informer.Informer) Cluster {
	c := Cluster{
		Informer: i, instances: newInstanceLists(), tasks: newTaskConversions(), phantoms: &phantoms{},
		pending: newPendingTimes(), daemons: &daemonGroups{}, leader: &atomic.Pointer[AvailabilityTracker]{},
	}
	i.Subscribe(c.measurePending)
	return c
}

// SetLeaderAvailability makes LeaderAvailability return the tracker; nil while this process does not lead.
func (c Cluster) SetLeaderAvailability(t *AvailabilityTracker) {
	if c.leader != nil {
		c.leader.Store(t)
	}
}

// LeaderAvailability returns the tracker of the leader, which observes every change; nil if this process does not lead.
func (c Cluster) LeaderAvailability() *AvailabilityTracker {
	if c.leader == nil {
		return nil
	}
	return c.leader.Load()
}

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

// IgnoredUntil returns when Tasks and TasksOn next show a task again that they leave out; zero if they leave out none.
func (c Cluster) IgnoredUntil(now time.Time) time.Time {
	return c.phantoms.nextExpiry(now)
}

// Fresh reports whether the cluster state is complete and no older than MaxAge.
func (c Cluster) Fresh(now time.Time) bool { return c.Synced() && c.Age(now) <= MaxAge }

// FreshIn is Fresh for one cluster, which the cluster-state-service must have reconciled: otherwise the state may lack
// any of its records.
func (c Cluster) FreshIn(clusterARN string, now time.Time) bool {
	return c.Fresh(now) && c.Reconciled(clusterARN)
}

// DoubtedAt returns when the cluster state last differed from what a stream of changes makes of it: the informer listed
// it anew, or skipped a malformed record.
func (c Cluster) DoubtedAt() time.Time {
	at := c.ListedAt()
	if _, skippedAt := c.Skipped(); skippedAt.After(at) {
		return skippedAt
	}
	return at
}

// Instances returns the container instances of the cluster with that ARN, by ARN. All callers share the result, which
// must not change.
func (c Cluster) Instances(clusterARN string) []environment.Instance {
	return c.instances.list(clusterARN, c.Informer.Instances(clusterARN))
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
		AgentVersion: agentVersion(e), EC2InstanceID: e.EC2InstanceID, CapacityProvider: e.CapacityProviderName,
		RegisteredAt: parseTime(e.RegisteredAt), Attributes: attributes(e.Attributes),
	}
}

func agentVersion(e *models.ContainerInstanceDetail) string {
	if e.VersionInfo == nil {
		return ""
	}
	return e.VersionInfo.AgentVersion
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
	now := time.Now()
	isPhantom := c.phantoms.at(now)
	for _, by := range startedBy {
		known := c.tasks.list(by, c.TasksStartedBy(by), now)
		tasks = slices.Grow(tasks, len(known))
		for _, t := range known {
			if t.clusterARN == clusterARN && !isPhantom(t.task.ARN) {
				tasks = append(tasks, t.task)
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
	t := environment.Task{
		ARN: conv.Value(e.TaskARN), Instance: conv.Value(e.ContainerInstanceARN), StartedBy: e.StartedBy,
		Group:      e.Group,
		LastStatus: conv.Value(e.LastStatus), DesiredStatus: conv.Value(e.DesiredStatus),
		StoppedReason: e.StoppedReason, StopCode: e.StopCode,
		CreatedAt: parseTime(conv.Value(e.CreatedAt)), StartedAt: parseTime(e.StartedAt), StoppedAt: parseTime(e.StoppedAt),
		Containers: containers(e.Containers),
	}
	if t.LastStatus != "RUNNING" { // a plan reads all tasks, and most of them run
		t.PullStartedAt, t.PullStoppedAt = parseTime(e.PullStartedAt), parseTime(e.PullStoppedAt)
	}
	return t
}

// containers returns the containers that have an exit code or a reason.
func containers(all []*models.TaskContainer) (list []environment.Container) {
	for _, c := range all {
		if c != nil && (c.ExitCode != nil || c.Reason != "") {
			list = append(list, environment.Container{Name: conv.Value(c.Name), ExitCode: c.ExitCode, Reason: c.Reason})
		}
	}
	return list
}

// parseTime parses a time as cluster-state-service writes it; zero if there is none.
func parseTime(s string) time.Time {
	t, err := time.Parse(time.RFC3339Nano, s)
	if err != nil {
		return time.Time{}
	}
	return t
}

package clusterstate

import (
	"slices"
	"strconv"
	"strings"

	"github.com/go-openapi/swag/conv"

	"github.com/blox/blox/cluster-state-service/informer"
	"github.com/blox/blox/daemon-scheduler/environment"
	"github.com/blox/blox/swagger/cluster-state-service/v1/models"
)

// Listener reacts to changes of the cluster state. Its methods must not block.
type Listener interface {
	// TaskChanged receives a task as it is now or, once it is deleted, as it was.
	TaskChanged(clusterARN string, t environment.Task)
	InstanceChanged(environment.InstanceChange)
}

// Follow sends every change to the listener until stop is called.
func (c Cluster) Follow(listener Listener) (stop func()) {
	return c.Subscribe(func(change informer.Change) {
		switch change.Kind {
		case informer.KindInstance:
			c.sendInstance(listener, change)
		case informer.KindTask:
			c.sendTask(listener, change)
		case informer.KindCluster:
			listener.InstanceChanged(environment.InstanceChange{ClusterARN: change.ClusterARN, Changed: true})
		}
	})
}

func (c Cluster) sendInstance(listener Listener, change informer.Change) {
	var after *models.ContainerInstance
	if !change.Deleted {
		after = c.Informer.Instance(change.ARN)
	}
	if meaning, matters := compare(change.OldInstance, after); matters {
		meaning.ClusterARN, meaning.Instance = change.ClusterARN, change.ARN
		listener.InstanceChanged(meaning)
	}
}

func (c Cluster) sendTask(listener Listener, change informer.Change) {
	t := change.OldTask
	if !change.Deleted {
		t = c.Task(change.ARN)
	}
	if t == nil {
		return
	}
	listener.TaskChanged(change.ClusterARN, task(t.Entity))
	arn := conv.Value(t.Entity.ContainerInstanceARN)
	if i := c.Informer.Instance(arn); i != nil && conv.Value(i.Entity.Status) == "DRAINING" {
		// Daemons on a DRAINING instance wait for its other tasks to stop.
		listener.InstanceChanged(environment.InstanceChange{ClusterARN: change.ClusterARN, Instance: arn, Changed: true})
	}
}

// compare returns the meaning of the difference between two states of an instance; nil stands for no instance. It
// reports whether the difference matters, because every task changes the free resources of its instance.
func compare(before, after *models.ContainerInstance) (meaning environment.InstanceChange, matters bool) {
	switch {
	case before == nil && after == nil:
		return meaning, false
	case after == nil:
		meaning.Changed = true
		return meaning, true
	case before == nil:
		meaning.Joined, meaning.Changed, meaning.Improved = canRunTasks(after.Entity), true, true
		return meaning, true
	}
	old, now := before.Entity, after.Entity
	attributes := !slices.Equal(sorted(old.Attributes), sorted(now.Attributes))
	meaning.Joined = canRunTasks(now) && !canRunTasks(old)
	meaning.Changed = attributes || conv.Value(old.Status) != conv.Value(now.Status) ||
		conv.Value(old.AgentConnected) != conv.Value(now.AgentConnected) || agentVersion(old) != agentVersion(now) ||
		old.CapacityProviderName != now.CapacityProviderName || old.RegisteredAt != now.RegisteredAt
	meaning.Improved = attributes || meaning.Joined || hasMore(old.RemainingResources, now.RemainingResources)
	return meaning, meaning.Changed || meaning.Improved
}

func canRunTasks(i *models.ContainerInstanceDetail) bool {
	return conv.Value(i.Status) == "ACTIVE" && conv.Value(i.AgentConnected)
}

// sorted returns the attributes in a comparable form, as ECS promises no order.
func sorted(attributes []*models.ContainerInstanceAttribute) []string {
	list := make([]string, 0, len(attributes))
	for _, a := range attributes {
		list = append(list, conv.Value(a.Name)+"\x00"+conv.Value(a.Value))
	}
	slices.Sort(list)
	return list
}

// hasMore reports whether more of any resource is free than before. A set, such as the ports, lists the used values.
func hasMore(before, now []*models.ContainerInstanceResource) bool {
	for _, n := range now {
		for _, b := range before {
			if conv.Value(b.Name) != conv.Value(n.Name) {
				continue
			}
			if conv.Value(n.Type) == "STRINGSET" {
				taken := strings.Split(conv.Value(n.Value), ",")
				for _, one := range strings.Split(conv.Value(b.Value), ",") {
					if one != "" && !slices.Contains(taken, one) {
						return true
					}
				}
				continue
			}
			had, errHad := strconv.ParseFloat(conv.Value(b.Value), 64)
			has, errHas := strconv.ParseFloat(conv.Value(n.Value), 64)
			if errHad == nil && errHas == nil && has > had {
				return true
			}
		}
	}
	return false
}

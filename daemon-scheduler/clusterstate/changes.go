package clusterstate

import (
	"slices"
	"strconv"
	"strings"

	"github.com/blox/blox/cluster-state-service/informer"
	"github.com/blox/blox/daemon-scheduler/environment"
	"github.com/blox/blox/swagger/cluster-state-service/v1/models"
)

// Listener is told what a change of the copy means; it only notes what there is to do.
type Listener interface {
	// TaskChanged tells of a task as it is now or, once it is gone, as it was.
	TaskChanged(clusterARN string, t environment.Task)
	InstanceChanged(environment.InstanceChange)
}

// Follow has to told of every change until stop is called.
func (c Cluster) Follow(to Listener) (stop func()) {
	return c.Subscribe(func(change informer.Change) {
		if change.Kind == informer.KindInstance {
			var is *models.ContainerInstance
			if !change.Deleted {
				is = c.Instance(change.ARN)
			}
			if means, matters := compare(change.OldInstance, is); matters {
				means.ClusterARN, means.Instance = change.ClusterARN, change.ARN
				to.InstanceChanged(means)
			}
			return
		}
		t := change.OldTask
		if !change.Deleted {
			t = c.Task(change.ARN)
		}
		if t == nil {
			return
		}
		to.TaskChanged(change.ClusterARN, task(t.Entity))
		on := value(t.Entity.ContainerInstanceARN)
		if i := c.Instance(on); i != nil && value(i.Entity.Status) == "DRAINING" { // daemons there wait for the last of the others
			to.InstanceChanged(environment.InstanceChange{ClusterARN: change.ClusterARN, Instance: on, Changed: true})
		}
	})
}

// compare tells what the difference between two states of an instance means, nil standing for none, and whether it means
// anything: what is free on an instance changes with every task.
func compare(was, is *models.ContainerInstance) (means environment.InstanceChange, matters bool) {
	switch {
	case was == nil && is == nil:
		return means, false
	case is == nil:
		means.Changed = true
		return means, true
	case was == nil:
		means.Joined, means.Changed, means.Improved = able(is.Entity), true, true
		return means, true
	}
	before, now := was.Entity, is.Entity
	attributes := !slices.Equal(sorted(before.Attributes), sorted(now.Attributes))
	means.Joined = able(now) && !able(before)
	means.Changed = attributes || value(before.Status) != value(now.Status) || value(before.AgentConnected) != value(now.AgentConnected)
	means.Improved = attributes || means.Joined || more(before.RemainingResources, now.RemainingResources)
	return means, means.Changed || means.Improved
}

func able(i *models.ContainerInstanceDetail) bool {
	return value(i.Status) == "ACTIVE" && value(i.AgentConnected)
}

// sorted is the attributes in a form that can be compared: ECS promises no order.
func sorted(attributes []*models.ContainerInstanceAttribute) []string {
	list := make([]string, 0, len(attributes))
	for _, a := range attributes {
		list = append(list, value(a.Name)+"\x00"+value(a.Value))
	}
	slices.Sort(list)
	return list
}

// more tells whether anything is more plentiful than before. A set, such as the ports, is what is taken.
func more(before, now []*models.ContainerInstanceResource) bool {
	for _, n := range now {
		for _, b := range before {
			if value(b.Name) != value(n.Name) {
				continue
			}
			if value(n.Type) == "STRINGSET" {
				taken := strings.Split(value(n.Value), ",")
				for _, one := range strings.Split(value(b.Value), ",") {
					if one != "" && !slices.Contains(taken, one) {
						return true
					}
				}
				continue
			}
			had, errHad := strconv.ParseFloat(value(b.Value), 64)
			has, errHas := strconv.ParseFloat(value(n.Value), 64)
			if errHad == nil && errHas == nil && has > had {
				return true
			}
		}
	}
	return false
}

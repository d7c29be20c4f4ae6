package clusterstate

import (
	"maps"
	"sync"
	"time"

	"github.com/go-openapi/swag/conv"

	"github.com/blox/blox/daemon-scheduler/environment"
	"github.com/blox/blox/swagger/cluster-state-service/v1/models"
)

// conversionRetention is how long the tasks of a deployment are kept that no plan reads.
const conversionRetention = 10 * time.Minute

// taskConversions keeps the tasks of deployments as domain types. A task changes a few times, and each plan reads all
// of them. It is safe for concurrent use.
type taskConversions struct {
	mu        sync.Mutex
	byStarter map[string]*starterTasks // by startedBy
}

// starterTasks are the tasks with one startedBy. The informer replaces a task that changes, so that a record of the
// informer never stands for another state.
type starterTasks struct {
	byRecord map[*models.Task]*convertedTask
	readAt   time.Time
}

// convertedTask is immutable.
type convertedTask struct {
	clusterARN string
	task       environment.Task
}

func newTaskConversions() *taskConversions {
	return &taskConversions{byStarter: map[string]*starterTasks{}}
}

func convertTask(t *models.Task) *convertedTask {
	return &convertedTask{conv.Value(t.Entity.ClusterARN), task(t.Entity)}
}

// list returns the tasks with that startedBy that are known now. It converts those that have changed.
func (c *taskConversions) list(startedBy string, known []*models.Task, now time.Time) []*convertedTask {
	if c == nil {
		return newTaskConversions().list(startedBy, known, now)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(known) == 0 {
		delete(c.byStarter, startedBy)
		return nil
	}
	held := c.byStarter[startedBy]
	switch {
	case held == nil:
		maps.DeleteFunc(c.byStarter, func(_ string, s *starterTasks) bool {
			return now.Sub(s.readAt) > conversionRetention
		})
		held = &starterTasks{byRecord: make(map[*models.Task]*convertedTask, len(known))}
	case len(held.byRecord) > 2*len(known): // most are of former states
		held = held.only(known)
	}
	c.byStarter[startedBy] = held
	held.readAt = now
	list := make([]*convertedTask, 0, len(known))
	for _, t := range known {
		converted, isHeld := held.byRecord[t]
		if !isHeld {
			converted = convertTask(t)
			held.byRecord[t] = converted
		}
		list = append(list, converted)
	}
	return list
}

// only returns those of the tasks that are known now.
func (s *starterTasks) only(known []*models.Task) *starterTasks {
	kept := &starterTasks{byRecord: make(map[*models.Task]*convertedTask, len(known))}
	for _, t := range known {
		if converted, isHeld := s.byRecord[t]; isHeld {
			kept.byRecord[t] = converted
		}
	}
	return kept
}

package engine

import (
	"fmt"

	"github.com/blox/blox/daemon-scheduler/environment"
	"github.com/blox/blox/internal/ecserrors"
)

// reasonHealthCheckFailed is the reason of TasksUnhealthy.
const reasonHealthCheckFailed = "ContainerHealthCheckFailed"

// observeUnhealthy records whether tasks of the environment are UNHEALTHY. The condition keeps the time at which the
// first one became so while none was. A cluster state that is not fresh changes nothing.
func (e *Engine) observeUnhealthy(name string, tasks []environment.Task, fresh bool) {
	if !fresh {
		return
	}
	count := 0
	var first environment.Task // by ARN, so that the message does not change without need
	for _, t := range tasks {
		if !t.Running() || !t.Unhealthy() {
			continue
		}
		if count++; count == 1 || t.ARN < first.ARN {
			first = t
		}
	}
	message := "1 task is UNHEALTHY."
	switch count {
	case 0:
		e.conditions.clear(name, environment.ConditionTasksUnhealthy)
		return
	case 1:
	default:
		message = fmt.Sprintf("%d tasks are UNHEALTHY.", count)
	}
	e.conditions.set(name, environment.ConditionTasksUnhealthy, ecserrors.Outcome{
		Code: reasonHealthCheckFailed, Message: message + " First: " + first.Instance + ": " + first.HealthReason,
	})
}

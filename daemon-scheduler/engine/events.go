package engine

import (
	"time"

	"github.com/blox/blox/daemon-scheduler/environment"
	"github.com/blox/blox/daemon-scheduler/planner"
)

// recordEvent records a service event of the environment.
func (r *reconciliation) recordEvent(event environment.Event) {
	if r.RecordEvent == nil {
		return
	}
	event.Environment, event.LastSeenAt = r.env.Name, time.Now().UTC()
	r.RecordEvent(event)
}

// recordStartEvents records an event for each launch whose outcome is known.
func (r *reconciliation) recordStartEvents(starts []planner.Action, known []environment.Launch) {
	reasons := make(map[string]string, len(starts)) // by instance ARN
	for _, a := range starts {
		reasons[a.Instance] = a.Reason
	}
	for _, l := range known {
		event := environment.Event{
			Action: environment.EventTaskStarted, Deployment: l.Deployment, TaskDefinition: l.TaskDefinition,
			Reason: reasons[l.Instance], Count: 1,
			Instances: []environment.EventInstance{{Instance: l.Instance, Task: l.Task}},
		}
		if l.State == environment.LaunchFailed {
			event.Action, event.Reason, event.Detail = environment.EventTaskStartFailed, l.Reason, l.Detail
		}
		r.recordEvent(event)
	}
}

// recordProgressEvents records an event if the deployment's status has changed from before to after, and another one if
// its failure began a rollback, which next holds.
func (r *reconciliation) recordProgressEvents(before, after environment.Deployment, next environment.Environment) {
	if step := after.CanaryProgress.PromotedSteps; step > before.CanaryProgress.PromotedSteps {
		r.recordEvent(environment.Event{
			Action: environment.EventCanaryStepPromoted, Deployment: after.ID, TaskDefinition: after.TaskDefinition,
			Reason: r.env.CanaryStepText(before) + ": all tasks have been ready for the pause of the step",
		})
	}
	event := environment.Event{
		Deployment: after.ID, TaskDefinition: after.TaskDefinition, Reason: after.RolloutStateReason,
	}
	switch {
	case after.Status == before.Status:
		return
	case after.Status == environment.Running:
		event.Action = environment.EventDeploymentStarted
	case after.Rollout() == environment.RolloutCompleted:
		event.Action = environment.EventDeploymentCompleted
	default:
		event.Action = environment.EventDeploymentFailed
	}
	r.recordEvent(event)
	rollback, ok := next.InProgress()
	if ok && event.Action == environment.EventDeploymentFailed && rollback.RollbackOf != "" {
		r.recordEvent(environment.Event{
			Action: environment.EventDeploymentRolledBack, Deployment: rollback.ID,
			TaskDefinition: rollback.TaskDefinition, Reason: "deployment " + after.ID + " has failed",
		})
	}
}

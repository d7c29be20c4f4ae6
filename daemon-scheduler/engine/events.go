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
	event.Environment, event.Cluster = r.env.Name, r.env.Cluster
	event.LastSeenAt = time.Now().UTC()
	r.RecordEvent(event)
}

// recordStartEvents records an event for each launch whose outcome is known.
func (r *reconciliation) recordStartEvents(starts []planner.Action, known []environment.Launch) {
	reasons := make(map[string]string, len(starts)) // by instance ARN
	for _, a := range starts {
		reasons[a.Instance] = a.Reason
		r.recordTaskFailure(a.Launch)
	}
	for _, l := range known {
		instance := environment.EventInstance{Instance: l.Instance, Task: l.Task}
		event := environment.Event{
			Action: environment.EventTaskStarted, Deployment: l.Deployment, TaskDefinition: l.TaskDefinition,
			Reason: reasons[l.Instance], Count: 1,
		}
		switch previous := r.launches[l.Instance].Task; {
		case l.State == environment.LaunchFailed:
			event.Action, event.Reason, event.Detail = environment.EventTaskStartFailed, l.Reason, l.Detail
		case previous != "" && previous != l.Task:
			event.Action, instance.ReplacedTask = environment.EventTaskReplaced, previous
		}
		event.Instances = []environment.EventInstance{instance}
		r.recordEvent(event)
	}
}

// recordTaskFailure records an event if the launch record next follows one whose task has stopped by itself.
func (r *reconciliation) recordTaskFailure(next environment.Launch) {
	previous := r.launches[next.Instance]
	if previous.State != environment.LaunchStarted || previous.Task == "" || next.State == environment.LaunchStarted {
		return
	}
	detail, failed := next.Detail, next.TaskFailures > previous.TaskFailures
	for _, t := range r.tasks {
		if t.ARN == previous.Task {
			detail, failed = planner.StopDetail(t), !t.Live() && planner.TaskFailed(t)
		}
	}
	if failed {
		r.recordEvent(environment.Event{
			Action: environment.EventTaskFailed, Deployment: previous.Deployment, TaskDefinition: previous.TaskDefinition,
			Reason: "The task stopped by itself.", Detail: detail, Count: 1,
			Instances: []environment.EventInstance{{Instance: next.Instance, Task: previous.Task}},
		})
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

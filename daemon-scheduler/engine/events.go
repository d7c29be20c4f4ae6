package engine

import (
	"time"

	"github.com/blox/blox/daemon-scheduler/environment"
	"github.com/blox/blox/daemon-scheduler/planner"
)

// note has the journal, if there is one, take down what was decided about the environment.
func (w *work) note(d environment.Event) {
	if w.Journal == nil {
		return
	}
	d.Environment, d.LastSeenAt = w.env.Name, time.Now().UTC()
	w.Journal(d)
}

// noteStarts tells of the launches that are settled, started or failed.
func (w *work) noteStarts(starts []planner.Action, settled []environment.Launch) {
	why := make(map[string]string, len(starts))
	for _, a := range starts {
		why[a.Instance] = a.Reason
	}
	for _, l := range settled {
		d := environment.Event{
			Action: environment.EventTaskStarted, Deployment: l.Deployment, TaskDefinition: l.TaskDefinition,
			Reason: why[l.Instance], Count: 1, Instances: []environment.EventInstance{{Instance: l.Instance, Task: l.Task}},
		}
		if l.State == environment.LaunchFailed {
			d.Action, d.Reason, d.Detail = environment.EventTaskStartFailed, l.Reason, l.Detail
		}
		w.note(d)
	}
}

// noteProgress tells of what has become of a deployment.
func (w *work) noteProgress(was, is environment.Deployment, next environment.Environment) {
	d := environment.Event{Deployment: is.ID, TaskDefinition: is.TaskDefinition, Reason: is.RolloutStateReason}
	switch {
	case is.Status == was.Status:
		return
	case is.Status == environment.Running:
		d.Action = environment.EventDeploymentStarted
	case is.Rollout() == environment.RolloutCompleted:
		d.Action = environment.EventDeploymentCompleted
	default:
		d.Action = environment.EventDeploymentFailed
	}
	w.note(d)
	if back, ok := next.InProgress(); ok && d.Action == environment.EventDeploymentFailed && back.RollbackOf != "" {
		w.note(environment.Event{
			Action: environment.EventDeploymentRolledBack, Deployment: back.ID, TaskDefinition: back.TaskDefinition,
			Reason: "deployment " + is.ID + " has failed",
		})
	}
}

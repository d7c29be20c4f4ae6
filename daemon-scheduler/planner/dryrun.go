package planner

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"github.com/blox/blox/daemon-scheduler/environment"
)

const maxBatches = 50 // of a dry run; steps beyond them are reported as waiting

// dryRunPause exceeds every pause of a canary's step: a dry run goes on after each of them.
const dryRunPause = 365 * 24 * time.Hour

// DryRun returns the steps that follow if every started task runs and every stopped task stops. Steps beyond 50
// batches, and those that wait for anything but tasks, are reported as waiting.
func DryRun(s State) (steps []environment.Step) {
	s.Tasks = slices.Clone(s.Tasks)
	s.Launches = maps.Clone(s.Launches)
	s.StopRequestedAt = nil
	s.Step = StepTimer{ReadyFor: dryRunPause}
	s.Availability = map[string]environment.Availability{}
	if s.Launches == nil {
		s.Launches = map[string]environment.Launch{}
	}
	batch := 1
	for range 2 * maxBatches {
		plan := Make(s)
		next := plan.steps(batch)
		steps = append(steps, next...)
		if len(next) > 0 {
			batch++
		}
		done := len(plan.Actions) == 0 && !s.tasksInTransition() && !plan.Progress.Step.Promote
		if done || batch > maxBatches {
			for _, w := range plan.Waits {
				steps = append(steps, environment.Step{Batch: batch, Action: "wait", Instance: w.Instance, Reason: w.Reason})
			}
			break
		}
		s = s.afterSuccess(plan)
	}
	return steps
}

// steps returns the plan's starts and stops.
func (p Plan) steps(batch int) (steps []environment.Step) {
	for _, a := range p.Actions {
		if a.Kind == Start || a.Kind == Stop {
			steps = append(steps, environment.Step{
				Batch: batch, Action: string(a.Kind), Instance: a.Instance, Task: a.Task, Reason: a.Reason,
			})
		}
	}
	return steps
}

// tasksInTransition reports whether a task of the environment is starting or stopping, or has yet to become HEALTHY.
func (s State) tasksInTransition() bool {
	return slices.ContainsFunc(s.Tasks, func(t environment.Task) bool {
		_, ours := s.Environment.Deployments[t.StartedBy]
		return ours && t.Live() && !t.Available() && !t.Unhealthy()
	})
}

// afterSuccess returns s after the plan was carried out without failures. It changes s.Tasks and s.Launches.
func (s State) afterSuccess(plan Plan) State {
	s.Environment, _ = s.Environment.RecordProgress(plan.Deployment, plan.Progress, s.Now)
	stopReasons := map[string]string{} // by task
	for _, a := range plan.Actions {
		switch a.Kind {
		case Start:
			task := "start of " + a.Instance
			s.Launches[a.Instance] = StartedLaunch(a.Launch, task)
			s.Tasks = append(s.Tasks, environment.Task{
				ARN: task, Instance: a.Instance, StartedBy: a.Launch.Deployment, LastStatus: "PENDING", DesiredStatus: "RUNNING",
				CreatedAt: s.Now, StartedAt: s.Now.Add(-minReadyMax),
			})
		case Stop:
			stopReasons[a.Task] = a.Reason
			if a.Launch.Instance != "" {
				s.Launches[a.Instance] = a.Launch
			}
		case Confirm:
			s.Launches[a.Instance] = ConfirmLaunch(a.Launch, nil, s.Now)
		case Record:
			s.Launches[a.Instance] = a.Launch
		case Forget:
			delete(s.Launches, a.Instance)
		}
	}
	for n := range s.Tasks {
		task := &s.Tasks[n]
		switch {
		case !task.Live():
		case task.Stopping() || stopReasons[task.ARN] != "":
			task.LastStatus = "STOPPED"
			task.DesiredStatus = "STOPPED"
			task.StoppedAt = s.Now
			task.StoppedReason = cmp.Or(task.StoppedReason, stopReasons[task.ARN])
		default:
			task.LastStatus = "RUNNING"
			if !task.Unhealthy() {
				task.Health = environment.HealthHealthy
				s.Availability[task.ARN] = environment.Availability{Available: true} // for long
			}
		}
	}
	return s
}

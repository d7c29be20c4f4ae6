package planner

import (
	"cmp"
	"maps"
	"slices"

	"github.com/blox/blox/daemon-scheduler/environment"
)

// InstanceStatuses tells what each instance of the cluster does for the environment, ordered by ARN, and why.
func InstanceStatuses(s State) []environment.InstanceStatus {
	p, sites := buildPlan(s)
	plan := p.plan
	why := map[string]string{}
	for _, a := range plan.Actions {
		why[a.Instance] = a.Reason
	}
	for _, w := range plan.Waits {
		why[w.Instance] = w.Reason
	}
	failed := map[string]bool{}
	for _, f := range plan.Failed {
		failed[f.Arn] = true
	}
	var placements []environment.InstanceStatus
	for _, at := range sites {
		placements = append(placements, p.instanceStatus(at, why[at.ARN], failed[at.ARN]))
	}
	return placements
}

func (p *planBuilder) instanceStatus(on *instanceState, reason string, failed bool) environment.InstanceStatus {
	at := environment.InstanceStatus{Instance: on.Instance, Reason: reason}
	if on.hasLaunch && on.launch.Deployment == on.target.ID {
		at.Attempts, at.NextAttemptAt = on.launch.Attempts, on.launch.NextAttemptAt
	}
	shown, lives, others := on.kept, on.hasKept, on.others
	if !lives && len(others) > 0 {
		shown = others[0]
	}
	at.Task, at.TaskStatus, at.Deployment = shown.ARN, shown.LastStatus, shown.StartedBy
	switch {
	case !p.deployed:
		setPhase(&at, environment.InstanceExcluded, "nothing is deployed")
	case p.Environment.IsDeleting():
		setPhase(&at, environment.InstanceExcluded, "the environment is being deleted")
	case !on.matches:
		setPhase(&at, environment.InstanceExcluded, "the instance does not match the instance group")
	case on.released:
		setPhase(&at, environment.InstanceExcluded, "only daemons were on the instance for long: it may be taken away")
	case lives && on.target.ID != p.current.ID:
		setPhase(&at, environment.InstanceOutdated, "the deployment waits to be promoted")
	case lives && shown.Running():
		at.Phase = environment.InstanceRunning
	case failed:
		setPhase(&at, environment.InstanceFailed, on.launch.Reason)
		if on.launch.Detail != "" {
			at.Reason += " (" + on.launch.Detail + ")"
		}
	case lives:
		at.Phase = environment.InstancePending
	case len(others) > 0:
		at.Phase = environment.InstanceOutdated
	case on.Status == "ACTIVE":
		at.Phase = environment.InstanceMissing
	default:
		at.Phase = environment.InstanceExcluded
	}
	return at
}

// setPhase sets the state, and the reason unless the plan has told a better one.
func setPhase(at *environment.InstanceStatus, state environment.InstancePhase, reason string) {
	at.Phase = state
	if at.Reason == "" {
		at.Reason = reason
	}
}

const maxWaves = 50 // of a foresight; what would come later is told as waiting

// DryRun tells what would be done from now on if everything went well: every task that is started runs, and every task that
// is stopped stops. What is not done within 50 waves, or waits for something else than tasks, is told as waiting.
func DryRun(s State) (steps []environment.Step) {
	s.Tasks, s.Launches, s.StopRequestedAt = slices.Clone(s.Tasks), maps.Clone(s.Launches), nil
	if s.Launches == nil {
		s.Launches = map[string]environment.Launch{}
	}
	wave := 1
	for range 2 * maxWaves {
		plan := Make(s)
		did := false
		for _, a := range plan.Actions {
			if a.Kind == Start || a.Kind == Stop {
				did = true
				steps = append(steps, environment.Step{Wave: wave, Action: string(a.Kind), Instance: a.Instance, Task: a.Task, Reason: a.Reason})
			}
		}
		if did {
			wave++
		}
		under := s.tasksInTransition()
		if len(plan.Actions) == 0 && !under || wave > maxWaves {
			for _, w := range plan.Waits {
				steps = append(steps, environment.Step{Wave: wave, Action: "wait", Instance: w.Instance, Reason: w.Reason})
			}
			break
		}
		s = s.afterSuccess(plan)
	}
	return steps
}

// tasksInTransition tells whether a task of the environment is on its way to run or to stop.
func (s State) tasksInTransition() bool {
	return slices.ContainsFunc(s.Tasks, func(t environment.Task) bool {
		_, ours := s.Environment.Deployments[t.StartedBy]
		return ours && t.Live() && !t.Running()
	})
}

// afterSuccess is s after the plan was carried out and everything went well.
func (s State) afterSuccess(plan Plan) State {
	s.Environment, _ = s.Environment.RecordProgress(plan.Deployment, plan.Progress, s.Now)
	stopped := map[string]string{} // reasons, by task
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
			stopped[a.Task] = a.Reason
		case Confirm:
			s.Launches[a.Instance] = ConfirmLaunch(a.Launch, nil, s.Now)
		case Record:
			s.Launches[a.Instance] = a.Launch
		case Forget:
			delete(s.Launches, a.Instance)
		}
	}
	for i, t := range s.Tasks {
		switch {
		case !t.Live():
		case t.Stopping() || stopped[t.ARN] != "":
			s.Tasks[i].LastStatus, s.Tasks[i].DesiredStatus, s.Tasks[i].StoppedAt = "STOPPED", "STOPPED", s.Now
			s.Tasks[i].StoppedReason = cmp.Or(t.StoppedReason, stopped[t.ARN])
		default:
			s.Tasks[i].LastStatus = "RUNNING"
		}
	}
	return s
}

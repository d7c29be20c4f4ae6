package planner

import (
	"maps"
	"slices"

	"github.com/blox/blox/daemon-scheduler/environment"
)

// Place tells what each instance of the cluster does for the environment, ordered by ARN, and why.
func Place(s State) []environment.Placement {
	plan := Make(s)
	p := &planning{State: s, onInstance: map[string][]environment.Task{}}
	p.current, p.deployed = s.Environment.Current()
	p.rules()
	for _, task := range s.Tasks {
		if _, ours := s.Environment.Deployments[task.StartedBy]; ours && task.Live() {
			p.onInstance[task.Instance] = append(p.onInstance[task.Instance], task)
		}
	}
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
	var placements []environment.Placement
	for _, i := range slices.SortedFunc(slices.Values(s.Instances), byARN) {
		if !i.Gone() {
			placements = append(placements, p.place(i, why[i.ARN], failed[i.ARN]))
		}
	}
	return placements
}

func (p *planning) place(i environment.Instance, reason string, failed bool) environment.Placement {
	at := environment.Placement{Instance: i, Reason: reason}
	kept, lives, others := p.sort(i.ARN)
	launch, launched := p.Launches[i.ARN]
	if launched && launch.Deployment == p.current.ID {
		at.Attempts, at.NextTry = launch.Attempts, launch.NextTry
	}
	if !lives && len(others) > 0 {
		kept = others[0]
	}
	at.Task, at.TaskStatus, at.Deployment = kept.ARN, kept.LastStatus, kept.StartedBy
	able := i.Status == "ACTIVE" && i.AgentConnected
	switch {
	case !p.deployed:
		say(&at, environment.PlacedNowhere, "nothing is deployed")
	case p.Environment.IsDeleting():
		say(&at, environment.PlacedNowhere, "the environment is being deleted")
	case !p.group.Has(i):
		say(&at, environment.PlacedNowhere, "the instance does not match the instance group")
	case lives && kept.Running():
		at.State = environment.PlacedRunning
	case failed:
		say(&at, environment.PlacedFailed, launch.Reason)
		if launch.Detail != "" {
			at.Reason += " (" + launch.Detail + ")"
		}
	case lives:
		at.State = environment.PlacedPending
	case len(others) > 0:
		at.State = environment.PlacedOutdated
	case able || i.Status == "ACTIVE":
		at.State = environment.PlacedMissing
	default:
		at.State = environment.PlacedNowhere
	}
	return at
}

// say sets the state, and the reason unless the plan has told a better one.
func say(at *environment.Placement, state environment.PlacementState, reason string) {
	at.State = state
	if at.Reason == "" {
		at.Reason = reason
	}
}

const mostWaves = 50 // of a foresight; what would come later is told as waiting

// Foresee tells what would be done from now on if everything went well: every task that is started runs, and every task that
// is stopped stops. What is not done within 50 waves, or waits for something else than tasks, is told as waiting.
func Foresee(s State) (steps []environment.Step) {
	s.Tasks, s.Launches, s.Asked = slices.Clone(s.Tasks), maps.Clone(s.Launches), nil
	if s.Launches == nil {
		s.Launches = map[string]environment.Launch{}
	}
	wave := 1
	for range 2 * mostWaves {
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
		under := s.underWay()
		if len(plan.Actions) == 0 && !under || wave > mostWaves {
			for _, w := range plan.Waits {
				steps = append(steps, environment.Step{Wave: wave, Action: "wait", Instance: w.Instance, Reason: w.Reason})
			}
			break
		}
		s = s.ideally(plan)
	}
	return steps
}

// underWay tells whether a task of the environment is on its way to run or to stop.
func (s State) underWay() bool {
	return slices.ContainsFunc(s.Tasks, func(t environment.Task) bool {
		_, ours := s.Environment.Deployments[t.StartedBy]
		return ours && t.Live() && !t.Running()
	})
}

// ideally is s after the plan was carried out and everything went well.
func (s State) ideally(plan Plan) State {
	s.Environment, _ = s.Environment.Observe(plan.Deployment, plan.Progress, s.Now)
	stopped := map[string]bool{}
	for _, a := range plan.Actions {
		switch a.Kind {
		case Start:
			task := "start of " + a.Instance
			s.Launches[a.Instance] = Started(a.Launch, task)
			s.Tasks = append(s.Tasks, environment.Task{
				ARN: task, Instance: a.Instance, StartedBy: a.Launch.Deployment, LastStatus: "PENDING", DesiredStatus: "RUNNING",
				CreatedAt: s.Now, StartedAt: s.Now,
			})
		case Stop:
			stopped[a.Task] = true
		case Check:
			s.Launches[a.Instance] = Settle(a.Launch, nil, s.Now)
		case Note:
			s.Launches[a.Instance] = a.Launch
		case Forget:
			delete(s.Launches, a.Instance)
		}
	}
	for i, t := range s.Tasks {
		switch {
		case !t.Live():
		case t.Stopping() || stopped[t.ARN]:
			s.Tasks[i].LastStatus, s.Tasks[i].DesiredStatus, s.Tasks[i].StoppedAt = "STOPPED", "STOPPED", s.Now
		default:
			s.Tasks[i].LastStatus = "RUNNING"
		}
	}
	return s
}

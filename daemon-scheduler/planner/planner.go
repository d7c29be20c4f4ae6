// Package planner decides what has to happen so that an environment's current deployment has exactly one task on every
// container instance that can run it. It is pure: the whole present state goes in, and what to do comes out, each
// with its reason.
package planner

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"github.com/blox/blox/daemon-scheduler/environment"
)

// State is everything that a plan depends on.
type State struct {
	Environment environment.Environment
	Launches    map[string]environment.Launch // the environment's, by container instance ARN

	// The copy of the environment's cluster. While it is not Fresh, incomplete or too old, nothing is started or stopped.
	Fresh     bool
	Instances []environment.Instance
	Tasks     []environment.Task // of everyone

	Asked map[string]time.Time // when StopTask was last called, by task ARN
	// Better is when an instance last changed so that a start that failed may succeed, by ARN.
	Better map[string]time.Time
	Now    time.Time
	// Settle is how long after a launch's NotAfter ECS may be believed about it.
	Settle time.Duration
}

// Kind is what an Action does.
type Kind string

// The kinds of actions.
const (
	Start  Kind = "start"  // write Launch as open, then call StartTask
	Stop   Kind = "stop"   // call StopTask for Task
	Check  Kind = "check"  // ask ECS what became of Launch, then decide by Settle
	Note   Kind = "note"   // write Launch
	Forget Kind = "forget" // delete Launch's record
)

// Action is one thing to do on one container instance.
type Action struct {
	Kind     Kind
	Instance string             // ARN
	Task     string             // ARN, of Stop
	Launch   environment.Launch // of all others; its Revision is that of the record it replaces
	Reason   string
}

// Wait is an instance on which nothing is done now although something is missing.
type Wait struct {
	Instance string
	Reason   string
}

// Plan is what to do, in the order of the instances.
type Plan struct {
	Actions []Action
	Waits   []Wait
	// Until is when the plan may change with nothing else changing; zero when it does not.
	Until time.Time
	// Deployment is the id of the deployment that is kept up, and Progress how it is doing; empty without one.
	Deployment string
	Progress   environment.Progress
	Failed     []environment.FailedInstance // by ARN
	Counts     environment.Counts
	// InUse has the deployments that live tasks belong to.
	InUse map[string]bool
	// Gone tells that the environment is being deleted, and that nothing of it is left but its records.
	Gone bool
}

const (
	stale    = time.Second      // between two looks at whether the copy is fresh again
	askAgain = 60 * time.Second // after which a StopTask that shows no effect is repeated
)

// Reasons that users see in ECS as a task's stoppedReason; the environment's name follows.
const (
	EarlierDeployment = "blox: earlier deployment of environment "
	OneTooMany        = "blox: one task too many of environment "
	NotMatching       = "blox: the instance does not match environment "
	Deleted           = "blox: deleted environment "
)

// Make returns the plan for s. With nothing deployed it is empty but for launches that have to be settled.
func Make(s State) Plan {
	p := &planning{State: s, onInstance: map[string][]environment.Task{}, byARN: map[string]environment.Task{}}
	p.plan.InUse = map[string]bool{}
	p.current, p.deployed = s.Environment.Current()
	p.plan.Deployment = p.current.ID
	p.rules()
	for _, task := range s.Tasks {
		if _, ours := s.Environment.Deployments[task.StartedBy]; !ours {
			continue // not Blox's, or another environment's
		}
		p.byARN[task.ARN] = task
		if task.Live() {
			p.onInstance[task.Instance] = append(p.onInstance[task.Instance], task)
			p.plan.InUse[task.StartedBy] = true
		}
	}
	for _, l := range s.Launches {
		if _, seen := p.byARN[l.Task]; l.State == environment.Open || l.State == environment.Started && !seen {
			p.plan.InUse[l.Deployment] = true // its task may live, and nobody sees it yet
		}
	}
	if s.Environment.IsDeleting() {
		p.delete()
		return p.plan
	}
	if p.deployed && !s.Fresh {
		p.until(s.Now.Add(stale))
	}
	here := map[string]bool{}
	for _, instance := range slices.SortedFunc(slices.Values(s.Instances), byARN) {
		if !instance.Gone() {
			here[instance.ARN] = true
			p.instance(instance)
		}
	}
	for _, arn := range slices.Sorted(maps.Keys(s.Launches)) {
		if !here[arn] {
			p.left(s.Launches[arn])
		}
	}
	p.progress()
	return p.plan
}

func byARN(a, b environment.Instance) int { return cmp.Compare(a.ARN, b.ARN) }

// planning is a plan in the making.
type planning struct {
	State
	plan       Plan
	current    environment.Deployment
	deployed   bool // whether there is a current deployment
	onInstance map[string][]environment.Task
	byARN      map[string]environment.Task // the environment's, dead ones too
	group      environment.Group           // the instances that the current deployment is for
	held       string                      // why nothing may be started or stopped; empty when it may

	desired, running, settled int // instances: able to run the task, with it RUNNING, and with it RUNNING or failed
}

// instance plans for one instance of the cluster. Whatever comes first holds back what would follow.
func (p *planning) instance(i environment.Instance) {
	launch, launched := p.Launches[i.ARN]
	kept, lives, others := p.sort(i.ARN)
	matches := p.group.Has(i)
	able := i.Status == "ACTIVE" && i.AgentConnected && matches
	if matches {
		p.count(i.ARN, able, kept, lives, others)
	}

	if launched && launch.State == environment.Open {
		p.settle(launch, kept, lives)
		if p.deployed && able {
			p.stop(i.ARN, others)
		}
		return
	}
	switch {
	case !p.deployed:
	case p.held != "":
		if !lives {
			p.wait(i.ARN, p.held)
		}
	case !matches:
		p.exclude(i, launch)
	case !able:
		p.stop(i.ARN, surplus(others, p.current.ID)) // two of one deployment are one too many wherever they are
		if !lives {
			p.wait(i.ARN, "the instance is "+i.Status+" or its agent is disconnected")
		}
	case !p.Fresh:
		p.wait(i.ARN, "the copy of the cluster is not current")
	case p.stop(i.ARN, others):
	case lives:
		p.there(launch, kept)
	case len(others) > 0:
		p.wait(i.ARN, "its earlier task has not stopped yet")
	case launched && p.known(launch.Deployment):
		p.again(launch)
	default:
		p.start(launch, i.ARN, 1, "no task of the deployment")
	}
}

// sort divides the environment's live tasks on an instance into the one to keep, if any, and the others.
func (p *planning) sort(instance string) (kept environment.Task, lives bool, others []environment.Task) {
	tasks := slices.SortedFunc(slices.Values(p.onInstance[instance]), better)
	for _, task := range tasks {
		if !lives && task.StartedBy == p.current.ID {
			kept, lives = task, true
			continue
		}
		others = append(others, task)
	}
	return kept, lives, others
}

// surplus are those tasks that the deployment started.
func surplus(tasks []environment.Task, deployment string) (of []environment.Task) {
	for _, task := range tasks {
		if task.StartedBy == deployment {
			of = append(of, task)
		}
	}
	return of
}

// better orders tasks by how much they deserve to be kept: those not being stopped first, then RUNNING ones, then the
// oldest.
func better(a, b environment.Task) int {
	no := func(is bool) int {
		if is {
			return 0
		}
		return 1
	}
	return cmp.Or(
		cmp.Compare(no(!a.Stopping()), no(!b.Stopping())),
		cmp.Compare(no(a.Running()), no(b.Running())),
		a.CreatedAt.Compare(b.CreatedAt),
		cmp.Compare(a.ARN, b.ARN),
	)
}

// stop asks for the end of tasks that are not being stopped already, and tells whether it had to.
func (p *planning) stop(instance string, tasks []environment.Task) (some bool) {
	return p.stopBecause(instance, tasks, func(task environment.Task) string {
		if task.StartedBy == p.current.ID {
			return OneTooMany
		}
		return EarlierDeployment
	})
}

func (p *planning) stopBecause(instance string, tasks []environment.Task, reason func(environment.Task) string) (some bool) {
	if !p.Fresh || p.held != "" {
		return false
	}
	for _, task := range tasks {
		if task.Stopping() {
			continue
		}
		if asked, ok := p.Asked[task.ARN]; ok && p.Now.Before(asked.Add(askAgain)) {
			p.until(asked.Add(askAgain))
			continue
		}
		p.do(Action{Kind: Stop, Instance: instance, Task: task.ARN, Reason: reason(task) + p.Environment.Name})
		p.until(p.Now.Add(askAgain))
		some = true
	}
	return some
}

// settle waits until ECS may be believed about an open launch. The instance is occupied until then.
func (p *planning) settle(launch environment.Launch, kept environment.Task, lives bool) {
	due := launch.NotAfter.Add(p.Settle)
	switch {
	case p.Now.Before(due):
		p.wait(launch.Instance, "a launch is open")
		p.until(due)
	case lives && p.Fresh && launch.Deployment == p.current.ID:
		p.do(Action{Kind: Note, Instance: launch.Instance, Launch: Started(launch, kept.ARN), Reason: "its task is there"})
	default:
		p.do(Action{Kind: Check, Instance: launch.Instance, Launch: launch, Reason: "a launch was left open"})
	}
}

// again plans for an instance without a live task whose last launch is settled.
func (p *planning) again(launch environment.Launch) {
	task, seen := p.byARN[launch.Task]
	switch current := launch.Deployment == p.current.ID; {
	case launch.State == environment.Started && !seen:
		p.unseen(launch)
	case !current:
		p.start(launch, launch.Instance, 1, "no task of the deployment")
	case launch.State == environment.Started:
		p.died(launch, task)
	case p.Now.Before(launch.NextTry) && p.better(launch):
		p.start(launch, launch.Instance, launch.Attempts+1, "the instance has changed")
	case p.Now.Before(launch.NextTry):
		p.wait(launch.Instance, "backing off after a failure: "+launch.Reason)
		p.until(launch.NextTry)
	default:
		p.start(launch, launch.Instance, launch.Attempts+1, "another try")
	}
}

// unseen waits for the task of a launch to be shown by the copy of the cluster, and has ECS asked when that takes long.
func (p *planning) unseen(launch environment.Launch) {
	due := launch.NotAfter.Add(p.Settle)
	if launch.NextTry.After(due) {
		due = launch.NextTry
	}
	if p.Now.Before(due) {
		p.wait(launch.Instance, "its task is not seen yet")
		p.until(due)
		return
	}
	p.do(Action{Kind: Check, Instance: launch.Instance, Launch: launch, Reason: "its task was never seen"})
}

// better tells whether the instance of a failed start has changed since, so that the delay is cut short to a tenth: what keeps
// changing must not take all the calls that ECS grants. A daemon that keeps dying frees what it had, and so changes it itself.
func (p *planning) better(launch environment.Launch) bool {
	announced := launch.NotAfter.Add(-environment.LaunchWindow)
	if changed, ok := p.Better[launch.Instance]; !ok || changed.Before(announced) || launch.Reason == "STOPPED" {
		return false
	}
	soon := announced.Add(backoff(launch.Attempts) / 10)
	if p.Now.Before(soon) {
		p.until(soon)
		return false
	}
	return true
}

// died replaces a task that stopped: at once when it had run and none had died before it, else after a growing delay.
func (p *planning) died(launch environment.Launch, task environment.Task) {
	deaths, attempts := deaths(launch, task)
	next := launch.NotAfter.Add(backoff(deaths))
	if deaths == 0 || !p.Now.Before(next) {
		p.start(launch, launch.Instance, attempts, "its task stopped")
		return
	}
	launch = stopped(launch, task)
	p.do(Action{Kind: Note, Instance: launch.Instance, Launch: launch, Reason: "its task keeps stopping"})
	p.until(launch.NextTry)
	p.fail(launch.Instance, launch.Reason, true)
}

// there puts right the record of an instance that has its task.
func (p *planning) there(launch environment.Launch, kept environment.Task) {
	next := launch
	if launch.State == environment.Failed {
		next = Started(launch, kept.ARN)
	}
	if kept.Running() {
		next.Reason, next.Detail = "", ""
	}
	if launch.Deployment == p.current.ID && (next.State != launch.State || next.Reason != launch.Reason) {
		p.do(Action{Kind: Note, Instance: launch.Instance, Launch: next, Reason: "its task is there"})
	}
}

// start plans a launch in place of the last one, which may be none.
func (p *planning) start(last environment.Launch, instance string, attempts int, reason string) {
	next := environment.Launch{
		Instance: instance, Deployment: p.current.ID, TaskDefinition: p.current.TaskDefinition,
		State: environment.Open, Attempts: attempts, Revision: last.Revision,
	}
	if last.Deployment == p.current.ID {
		next.Reason, next.Detail = last.Reason, last.Detail // it stays failed until it has its task
	}
	p.do(Action{Kind: Start, Instance: instance, Launch: next, Reason: reason})
}

// left forgets the launch of an instance that left, once it is settled.
func (p *planning) left(launch environment.Launch) {
	due := launch.NotAfter.Add(p.Settle)
	switch {
	case launch.State == environment.Open && p.Now.Before(due):
		p.until(due)
	case !p.Fresh:
		p.until(p.Now.Add(stale))
	default:
		p.do(Action{Kind: Forget, Instance: launch.Instance, Launch: launch, Reason: "the instance left"})
	}
}

func (p *planning) known(deployment string) bool {
	_, ok := p.Environment.Deployments[deployment]
	return ok
}

func (p *planning) do(a Action) { p.plan.Actions = append(p.plan.Actions, a) }

func (p *planning) wait(instance, reason string) {
	p.plan.Waits = append(p.plan.Waits, Wait{instance, reason})
}

// until brings the next look forward to t.
func (p *planning) until(t time.Time) {
	if p.plan.Until.IsZero() || t.Before(p.plan.Until) {
		p.plan.Until = t
	}
}

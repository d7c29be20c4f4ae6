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

	// DrainOrders are the drain orders of all environments of the cluster, by the ids of their deployments: tasks started by
	// them are daemons, all others are what daemons are for.
	DrainOrders map[string]int

	StopRequestedAt map[string]time.Time // when StopTask was last called, by task ARN
	// ImprovedAt is when an instance last changed so that a start that failed may succeed, by ARN.
	ImprovedAt map[string]time.Time
	Now        time.Time
	// StartConfirmTimeout is how long after a launch's NotAfter ECS may be believed about it.
	StartConfirmTimeout time.Duration
}

// ActionKind is what an Action does.
type ActionKind string

// The kinds of actions.
const (
	Start   ActionKind = "start"  // write Launch as open, then call StartTask
	Stop    ActionKind = "stop"   // call StopTask for Task
	Confirm ActionKind = "check"  // ask ECS what became of Launch, then decide by Settle
	Record  ActionKind = "note"   // write Launch
	Forget  ActionKind = "forget" // delete Launch's record
)

// Action is one thing to do on one container instance.
type Action struct {
	Kind     ActionKind
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
	// RequeueAt is when the plan may change with nothing else changing; zero when it does not.
	RequeueAt time.Time
	// Deployment is the id of the deployment that is kept up, and Progress how it is doing; empty without one.
	Deployment string
	Progress   environment.Progress
	Failed     []environment.FailedInstance // by ARN
	Counts     environment.Counts
	// FailureReason is why the deployment has failed; empty when it has not. Nothing is started or stopped then.
	FailureReason string
	// InUse has the deployments that live tasks belong to.
	InUse map[string]bool
	// DeletionComplete tells that the environment is being deleted, and that nothing of it is left but its records.
	DeletionComplete bool
}

const (
	stale    = time.Second      // between two looks at whether the copy is fresh again
	askAgain = 60 * time.Second // after which a StopTask that shows no effect is repeated
)

// Reasons that users see in ECS as a task's stoppedReason; the environment's name follows.
const (
	ReasonSuperseded  = "blox: earlier deployment of environment "
	ReasonDuplicate   = "blox: one task too many of environment "
	ReasonNotMatching = "blox: the instance does not match environment "
	ReasonDraining    = "blox: last on a draining instance, environment "
	ReasonScaleIn     = "blox: alone on the instance for too long, environment "
	ReasonDeleted     = "blox: deleted environment "
)

// Make returns the plan for s. With nothing deployed it is empty but for launches that have to be settled.
func Make(s State) Plan {
	p, _ := plan(s)
	return p.plan
}

func plan(s State) (*planning, []*site) {
	p := newPlanning(s)
	p.rules()
	for _, task := range s.Tasks {
		if _, ours := s.Environment.Deployments[task.StartedBy]; !ours {
			p.meet(task)
			continue
		}
		p.byARN[task.ARN] = task
		if !task.Live() {
			p.lose(task)
		} else {
			p.onInstance[task.Instance] = append(p.onInstance[task.Instance], task)
			p.plan.InUse[task.StartedBy] = true
		}
	}
	for _, l := range s.Launches {
		if _, seen := p.byARN[l.Task]; l.State == environment.LaunchOpen || l.State == environment.LaunchStarted && !seen {
			p.plan.InUse[l.Deployment] = true // its task may live, and nobody sees it yet
		}
	}
	sites := p.survey()
	if s.Environment.IsDeleting() {
		p.delete()
		return p, sites
	}
	if p.deployed && !s.Fresh {
		p.until(s.Now.Add(stale))
	}
	here := map[string]bool{}
	for _, at := range sites {
		here[at.ARN] = true
		p.site(at)
	}
	for _, arn := range slices.Sorted(maps.Keys(s.Launches)) {
		if !here[arn] {
			p.left(s.Launches[arn])
		}
	}
	p.progress()
	p.judge()
	return p, sites
}

func newPlanning(s State) *planning {
	p := &planning{
		State: s, onInstance: map[string][]environment.Task{}, byARN: map[string]environment.Task{},
		lost: map[string]bool{}, company: map[string]int{}, firstDaemon: map[string]int{},
	}
	p.plan.InUse = map[string]bool{}
	p.current, p.deployed = s.Environment.Current()
	p.plan.Deployment = p.current.ID
	p.begin()
	p.countFailures()
	return p
}

// meet notes a live task that is not the environment's.
func (p *planning) meet(task environment.Task) {
	if !task.Live() {
		return
	}
	order, daemon := p.DrainOrders[task.StartedBy]
	if !daemon {
		p.company[task.Instance]++
		return
	}
	if first, met := p.firstDaemon[task.Instance]; !met || order < first {
		p.firstDaemon[task.Instance] = order
	}
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
	// By instance: whether a running task of the environment was lost there, how many live tasks are of no environment, and the
	// lowest drain order of other environments' live tasks.
	lost        map[string]bool
	company     map[string]int
	firstDaemon map[string]int

	spec  environment.Spec     // what the current deployment puts into effect
	group environment.Selector // the instances that it is for
	held  string               // why nothing may be started or stopped; empty when it may

	previous environment.Deployment // the newest that was completed, which instances keep that a canary is not for; may be none
	canary   bool                   // whether the current deployment waits for its promotion

	since   time.Time       // when the rollout began, with those that it has taken the place of
	unended map[string]bool // the deployments since then
	first   bool            // whether no other was completed before

	proven   time.Time // when the first of the new tasks is that is not yet; zero when all are
	failures int       // of the current deployment
	failure  string    // one of them; may be empty

	restarted time.Time // when the youngest of the tasks that are not the first ones on their instances began to run

	desired, running, settled int // instances: able to run the task, with it RUNNING, and with it RUNNING or failed
	room                      room
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
	if p.plan.RequeueAt.IsZero() || t.Before(p.plan.RequeueAt) {
		p.plan.RequeueAt = t
	}
}

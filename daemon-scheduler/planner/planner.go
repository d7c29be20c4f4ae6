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
	staleRecheck      = time.Second      // between two looks at whether the copy is fresh again
	stopRetryInterval = 60 * time.Second // after which a StopTask that shows no effect is repeated
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
	p, _ := buildPlan(s)
	return p.plan
}

func buildPlan(s State) (*planBuilder, []*instanceState) {
	p := newPlanBuilder(s)
	p.applySpec()
	for _, task := range s.Tasks {
		if _, ours := s.Environment.Deployments[task.StartedBy]; !ours {
			p.countOtherTask(task)
			continue
		}
		p.tasksByARN[task.ARN] = task
		if !task.Live() {
			p.recordLostTask(task)
		} else {
			p.liveTasks[task.Instance] = append(p.liveTasks[task.Instance], task)
			p.plan.InUse[task.StartedBy] = true
		}
	}
	for _, l := range s.Launches {
		if _, seen := p.tasksByARN[l.Task]; l.State == environment.LaunchOpen || l.State == environment.LaunchStarted && !seen {
			p.plan.InUse[l.Deployment] = true // its task may live, and nobody sees it yet
		}
	}
	sites := p.buildInstanceStates()
	if s.Environment.IsDeleting() {
		p.planDeletion()
		return p, sites
	}
	if p.deployed && !s.Fresh {
		p.requeueAt(s.Now.Add(staleRecheck))
	}
	here := map[string]bool{}
	for _, at := range sites {
		here[at.ARN] = true
		p.planInstance(at)
	}
	for _, arn := range slices.Sorted(maps.Keys(s.Launches)) {
		if !here[arn] {
			p.forgetDeparted(s.Launches[arn])
		}
	}
	p.summarizeProgress()
	p.checkCircuitBreaker()
	return p, sites
}

func newPlanBuilder(s State) *planBuilder {
	p := &planBuilder{
		State: s, liveTasks: map[string][]environment.Task{}, tasksByARN: map[string]environment.Task{},
		lostRunningTask: map[string]bool{}, workloadTasks: map[string]int{}, lowestDrainOrder: map[string]int{},
	}
	p.plan.InUse = map[string]bool{}
	p.current, p.deployed = s.Environment.Current()
	p.plan.Deployment = p.current.ID
	p.findRolloutStart()
	p.countFailures()
	return p
}

// countOtherTask notes a live task that is not the environment's.
func (p *planBuilder) countOtherTask(task environment.Task) {
	if !task.Live() {
		return
	}
	order, daemon := p.DrainOrders[task.StartedBy]
	if !daemon {
		p.workloadTasks[task.Instance]++
		return
	}
	if first, met := p.lowestDrainOrder[task.Instance]; !met || order < first {
		p.lowestDrainOrder[task.Instance] = order
	}
}

func byInstanceARN(a, b environment.Instance) int { return cmp.Compare(a.ARN, b.ARN) }

// planBuilder is a plan in the making.
type planBuilder struct {
	State
	plan       Plan
	current    environment.Deployment
	deployed   bool // whether there is a current deployment
	liveTasks  map[string][]environment.Task
	tasksByARN map[string]environment.Task // the environment's, dead ones too
	// By instance: whether a running task of the environment was lost there, how many live tasks are of no environment, and the
	// lowest drain order of other environments' live tasks.
	lostRunningTask  map[string]bool
	workloadTasks    map[string]int
	lowestDrainOrder map[string]int

	spec       environment.Spec     // what the current deployment puts into effect
	selector   environment.Selector // the instances that it is for
	holdReason string               // why nothing may be started or stopped; empty when it may

	previous      environment.Deployment // the newest that was completed, which instances keep that a canary is not for; may be none
	canaryPending bool                   // whether the current deployment waits for its promotion

	rolloutStart       time.Time       // when the rollout began, with those that it has taken the place of
	rolloutDeployments map[string]bool // the deployments since then
	firstRollout       bool            // whether no other was completed before

	minReadyAt     time.Time // when the first of the new tasks is that is not yet; zero when all are
	failures       int       // of the current deployment
	failureExample string    // one of them; may be empty

	lastRestart time.Time // when the youngest of the tasks that are not the first ones on their instances began to run

	desired, running, finished int // instances: able to run the task, with it RUNNING, and with it RUNNING or failed
	budget                     rolloutBudget
}

func (p *planBuilder) isKnown(deployment string) bool {
	_, ok := p.Environment.Deployments[deployment]
	return ok
}

func (p *planBuilder) addAction(a Action) { p.plan.Actions = append(p.plan.Actions, a) }

func (p *planBuilder) addWait(instance, reason string) {
	p.plan.Waits = append(p.plan.Waits, Wait{instance, reason})
}

// requeueAt brings the next look forward to t.
func (p *planBuilder) requeueAt(t time.Time) {
	if p.plan.RequeueAt.IsZero() || t.Before(p.plan.RequeueAt) {
		p.plan.RequeueAt = t
	}
}

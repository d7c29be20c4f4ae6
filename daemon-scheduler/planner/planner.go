// Package planner decides what has to happen so that an environment's current deployment has exactly one task on
// every container instance that can run it. It is pure: the whole present state goes in, and actions come out, each
// with its reason.
package planner

import (
	"cmp"
	"time"

	"github.com/blox/blox/daemon-scheduler/environment"
)

// State is everything that a plan depends on.
type State struct {
	Environment environment.Environment
	Launches    map[string]environment.Launch // the environment's launch records, by container instance ARN

	// Fresh reports that Instances and Tasks are complete and recent. Otherwise nothing is started or stopped.
	Fresh     bool
	Instances []environment.Instance // of the environment's cluster
	Tasks     []environment.Task     // of the environment's cluster, of all schedulers

	// DrainOrders has the drain order of every deployment of the cluster's environments, by deployment id. Tasks that
	// these deployments started are daemons.
	DrainOrders map[string]int
	// DaemonGroups has the task groups whose tasks are daemons of ECS: those of DAEMON services, service:<name>, and of
	// Managed Daemons. All other tasks are workload tasks, which daemons serve.
	DaemonGroups map[string]bool

	StopRequestedAt map[string]time.Time // time of the last StopTask call, by task ARN
	// ImprovedAt is when an instance last changed so that a failed start may succeed now, by instance ARN.
	ImprovedAt map[string]time.Time
	// FirstSeenAt is when the leader first saw the record of an open launch, by its own clock, by instance ARN. Without
	// it, a launch's NotAfter counts, which is a time of the clock of the replica that wrote the record.
	FirstSeenAt map[string]time.Time
	// DisconnectedSince is since when the agents that are disconnected have been so, by instance ARN.
	DisconnectedSince map[string]time.Time
	Now               time.Time
	// StartConfirmTimeout is how long after the launch window an unanswered StartTask counts as possibly started.
	StartConfirmTimeout time.Duration
}

// ActionKind is the kind of an Action.
type ActionKind string

// The kinds of actions.
const (
	Start   ActionKind = "start"   // write Launch as open, then call StartTask
	Stop    ActionKind = "stop"    // call StopTask for Task
	Confirm ActionKind = "confirm" // query ECS for the tasks of Launch, then record the result of ConfirmLaunch
	Record  ActionKind = "record"  // write Launch
	Forget  ActionKind = "forget"  // delete Launch's record
)

// Action is one step on one container instance.
type Action struct {
	Kind     ActionKind
	Instance string             // ARN
	Launch   environment.Launch // its StoredVersion is that of the record it replaces; of a Stop, see stopToReplace
	Reason   string             // for people

	Task       string // ARN, of Stop
	StopReason StopReason
}

// Wait is an instance that lacks something, but on which nothing can be done now.
type Wait struct {
	Instance string
	Reason   string
}

// Plan lists the next steps, in the order of the instances.
type Plan struct {
	Actions []Action
	Waits   []Wait
	// RequeueAt is when the plan may change although the state has not; zero if it cannot.
	RequeueAt time.Time
	// Deployment is the id of the current deployment, and Progress its progress; empty without one.
	Deployment string
	Progress   environment.Progress
	Failed     []environment.FailedInstance // by ARN
	Counts     environment.Counts
	// FailureReason is why the deployment fails: the circuit breaker tripped, or the progress deadline has passed; empty
	// if it does not. Such a plan starts and stops nothing.
	FailureReason string
	// InUse has the ids of the deployments that have live tasks, or may have them.
	InUse map[string]bool
	// DeletionComplete reports that only records remain of an environment that is being deleted.
	DeletionComplete bool
}

// StopRetryInterval is how long after its StopRequestedAt the stop of a task is planned again.
const StopRetryInterval = 60 * time.Second

const staleRecheck = time.Second // between two checks whether the cluster state is fresh again

// Make returns the plan for s. The first row that applies to an instance decides:
//
//	instance                                         | plan
//	-------------------------------------------------+----------------------------------------------------------
//	its launch record is open                        | wait until ECS is consistent, then confirm the launch;
//	                                                 | meanwhile stop superseded and duplicate tasks
//	nothing is deployed, it is DRAINING with tasks   | drain: stop the tasks once only daemons remain
//	nothing is deployed                              | none
//	it is DRAINING, and matches or is on hold        | drain: stop the tasks once only daemons remain
//	it is released for scale-in                      | stop all tasks
//	a user has paused, or its spec is unreadable     | wait; update the launch record, track scale-in
//	the rollout is paused, it has tasks              | stop duplicates, track scale-in, keep all other tasks
//	it does not match the instance group             | stop the tasks, then forget the launch record
//	it is not ACTIVE, or disconnected                | stop duplicates and wait
//	the cluster state is not fresh                   | wait
//	it has no target before the canary is promoted   | wait
//	it has superseded or duplicate tasks             | stop them as far as the rollout budget allows
//	it has its task                                  | update the launch record, track scale-in
//	its launch record is of a known deployment       | wait for the task to appear, back off, or start again
//	otherwise                                        | start a task
//
// Each instance is judged by its own target: the deployment that it is to run, and the revision of that. Then the plan
// covers the whole environment: it forgets the launch records of instances that left, sums up the progress, and checks
// the circuit breaker and the progress deadline. An environment that is being deleted has all its tasks stopped
// instead, paused or not.
func Make(s State) Plan {
	plan, _, _ := makePlan(s)
	return plan
}

// makePlan returns the plan for s, the instances that it is for, and their count, which is zero during a deletion.
func makePlan(s State) (Plan, []*instanceState, rolloutCount) {
	f := newFacts(s)
	instances := newInstanceStates(f)
	if s.Environment.IsDeleting() {
		return planDeletion(f), instances, rolloutCount{}
	}
	plan := newPlan(f)
	plans := make([]instancePlan, len(instances))
	budget := newRolloutBudget(f.targets.current.spec.DeploymentConfiguration, instances)
	for n, i := range instances {
		plans[n] = decide(f, i, budget)
		budget = budget.after(plans[n])
		plan = plan.with(i.ARN, plans[n])
	}
	plan = plan.with("", forgetDeparted(f, instances))
	if f.deployed() && !f.Fresh {
		plan = plan.with("", requeue(f.Now.Add(staleRecheck)))
	}
	count := countRollout(f, instances, plans)
	progress, requeueAt := progress(f, count)
	plan = plan.with("", requeue(requeueAt))
	plan.Progress, plan.Counts, plan.Failed = progress, count.Counts, count.failed
	plan.FailureReason = cmp.Or(checkCircuitBreaker(f, count), checkProgressDeadline(f, count))
	if plan.FailureReason != "" {
		plan.Actions = withoutCalls(plan.Actions)
	}
	return plan, instances, count
}

// decide decides for one instance, by the rows above Make.
func decide(f *facts, i *instanceState, budget rolloutBudget) instancePlan {
	switch {
	case i.isOpen():
		d := awaitConfirmation(f, i.launch, i.kept)
		if f.deployed() && i.schedulable && i.hold == "" && !f.Environment.RolloutPaused() {
			stops, _ := replace(f, i, budget)
			d = d.and(stops)
		}
		return d
	case !f.deployed() && (i.Status != statusDraining || len(i.live) == 0):
		return instancePlan{}
	case !f.deployed(), i.Status == statusDraining && (i.matches || i.hold != ""):
		return drain(f, i)
	case i.released():
		return release(f, i)
	case i.hold != "":
		return hold(f, i)
	case f.Environment.RolloutPaused() && len(i.live) > 0:
		return pauseRollout(f, i)
	case !i.matches:
		return notMatching(f, i)
	case !i.schedulable:
		return unschedulable(f, i)
	case !f.Fresh:
		return waitFor(waitNotFresh)
	case i.target == nil:
		return waitFor(waitPromotion)
	}
	d, blocked := replace(f, i, budget)
	if blocked {
		return d
	}
	return d.and(keepOrStart(f, i))
}

func newPlan(f *facts) Plan { return Plan{Deployment: f.current().ID, InUse: f.inUse()} }

// with returns the plan with the part for one instance.
func (p Plan) with(instance string, d instancePlan) Plan {
	p.Actions = append(p.Actions, d.actions...)
	if d.wait != "" {
		p.Waits = append(p.Waits, Wait{instance, d.wait})
	}
	p.RequeueAt = Earliest(p.RequeueAt, d.requeueAt)
	return p
}

// Package planner decides what has to happen so that an environment's current deployment has exactly one task on
// every container instance that can run it. It is pure: the whole present state goes in, and actions come out, each
// with its reason.
package planner

import (
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
	// DaemonGroups has the task groups of ECS's DAEMON services, service:<name>. Their tasks are daemons, as those of
	// Managed Daemons are, daemon:<name>. All other tasks are workload tasks, which daemons serve.
	DaemonGroups map[string]bool

	// ServiceTasks has the live task of the service that the environment takes over, by instance ARN.
	ServiceTasks map[string]environment.Task

	StopRequestedAt map[string]time.Time // time of the last StopTask call, by task ARN
	// Unconfirmed has the tasks that ECS did not describe as live when a stop relied on them, by ARN. The rollout budget
	// does not count them as available.
	Unconfirmed map[string]bool
	// ImprovedAt is when an instance last changed so that a failed start may succeed now, by instance ARN.
	ImprovedAt map[string]time.Time
	// FirstSeenAt is when the leader first saw the record of an open launch, by its own clock, by instance ARN. Without
	// it, a launch's NotAfter counts, which is a time of the clock of the replica that wrote the record.
	FirstSeenAt map[string]time.Time
	// DisconnectedSince is since when the agents that are disconnected have been so, by instance ARN.
	DisconnectedSince map[string]time.Time
	// PendingFor is for how long this replica has seen a task starting while its instance could run tasks, by task ARN.
	PendingFor map[string]time.Duration
	// Alarms is what is known of the alarms that the current deployment monitors.
	Alarms Alarms
	// Availability is since when this replica has seen RUNNING tasks available or not, by task ARN. It covers at least
	// environments with a rollout, health checks or a minimum healthy time.
	Availability map[string]environment.Availability
	// BakedFor is for how long leaders have seen the deployment in progress bake, each by its own clock.
	BakedFor time.Duration
	Step     StepTimer // of the present step of the current deployment's canary
	Now      time.Time
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
	Unhealthy  bool // the stop relies on the task being UNHEALTHY
	// Kept has the ARNs of the tasks because of which a superseded or duplicate task is stopped. They remain on the
	// instance; ECS has to confirm that they are live before StopTask is called.
	Kept []string
}

// MakesRoom reports whether the action stops an instance's only task, to start one of another deployment or to replace
// one that is UNHEALTHY. It relies on the rollout budget, so ECS has to confirm the plan's Counted tasks first.
func (a Action) MakesRoom() bool { return a.Kind == Stop && a.Launch.Instance != "" }

// Wait is an instance that lacks something, but on which nothing can be done now.
type Wait struct {
	Instance string
	Reason   string
}

// Plan lists the next steps, in the order of the instances.
type Plan struct {
	Actions []Action
	Waits   []Wait
	// Counted has the ARNs of the tasks for which the rollout budget counts instances as available that the rollout has
	// changed. It is empty unless an action MakesRoom. If such a task is a phantom, the rollout has stopped the
	// instance's real task, and the budget allows one stop too many.
	Counted []string
	// RequeueAt is when the plan may change although the state has not; zero if it cannot.
	RequeueAt time.Time
	// Deployment is the id of the current deployment, and Progress its progress; empty without one.
	Deployment string
	Progress   environment.Progress
	Failed     []environment.FailedInstance // by ARN
	Counts     environment.Counts
	Missing    int // desired instances that lack a RUNNING task of their target
	Duplicates int // surplus live tasks of instances' targets
	Unready    int // instances of the canary's present step that lack a ready task
	// FailureReason is why the deployment fails: the circuit breaker tripped, the progress deadline has passed, or an
	// alarm is in the ALARM state; empty if it does not. Such a plan starts and stops nothing.
	FailureReason string
	FailureCause  environment.FailureCause // of FailureReason
	// InUse has the ids of the deployments that have live tasks, or may have them.
	InUse map[string]bool
	// DeletionComplete reports that only records remain of an environment that is being deleted.
	DeletionComplete bool
	// TakeoverComplete reports that the service has no task left, and every instance has the environment's.
	TakeoverComplete bool
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
//	the states of alarms are unknown, it has tasks   | the same
//	it does not match the instance group             | stop the tasks, then forget the launch record
//	it is not ACTIVE, or disconnected                | stop duplicates and wait
//	the cluster state is not fresh                   | wait
//	it has no target before the canary is promoted   | wait
//	a first deployment starts slowly                 | wait for the tasks of the earlier batches
//	a first deployment has not checked its alarms    | wait
//	the service's task has to stop first there       | wait until ECS has stopped it
//	it has superseded or duplicate tasks             | stop them as far as the rollout budget and its wave allow
//	its task is UNHEALTHY, and it is to be replaced  | back off, or stop it as far as the rollout budget allows
//	it has its task                                  | update the launch record, track scale-in
//	its launch record is of a known deployment       | wait for the task to appear, back off, or start again
//	otherwise                                        | start a task
//
// Each instance is judged by its own target: the deployment that it is to run, and the revision of that. Then the plan
// covers the whole environment: it forgets the launch records of instances that left, sums up the progress, and checks
// the circuit breaker and the progress deadline. An environment that is being deleted has all its tasks stopped
// instead, paused or not. One whose takeover was cancelled hands its instances back, see planHandBack.
func Make(s State) Plan {
	plan, _, _ := makePlan(newFacts(s))
	return plan
}

// makePlan returns the plan for the facts, the instances that it is for, and their count, which is zero during a
// deletion.
func makePlan(f *facts) (Plan, []*instanceState, rolloutCount) {
	instances := newInstanceStates(f)
	if f.Environment.IsDeleting() {
		return planDeletion(f), instances, rolloutCount{}
	}
	if takeoverState(f.Environment) == environment.TakeoverCancelled {
		return planHandBack(f, instances), instances, rolloutCount{}
	}
	plan := newPlan(f)
	plans := make([]instancePlan, len(instances))
	budget := newRolloutBudget(f.targets.current.spec.DeploymentConfiguration, instances)
	budget.slowStart, budget.waves = newSlowStart(f, instances), newWaves(f, instances)
	for n, i := range instances {
		plans[n] = withKept(f, i, decide(f, i, budget))
		budget = budget.after(i, plans[n])
		plan = plan.with(i.ARN, plans[n])
	}
	plan = plan.with("", forgetDeparted(f, instances))
	if f.deployed() && !f.Fresh {
		plan = plan.with("", requeue(f.Now.Add(staleRecheck)))
	}
	count := countRollout(f, instances, plans)
	progress, requeueAt := progress(f, count)
	plan = plan.with("", requeue(requeueAt))
	plan.Progress, plan.Counts, plan.Failed = progress, withUnreachable(f, count.Counts, instances), count.failed
	plan.Missing, plan.Duplicates = countDaemons(f, instances)
	plan.Unready = unreadyInCanary(f, instances)
	plan = plan.with("", recordFinished(f, instances, plans, progress))
	plan.TakeoverComplete = isTakeoverComplete(f, instances, progress)
	plan.FailureReason, plan.FailureCause = checkFailure(f, instances, count)
	plan.Progress.Step, requeueAt = stepProgress(f, instances, plan.FailureReason != "")
	plan = plan.with("", requeue(requeueAt))
	// The targets change with a failure or the promotion of a step, so the next plan has the calls.
	if plan.FailureReason != "" || plan.Progress.Step.Promote {
		plan.Actions = withoutCalls(plan.Actions)
	}
	plan.Counted = countedTasks(f, plan.Actions, instances)
	return plan, instances, count
}

// checkFailure returns why the deployment fails, and the cause; empty if it does not.
func checkFailure(
	f *facts, instances []*instanceState, count rolloutCount,
) (reason string, cause environment.FailureCause) {
	if reason = checkCircuitBreaker(f, count); reason != "" {
		return reason, environment.FailureTasks
	}
	if reason = checkProgressDeadline(f, instances, count); reason != "" {
		return reason, environment.FailureProgressDeadline
	}
	if reason = checkAlarms(f); reason != "" {
		return reason, environment.FailureAlarm
	}
	return "", ""
}

// decide decides for one instance, by the rows above Make.
func decide(f *facts, i *instanceState, budget rolloutBudget) instancePlan {
	switch {
	case i.isOpen():
		d := awaitConfirmation(f, i.launch, i.kept)
		if f.deployed() && i.schedulable && i.hold == "" && !f.rolloutPaused() {
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
	case f.rolloutPaused() && len(i.live) > 0:
		return pauseRollout(f, i)
	case !i.matches:
		return notMatching(f, i)
	case !i.schedulable:
		return unschedulable(f, i)
	case !f.Fresh:
		return waitFor(waitNotFresh)
	case i.target == nil:
		return waitFor(waitPromotion)
	case budget.slowStart.holds(i):
		return budget.slowStart.wait()
	case f.awaitsFirstCheck():
		return waitFor(waitAlarms)
	}
	d, blocked := replace(f, i, budget)
	switch {
	case waitsForService(f, i):
		return waitFor(waitService)
	case blocked:
		return d
	case i.hasKept && i.kept.Unhealthy() && i.target.spec.ReplacesUnhealthy():
		return d.and(replaceUnhealthy(f, i, budget))
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

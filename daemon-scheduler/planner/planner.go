// Package planner decides what has to happen so that an environment's current deployment has exactly one task on
// every container instance that can run it. It is pure: the whole present state goes in, and actions come out, each
// with its reason.
package planner

import (
	"maps"
	"slices"
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
	// these deployments started are daemons; all others are workload tasks, which daemons serve.
	DrainOrders map[string]int

	StopRequestedAt map[string]time.Time // time of the last StopTask call, by task ARN
	// ImprovedAt is when an instance last changed so that a failed start may succeed now, by instance ARN.
	ImprovedAt map[string]time.Time
	// FirstSeenAt is when the leader first saw the record of an open launch, by its own clock, by instance ARN. Without
	// it, a launch's NotAfter counts, which is a time of the clock of the replica that wrote the record.
	FirstSeenAt map[string]time.Time
	Now         time.Time
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
	// FailureReason is why the circuit breaker tripped; empty if it did not. Such a plan starts and stops nothing.
	FailureReason string
	// InUse has the ids of the deployments that have live tasks, or may have them.
	InUse map[string]bool
	// DeletionComplete reports that only records remain of an environment that is being deleted.
	DeletionComplete bool
}

const (
	staleRecheck      = time.Second      // between two checks whether the cluster state is fresh again
	stopRetryInterval = 60 * time.Second // after which a StopTask call without effect is repeated
)

// StopRetryInterval is how long after its StopRequestedAt the stop of a task is planned again.
const StopRetryInterval = stopRetryInterval

// Make returns the plan for s. The first row that applies to an instance decides:
//
//	instance                                         | decision
//	-------------------------------------------------+----------------------------------------------------------
//	its launch record is open                        | wait until ECS is consistent, then confirm the launch;
//	                                                 | meanwhile stop superseded and duplicate tasks
//	nothing is deployed, it is DRAINING with tasks   | drain: stop the tasks once only daemons remain
//	nothing is deployed                              | none
//	the environment is on hold (paused, unreadable)  | wait
//	it does not match the instance group             | stop the tasks, then forget the launch record
//	it is DRAINING                                   | drain: stop the tasks once only daemons remain
//	it is not ACTIVE, disconnected, or released      | stop duplicates and wait; released: stop all tasks
//	the cluster state is not fresh                   | wait
//	it has no target before the canary is promoted   | wait
//	it has superseded or duplicate tasks             | stop them as far as the rollout budget allows
//	it has its task                                  | update the launch record, track scale-in
//	its launch record is of a known deployment       | wait for the task to appear, back off, or start again
//	otherwise                                        | start a task
//
// Then the plan covers the whole environment: it forgets the launch records of instances that left, sums up the
// progress, and checks the circuit breaker. An environment that is being deleted has all its tasks stopped instead.
// With nothing deployed, the plan only confirms open launches and drains.
func Make(s State) Plan {
	b, _ := buildPlan(s)
	return b.plan
}

func buildPlan(s State) (*planBuilder, []*instanceState) {
	b := newPlanBuilder(s)
	b.applySpec()
	b.indexTasks()
	instances := b.buildInstanceStates()
	if s.Environment.IsDeleting() {
		b.planDeletion()
		return b, instances
	}
	if b.deployed && !s.Fresh {
		b.requeueAt(s.Now.Add(staleRecheck))
	}
	present := map[string]bool{}
	for _, i := range instances {
		present[i.ARN] = true
		b.planInstance(i)
	}
	for _, arn := range slices.Sorted(maps.Keys(s.Launches)) {
		if !present[arn] {
			b.forgetDeparted(s.Launches[arn])
		}
	}
	b.summarizeProgress()
	b.checkCircuitBreaker()
	return b, instances
}

// planInstance decides for one instance, by the rows above Make.
func (b *planBuilder) planInstance(i *instanceState) {
	if i.matches {
		b.countInstance(i)
	}
	if i.isOpen() {
		b.awaitConfirmation(i)
		if b.deployed && i.schedulable {
			b.stopSuperseded(i)
		}
		return
	}
	switch {
	case !b.deployed && i.Status == statusDraining && len(i.others) > 0: // whatever became of their deployments
		b.drain(i)
	case !b.deployed:
	case b.holdReason != "":
		if !i.hasKept {
			b.addWait(i.ARN, b.holdReason)
		}
	case !i.matches:
		b.notMatching(i.Instance, i.launch)
	case i.Status == statusDraining:
		b.drain(i)
	case !i.schedulable:
		b.unschedulable(i)
	case !b.Fresh:
		b.addWait(i.ARN, waitNotFresh)
	case i.target.ID == "":
		b.addWait(i.ARN, waitPromotion)
	case b.stopSuperseded(i):
	case i.hasKept:
		b.recordRunning(i)
	case i.hasLaunch && b.isKnown(i.launch.Deployment):
		b.planRetry(i)
	default:
		b.start(i, 1, startMissing)
	}
}

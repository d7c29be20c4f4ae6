package planner

import (
	"cmp"
	"slices"
	"time"

	"github.com/blox/blox/daemon-scheduler/environment"
)

// Statuses of container instances, as ECS spells them.
const (
	statusActive        = "ACTIVE"
	statusDraining      = "DRAINING"
	statusDeregistering = "DEREGISTERING"
)

// unreachableGrace is how long a deployment waits for an instance whose agent is disconnected. Agents disconnect for
// seconds several times an hour; one that stays away for that long may never return.
const unreachableGrace = 10 * time.Minute

// instanceState is one instance of the cluster together with everything that the environment has on it. It is complete
// before anything is decided, because the budget of one instance depends on how many others are unavailable.
type instanceState struct {
	environment.Instance
	launch    environment.Launch
	hasLaunch bool

	target      *target // what it is to run; nil if nothing before the canary is promoted
	inCanary    bool    // the canary that waits for promotion includes it
	matches     bool    // its target includes it
	schedulable bool    // it matches and can be given a task
	hold        string  // see holdReason

	live       []environment.Task // the environment's, in keepOrder
	kept       environment.Task   // the target's task to keep
	hasKept    bool               // whether there is one
	duplicates []environment.Task // of the target, beside the kept one
	superseded []environment.Task // of other deployments
	settled    bool               // see isSettled
	begun      bool               // the current deployment has a launch record, or a task, on it

	unreachableTo time.Time // until when its lost agent is waited for; zero if it is not

	hasRunning  bool      // a task of the environment runs and is not being stopped
	holdsUp     bool      // one of them counts as available for the rollout, see facts.holdsUp
	unhealthy   bool      // see isUnhealthy
	available   bool      // see isAvailable
	daemonsOnly bool      // no workload task is on it
	releasedTo  time.Time // until when it is released for scale-in; zero if it is not
	minReadyAt  time.Time // when its new task becomes ready; zero if it is, or if there is none
	unavailable bool      // see isUnavailable
	surging     bool      // see isSurging
	replacing   bool      // see isReplacing
}

// isOpen reports whether the outcome of the last StartTask call is unknown.
func (i *instanceState) isOpen() bool { return i.launch.State == environment.LaunchOpen }

// released reports whether the instance is without the environment's tasks for now, so that scale-in can remove it.
func (i *instanceState) released() bool { return !i.releasedTo.IsZero() }

// isTarget reports whether the instance is to run that deployment.
func (i *instanceState) isTarget(id string) bool { return i.target != nil && i.target.ID == id }

// hasFailed reports whether the instance's target failed on it, so that a rollout waits for it no longer: its start
// failed, its task is UNHEALTHY, or it is overdue, for the reason that overdueReason returned.
func (i *instanceState) hasFailed(overdue string) bool {
	startFailed := i.isTarget(i.launch.Deployment) && i.launch.Reason != ""
	return startFailed || overdue != "" || i.hasKept && i.kept.Unhealthy()
}

// newInstanceStates returns every instance that has not left, by ARN.
func newInstanceStates(f *facts) []*instanceState {
	present := presentInstances(f.Instances)
	assigned := f.targets.assign(present, f.hasBegun)
	states := make([]instanceState, len(present))
	instances := make([]*instanceState, len(present))
	for n := range present {
		instances[n] = &states[n]
		f.fillIn(instances[n], present[n], assigned[n])
	}
	return instances
}

// fillIn fills in the zero state of an instance.
func (f *facts) fillIn(i *instanceState, instance environment.Instance, target *target) {
	i.Instance, i.target, i.live = instance, target, f.liveTasks[instance.ARN]
	i.launch, i.hasLaunch = f.Launches[instance.ARN]
	i.inCanary = f.targets.canaryPending && target == f.targets.current
	i.matches = f.matches(instance, target)
	i.hold = f.holdReason(target)
	divideTasks(i)
	i.settled = f.isSettled(i)
	i.begun = i.isTarget(f.current().ID) && (i.hasKept || f.hasBegun(i.ARN))
	i.hasRunning = slices.ContainsFunc(i.live, f.staysRunning)
	i.holdsUp = slices.ContainsFunc(i.live, f.holdsUp)
	i.unhealthy = f.isUnhealthy(i)
	i.daemonsOnly = f.workloadTasks[instance.ARN] == 0
	i.schedulable = i.matches && instance.CanRunTasks()
	if i.matches && instance.Status == statusActive && !instance.AgentConnected {
		i.unreachableTo = f.unreachableUntil(instance.ARN)
	}
	if i.schedulable && i.daemonsOnly {
		i.releasedTo = f.releasedUntil(i.target, i.launch)
	}
	i.schedulable = i.schedulable && !i.released()
	i.minReadyAt = f.minReadyAt(i)
	i.available = f.isAvailable(i)
	i.replacing = i.isReplacing()
	i.unavailable = f.isUnavailable(i)
	i.surging = f.isSurging(i)
}

// matches reports whether the instance's target includes it. Without a target, it is the current deployment that will.
func (f *facts) matches(instance environment.Instance, t *target) bool {
	if t == nil {
		t = f.targets.current
	}
	return t.selector.Matches(instance)
}

// unreachableUntil returns until when an instance whose agent is disconnected is waited for; zero if it no longer is.
// A loss whose age is unknown has just begun.
func (f *facts) unreachableUntil(arn string) time.Time {
	since, known := f.DisconnectedSince[arn]
	if !known {
		since = f.Now
	}
	if until := since.Add(unreachableGrace); f.Now.Before(until) {
		return until
	}
	return time.Time{}
}

// hasBegun reports whether the current deployment has a launch record or a live task on the instance.
func (f *facts) hasBegun(arn string) bool {
	current := f.current().ID
	if launch, ok := f.Launches[arn]; ok && launch.Deployment == current {
		return true
	}
	return slices.ContainsFunc(f.liveTasks[arn], func(t environment.Task) bool { return t.StartedBy == current })
}

// presentInstances returns the instances that have not left, by ARN. The caller must not change them.
func presentInstances(instances []environment.Instance) []environment.Instance {
	if slices.ContainsFunc(instances, environment.Instance.Deregistered) {
		instances = slices.DeleteFunc(slices.Clone(instances), environment.Instance.Deregistered)
	}
	if !slices.IsSortedFunc(instances, byInstanceARN) {
		instances = slices.SortedFunc(slices.Values(instances), byInstanceARN)
	}
	return instances
}

func byInstanceARN(a, b environment.Instance) int { return cmp.Compare(a.ARN, b.ARN) }

// divideTasks divides the live tasks on i into the target's one to keep, its duplicates, and superseded ones. It fills
// in a state that is being built.
func divideTasks(i *instanceState) {
	for _, task := range i.live {
		switch {
		case !countsFor(i.target, task.StartedBy):
			i.superseded = append(i.superseded, task)
		case i.hasKept:
			i.duplicates = append(i.duplicates, task)
		default:
			i.kept, i.hasKept = task, true
		}
	}
}

// keepOrder sorts the tasks that most deserve to be kept first: those not being stopped, then RUNNING ones, then those
// that are not UNHEALTHY, then the oldest.
func keepOrder(a, b environment.Task) int {
	return cmp.Or(
		trueFirst(!a.Stopping(), !b.Stopping()),
		trueFirst(a.Running(), b.Running()),
		trueFirst(!a.Unhealthy(), !b.Unhealthy()),
		a.CreatedAt.Compare(b.CreatedAt),
		cmp.Compare(a.ARN, b.ARN),
	)
}

func trueFirst(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return -1
	}
	return 1
}

// countsFor reports whether a task that startedBy has started counts as the target's.
func countsFor(t *target, startedBy string) bool {
	return t != nil && t.ID != "" && (startedBy == t.ID || t.adopted[startedBy])
}

// unschedulable decides for an instance that cannot be given a task now. Duplicates are stopped there, too.
func unschedulable(f *facts, i *instanceState) instancePlan {
	d := f.stop(i.duplicates, ReasonDuplicate)
	switch {
	case i.hasKept:
	case i.Status != statusActive:
		d.wait = waitStatus(i.Status)
	default:
		d.wait = f.disconnectedReason(i.ARN)
	}
	return d
}

// notMatching stops the environment's tasks on an instance outside the instance group, then forgets its launch
// record. While the agent is disconnected, nothing is stopped: a query on agentConnected would otherwise stop tasks
// whenever an agent reconnects, which takes seconds and is routine.
func notMatching(f *facts, i *instanceState) (d instancePlan) {
	if i.AgentConnected {
		d = f.stop(i.live, ReasonNotMatching)
	}
	switch {
	case len(i.live) > 0, !f.Fresh, !i.hasLaunch:
	case f.isInvisible(i.launch) && f.isKnown(i.launch.Deployment):
		return awaitVisible(f, i.launch)
	default:
		return forget(i.launch, forgetNotMatching)
	}
	if i.target != f.targets.current && f.targets.current.selector.Matches(i.Instance) {
		d.wait = waitPromotion
	}
	return d
}

package planner

import (
	"cmp"
	"slices"

	"github.com/blox/blox/daemon-scheduler/environment"
)

// Statuses of container instances, as ECS spells them.
const (
	statusActive   = "ACTIVE"
	statusDraining = "DRAINING"
)

// instanceState is one instance of the cluster together with everything that the environment has on it.
type instanceState struct {
	environment.Instance
	launch    environment.Launch
	hasLaunch bool

	matches     bool // the instance group includes it
	schedulable bool // it matches and can be given a task
	target      environment.Deployment
	kept        environment.Task   // the target's task to keep
	hasKept     bool               // whether there is one
	others      []environment.Task // all other live tasks of the environment
	hasRunning  bool               // whether a task of the environment runs and is not being stopped
	unavailable bool               // see planBuilder.unavailable
	daemonsOnly bool               // no workload task is on it
	released    bool               // it is released for scale-in
}

// isOpen reports whether the outcome of the last StartTask call is unknown.
func (i *instanceState) isOpen() bool { return i.launch.State == environment.LaunchOpen }

// buildInstanceStates returns every instance that has not left, by ARN. It precedes all decisions, because the budget
// of one instance depends on how many others are unavailable.
func (b *planBuilder) buildInstanceStates() []*instanceState {
	var instances []*instanceState
	for _, instance := range slices.SortedFunc(slices.Values(b.Instances), byInstanceARN) {
		if instance.Deregistered() {
			continue
		}
		i := &instanceState{Instance: instance}
		i.launch, i.hasLaunch = b.Launches[instance.ARN]
		i.matches = b.selector.Matches(instance)
		i.schedulable = i.matches && instance.Status == statusActive && instance.AgentConnected
		instances = append(instances, i)
	}
	b.assignTargets(instances)
	for _, i := range instances {
		i.kept, i.hasKept, i.others = b.selectKept(i.ARN, i.target)
		i.hasRunning = slices.ContainsFunc(b.liveTasks[i.ARN], b.staysRunning)
		i.daemonsOnly = !b.hasWorkloadTasks(i.ARN)
		i.released = i.schedulable && b.releasedForScaleIn(i)
		i.schedulable = i.schedulable && !i.released
		i.unavailable = b.unavailable(i)
	}
	b.budget = b.computeBudget(instances)
	return instances
}

func byInstanceARN(a, b environment.Instance) int { return cmp.Compare(a.ARN, b.ARN) }

// selectKept divides the environment's live tasks on an instance into the target's one to keep, if any, and the
// others.
func (b *planBuilder) selectKept(
	instance string, target environment.Deployment,
) (kept environment.Task, found bool, others []environment.Task) {
	for _, task := range slices.SortedFunc(slices.Values(b.liveTasks[instance]), keepOrder) {
		if !found && b.countsFor(target, task.StartedBy) {
			kept, found = task, true
			continue
		}
		others = append(others, task)
	}
	return kept, found, others
}

// keepOrder sorts the tasks that most deserve to be kept first: those not being stopped, then RUNNING ones, then the
// oldest.
func keepOrder(a, b environment.Task) int {
	return cmp.Or(
		trueFirst(!a.Stopping(), !b.Stopping()),
		trueFirst(a.Running(), b.Running()),
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
func (b *planBuilder) countsFor(target environment.Deployment, startedBy string) bool {
	return target.ID != "" && (startedBy == target.ID || b.Environment.Adopts(target, startedBy))
}

// splitOthers divides the tasks that are not kept into the target's own duplicates and superseded tasks.
func (b *planBuilder) splitOthers(i *instanceState) (duplicates, superseded []environment.Task) {
	for _, task := range i.others {
		if b.countsFor(i.target, task.StartedBy) {
			duplicates = append(duplicates, task)
		} else {
			superseded = append(superseded, task)
		}
	}
	return duplicates, superseded
}

// hasWorkloadTasks reports whether a live task that is no daemon is on the instance.
func (b *planBuilder) hasWorkloadTasks(instance string) bool { return b.workloadTasks[instance] > 0 }

// unschedulable handles an instance that cannot be given a task now. Duplicates are stopped there, too.
func (b *planBuilder) unschedulable(i *instanceState) {
	if i.released {
		if !b.stopTasks(i.ARN, b.liveTasks[i.ARN], ReasonScaleIn) {
			b.addWait(i.ARN, waitReleased)
		}
		return
	}
	duplicates, _ := b.splitOthers(i)
	b.stopOthers(i.ARN, duplicates)
	switch {
	case i.hasKept:
	case i.Status != statusActive:
		b.addWait(i.ARN, waitStatus(i.Status))
	default:
		b.addWait(i.ARN, waitDisconnected)
	}
}

// notMatching stops the environment's tasks on an instance outside the instance group, then forgets its launch
// record. While the agent is disconnected, nothing is stopped: a query on agentConnected would otherwise stop tasks
// whenever an agent reconnects, which takes seconds and is routine.
func (b *planBuilder) notMatching(i environment.Instance, launch environment.Launch) {
	tasks := b.liveTasks[i.ARN]
	if i.AgentConnected && b.stopTasks(i.ARN, tasks, ReasonNotMatching) {
		return
	}
	if len(tasks) > 0 || !b.Fresh || launch.Instance == "" {
		return
	}
	if b.isInvisible(launch) && b.isKnown(launch.Deployment) {
		b.awaitVisible(launch)
		return
	}
	b.addAction(Action{Kind: Forget, Instance: i.ARN, Launch: launch, Reason: forgetNotMatching})
}

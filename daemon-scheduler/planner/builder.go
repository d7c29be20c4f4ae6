package planner

import (
	"time"

	"github.com/blox/blox/daemon-scheduler/environment"
)

// planBuilder is a plan under construction, with the indexes and sums that its decisions need.
type planBuilder struct {
	State
	plan     Plan
	current  environment.Deployment
	deployed bool // whether there is a current deployment

	liveTasks        map[string][]environment.Task // the environment's, by instance ARN
	tasksByARN       map[string]environment.Task   // the environment's, stopped ones too
	lostRunningTask  map[string]bool               // instances that lost a running task, see recordLostTask
	workloadTasks    map[string]int                // live tasks of no environment, by instance ARN
	lowestDrainOrder map[string]int                // of other environments' live tasks, by instance ARN

	spec       environment.Spec     // of the current deployment
	selector   environment.Selector // the instances that it covers
	holdReason string               // why nothing may be started or stopped; empty if it may

	// previous is the newest completed deployment, if any. Instances outside a canary keep it.
	previous      environment.Deployment
	canaryPending bool // whether the current deployment waits for promotion

	rolloutStart       time.Time       // when the rollout began, with the unfinished deployments that it continues
	rolloutDeployments map[string]bool // the ids of these deployments
	firstRollout       bool            // whether no other deployment was completed before
	budget             rolloutBudget

	minReadyAt     time.Time // when the next new task becomes ready; zero if all are
	failures       int       // of the current deployment
	failureExample string    // one of them; may be empty
	lastRestart    time.Time // when the youngest task that replaced one of its own deployment began to run

	desired  int // instances that can run the task
	running  int // of these, with the task RUNNING
	finished int // of these, with the task RUNNING and no superseded one, or failed
}

func newPlanBuilder(s State) *planBuilder {
	b := &planBuilder{
		State:            s,
		liveTasks:        map[string][]environment.Task{},
		tasksByARN:       map[string]environment.Task{},
		lostRunningTask:  map[string]bool{},
		workloadTasks:    map[string]int{},
		lowestDrainOrder: map[string]int{},
	}
	b.plan.InUse = map[string]bool{}
	b.current, b.deployed = s.Environment.Current()
	b.plan.Deployment = b.current.ID
	b.findRolloutStart()
	b.countFailures()
	return b
}

// applySpec reads the current deployment's revision. A spec that cannot be parsed, because a later version wrote it,
// puts the environment on hold.
func (b *planBuilder) applySpec() {
	b.spec = b.Environment.CurrentSpec()
	if b.Environment.Paused {
		b.holdReason = waitPaused
	}
	if !b.deployed {
		return
	}
	selector, err := b.spec.Selector()
	if err != nil && b.holdReason == "" {
		b.holdReason = waitGroupUnknown + err.Error()
	}
	b.selector = selector
}

// indexTasks divides the cluster's tasks into the environment's and others, and notes which deployments are in use.
func (b *planBuilder) indexTasks() {
	for _, task := range b.Tasks {
		if !b.isKnown(task.StartedBy) {
			b.countOtherTask(task)
			continue
		}
		b.tasksByARN[task.ARN] = task
		if !task.Live() {
			b.recordLostTask(task)
			continue
		}
		b.liveTasks[task.Instance] = append(b.liveTasks[task.Instance], task)
		b.plan.InUse[task.StartedBy] = true
	}
	for _, l := range b.Launches {
		if l.State == environment.LaunchOpen || b.isInvisible(l) {
			b.plan.InUse[l.Deployment] = true // its task may live
		}
	}
}

// countOtherTask counts a task that is not the environment's.
func (b *planBuilder) countOtherTask(task environment.Task) {
	if !task.Live() {
		return
	}
	order, daemon := b.DrainOrders[task.StartedBy]
	if !daemon {
		b.workloadTasks[task.Instance]++
		return
	}
	if lowest, found := b.lowestDrainOrder[task.Instance]; !found || order < lowest {
		b.lowestDrainOrder[task.Instance] = order
	}
}

// isKnown reports whether the environment has a deployment with that id.
func (b *planBuilder) isKnown(deployment string) bool {
	_, ok := b.Environment.Deployments[deployment]
	return ok
}

// isInvisible reports whether ECS has named the launch's task, but the cluster state does not show it.
func (b *planBuilder) isInvisible(launch environment.Launch) bool {
	_, visible := b.tasksByARN[launch.Task]
	return launch.State == environment.LaunchStarted && !visible
}

// staysRunning reports whether the task runs and no stop of it is known.
func (b *planBuilder) staysRunning(task environment.Task) bool {
	return task.Running() && !b.stopRequested(task)
}

// stopRequested reports whether StopTask was called so recently that the cluster state may not show it yet.
func (b *planBuilder) stopRequested(task environment.Task) bool {
	requested, ok := b.StopRequestedAt[task.ARN]
	return ok && b.Now.Before(requested.Add(stopRetryInterval))
}

func (b *planBuilder) addAction(a Action) { b.plan.Actions = append(b.plan.Actions, a) }

func (b *planBuilder) addWait(instance, reason string) {
	b.plan.Waits = append(b.plan.Waits, Wait{instance, reason})
}

// requeueAt makes sure that the environment is planned again at t at the latest.
func (b *planBuilder) requeueAt(t time.Time) {
	if b.plan.RequeueAt.IsZero() || t.Before(b.plan.RequeueAt) {
		b.plan.RequeueAt = t
	}
}

package planner

import (
	"slices"
	"strings"
	"time"

	"github.com/blox/blox/daemon-scheduler/environment"
)

// managedDaemonPrefix begins the task group of a Managed Daemon's task. It is derived from service:<name>: AWS does not
// document it.
const managedDaemonPrefix = "daemon:"

// facts is an immutable index of a State. Its methods answer and change nothing.
type facts struct {
	State
	targets  targets
	rollout  rollout
	failures failureCount // of the current deployment

	rolloutBeganAt time.Time // see beganAt

	liveTasks        map[string][]environment.Task // the environment's, in keepOrder, by instance ARN
	tasksByARN       map[string]*environment.Task  // the environment's, stopped ones too
	workloadTasks    map[string]int                // live tasks that are no daemons, by instance ARN
	lowestDrainOrder map[string]int                // of other environments' live tasks, by instance ARN
	lostRunningTask  map[string]bool               // instances, see lostDuringRollout
}

func newFacts(s State) *facts {
	f := &facts{
		State:            s,
		targets:          newTargets(s.Environment),
		rollout:          newRollout(s.Environment),
		liveTasks:        make(map[string][]environment.Task, len(s.Instances)),
		tasksByARN:       make(map[string]*environment.Task, len(s.Instances)),
		workloadTasks:    map[string]int{},
		lowestDrainOrder: map[string]int{},
		lostRunningTask:  map[string]bool{},
	}
	f.rolloutBeganAt = f.rollout.beganAt(s.Tasks)
	f.failures = countFailures(s.Launches, f.targets.current.Deployment, f.rollout.first)
	f.indexTasks()
	return f
}

// indexTasks divides the cluster's tasks into the environment's and others. newFacts calls it once.
func (f *facts) indexTasks() {
	for n := range f.Tasks {
		task := &f.Tasks[n]
		switch {
		case !f.isKnown(task.StartedBy):
			f.indexOtherTask(*task)
			continue
		case task.Live():
			if others, found := f.liveTasks[task.Instance]; found {
				f.liveTasks[task.Instance] = append(others, *task)
			} else {
				f.liveTasks[task.Instance] = f.Tasks[n : n+1 : n+1] // the usual case needs no copy
			}
		case f.lostDuringRollout(*task):
			f.lostRunningTask[task.Instance] = true
		}
		f.tasksByARN[task.ARN] = task
	}
	for _, tasks := range f.liveTasks {
		if len(tasks) > 1 {
			slices.SortFunc(tasks, keepOrder)
		}
	}
}

// indexOtherTask counts a task that is not the environment's.
func (f *facts) indexOtherTask(task environment.Task) {
	if !task.Live() {
		return
	}
	order, daemon := f.DrainOrders[task.StartedBy]
	switch {
	case !daemon && (f.DaemonGroups[task.Group] || strings.HasPrefix(task.Group, managedDaemonPrefix)):
		return // ECS stops it after this environment's tasks
	case !daemon:
		f.workloadTasks[task.Instance]++
		return
	}
	if lowest, found := f.lowestDrainOrder[task.Instance]; !found || order < lowest {
		f.lowestDrainOrder[task.Instance] = order
	}
}

// current returns the current deployment, zero without one. The caller must not change it.
func (f *facts) current() *environment.Deployment { return &f.targets.current.Deployment }

// deployed reports whether there is a current deployment.
func (f *facts) deployed() bool { return f.targets.deployed }

// isKnown reports whether the environment has a deployment with that id.
func (f *facts) isKnown(deployment string) bool {
	_, ok := f.Environment.Deployments[deployment]
	return ok
}

// task returns the environment's task with that ARN, zero if the cluster state does not show it.
func (f *facts) task(arn string) environment.Task {
	if task, visible := f.tasksByARN[arn]; visible {
		return *task
	}
	return environment.Task{}
}

// isInvisible reports whether ECS has named the launch's task, but the cluster state does not show it.
func (f *facts) isInvisible(launch environment.Launch) bool {
	_, visible := f.tasksByARN[launch.Task]
	return launch.State == environment.LaunchStarted && !visible
}

// staysRunning reports whether the task runs and no stop of it is known.
func (f *facts) staysRunning(task environment.Task) bool {
	return task.Running() && !f.stopRequested(task)
}

// stopRequested reports whether StopTask was called so recently that the cluster state may not show it yet.
func (f *facts) stopRequested(task environment.Task) bool {
	requested, ok := f.StopRequestedAt[task.ARN]
	return ok && f.Now.Before(requested.Add(StopRetryInterval))
}

// inUse returns the ids of the deployments that have live tasks, or may have them.
func (f *facts) inUse() map[string]bool {
	inUse := map[string]bool{}
	for _, tasks := range f.liveTasks {
		for n := range tasks {
			if id := tasks[n].StartedBy; !inUse[id] {
				inUse[id] = true
			}
		}
	}
	for _, launch := range f.Launches {
		if !inUse[launch.Deployment] && (launch.State == environment.LaunchOpen || f.isInvisible(launch)) {
			inUse[launch.Deployment] = true // its task may live
		}
	}
	return inUse
}

// latest returns the later of two times.
func latest(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// Earliest returns the earlier of two times, of which zero means never.
func Earliest(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

package planner

import (
	"slices"
	"time"

	"github.com/blox/blox/daemon-scheduler/environment"
)

// instancePlan is the part of a plan that concerns one instance. Each rule returns one; the zero instancePlan does
// nothing.
type instancePlan struct {
	actions   []Action
	wait      string    // why the instance has to wait; empty if it does not
	requeueAt time.Time // when it may change although the state has not; zero if it cannot
	reserve   bool      // takes one available instance from the rollout budget
	restart   bool      // takes one instance that is unavailable already
	failure   string    // why the instance counts as failed from now on; empty if it does not
}

// and returns d with what next adds to it. The first reason to wait is the one that is shown.
func (d instancePlan) and(next instancePlan) instancePlan {
	if d.actions == nil {
		d.actions = next.actions
	} else {
		d.actions = append(d.actions, next.actions...)
	}
	if d.wait == "" {
		d.wait = next.wait
	}
	if d.failure == "" {
		d.failure = next.failure
	}
	d.requeueAt = Earliest(d.requeueAt, next.requeueAt)
	d.reserve = d.reserve || next.reserve
	d.restart = d.restart || next.restart
	return d
}

// starts reports whether a task is started, or another one is stopped to make room for it.
func (d instancePlan) starts() bool {
	return slices.ContainsFunc(d.actions, func(a Action) bool {
		return a.Kind == Start || a.Kind == Stop && a.Launch.Instance != ""
	})
}

func act(a Action) instancePlan { return instancePlan{actions: []Action{a}} }

func waitFor(reason string) instancePlan { return instancePlan{wait: reason} }

func requeue(at time.Time) instancePlan { return instancePlan{requeueAt: at} }

// record decides to write a launch record.
func record(launch environment.Launch, reason string) instancePlan {
	return act(Action{Kind: Record, Instance: launch.Instance, Launch: launch, Reason: reason})
}

// confirm decides to query ECS for the launch's tasks.
func confirm(launch environment.Launch, reason string) instancePlan {
	return act(Action{Kind: Confirm, Instance: launch.Instance, Launch: launch, Reason: reason})
}

// forget decides to delete the launch record of an instance.
func forget(launch environment.Launch, reason string) instancePlan {
	return act(Action{Kind: Forget, Instance: launch.Instance, Launch: launch, Reason: reason})
}

// stop decides to stop those of the tasks that are not stopping yet. While the cluster state is not fresh, it decides
// nothing.
func (f *facts) stop(tasks []environment.Task, reason StopReason) (d instancePlan) {
	if !f.Fresh {
		return instancePlan{}
	}
	for _, task := range tasks {
		switch {
		case task.Stopping():
		case f.stopRequested(task):
			d.requeueAt = Earliest(d.requeueAt, f.StopRequestedAt[task.ARN].Add(StopRetryInterval))
		default:
			d.actions = append(d.actions, Action{
				Kind: Stop, Instance: task.Instance, Task: task.ARN, StopReason: reason,
				Reason: reason.Message(f.Environment.Name),
			})
			d.requeueAt = Earliest(d.requeueAt, f.Now.Add(StopRetryInterval))
		}
	}
	return d
}

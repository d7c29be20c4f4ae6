package planner

import (
	"slices"
	"time"

	"github.com/blox/blox/daemon-scheduler/environment"
)

// rolloutCount is how far the current deployment is.
type rolloutCount struct {
	environment.Counts
	finished       int                          // desired instances with the task ready and no superseded one, or failed
	running        int                          // desired instances with the task available
	healthy        int                          // of these, those whose task is ready
	registered     int                          // matching instances, whether or not they can run the task now
	settlesAt      time.Time                    // when the next unreachable instance is no longer desired; zero if none
	missing        int                          // desired instances to which nothing is given although they have no task
	failed         []environment.FailedInstance // by ARN
	legacyFailures []environment.FailedInstance // recorded by v0.3, of instances on which Blox has not tried yet
	overdue        int                          // tasks that have not become RUNNING within the progress deadline
	overdueAt      time.Time                    // when the next one will; zero if none
	unhealthy      int                          // tasks that are UNHEALTHY and not overdue
	readyAt        time.Time                    // when the next one has been available for its minimum; zero if all have
	lastRestart    time.Time                    // when ECS started the youngest task that replaced one of its deployment
}

// countRollout counts the instances that match. Plans has the plan for each of them.
func countRollout(f *facts, instances []*instanceState, plans []instancePlan) (c rolloutCount) {
	if !f.deployed() {
		return c
	}
	for n, i := range instances {
		if !i.matches {
			continue
		}
		c.registered += oneIf(!i.released() && i.Status != statusDeregistering)
		desired := i.schedulable || !i.unreachableTo.IsZero()
		c.Desired += oneIf(desired)
		c.settlesAt = Earliest(c.settlesAt, i.unreachableTo)
		c.missing += oneIf(i.schedulable && i.target != nil && len(i.live) == 0 && !i.isOpen())
		c.Available += oneIf(i.available)
		if !i.isTarget(f.current().ID) { // it keeps the previous deployment
			c.Outdated += oneIf(len(i.live) > 0)
			continue
		}
		c.Counts = plus(c.Counts, countTasks(i.kept, i.hasKept, len(i.superseded) > 0))
		shown := i.schedulable || i.settled && desired // a lost agent shows nothing new
		if i.hasKept && shown && i.kept.Available() {
			c.running++
			c.healthy += oneIf(f.hasProven(i))
			if minimumHealthyTime(i) > 0 && !i.minReadyAt.IsZero() {
				c.readyAt = Earliest(c.readyAt, i.minReadyAt)
				continue
			}
			c.finished += oneIf(!slices.ContainsFunc(i.superseded, notStopping))
			if i.launch.Deployment == f.current().ID && i.launch.Attempts > 1 {
				c.lastRestart = latest(c.lastRestart, i.kept.StartedAt)
			}
			continue
		}
		overdue, dueAt := overdueReason(f, i)
		c.overdueAt = Earliest(c.overdueAt, dueAt)
		counts := !i.launch.HadNoTask || f.rollout.first
		c.overdue += oneIf(overdue != "" && counts)
		c.unhealthy += oneIf(overdue == "" && counts && f.failsHealth(i))
		failure, legacy := failureOf(f, i, plans[n], overdue)
		if failure.Reason == "" {
			continue
		}
		c.failed = append(c.failed, failure)
		c.finished += oneIf(desired)
		if legacy {
			c.legacyFailures = append(c.legacyFailures, failure)
		}
	}
	c.Failed = len(c.failed)
	return c
}

// failureOf returns why an instance without an available task of the current deployment counts as failed; no reason if
// it does not. A failure that v0.3 recorded stays until Blox first tries to start a task on the instance.
func failureOf(
	f *facts, i *instanceState, d instancePlan, overdue string,
) (failure environment.FailedInstance, legacy bool) {
	launched := i.launch.Deployment == f.current().ID
	failure = environment.FailedInstance{Arn: i.ARN}
	switch {
	case i.hasKept && i.kept.Unhealthy() && i.kept.HealthReason != "":
		failure.Reason = i.kept.HealthReason
	case overdue != "":
		failure.Reason = overdue
	case d.failure != "":
		failure.Reason = d.failure
	case launched && i.launch.Reason != "" && !i.released():
		failure.Reason = i.launch.Reason
	case launched, i.hasKept, i.released():
	default:
		for _, noted := range f.current().FailedInstances {
			if noted.Arn == i.ARN {
				return noted, true
			}
		}
	}
	return failure, false
}

// countTasks counts the live tasks on one instance.
func countTasks(kept environment.Task, hasKept, hasOthers bool) environment.Counts {
	return environment.Counts{
		Running:  oneIf(hasKept && kept.Running()),
		Pending:  oneIf(hasKept && !kept.Running()),
		Outdated: oneIf(hasOthers),
	}
}

// plus returns the counts with those of another instance's tasks.
func plus(c, tasks environment.Counts) environment.Counts {
	c.Running += tasks.Running
	c.Pending += tasks.Pending
	c.Outdated += tasks.Outdated
	return c
}

func oneIf(condition bool) int {
	if condition {
		return 1
	}
	return 0
}

func notStopping(t environment.Task) bool { return !t.Stopping() }

// progress returns the current deployment's progress, and when it may change although the state has not. A deployment
// is completed when every ACTIVE instance has its task available or failed, and at least one has it available, or no
// instance is registered. An instance whose agent is disconnected shows neither, but is waited for only for a while,
// and not at all if it had settled before. On hold, or while the cluster state is not fresh, the status stays as it
// was.
func progress(f *facts, c rolloutCount) (p environment.Progress, requeueAt time.Time) {
	switch {
	case !f.Fresh || !f.deployed():
		return unchangedProgress(*f.current()), time.Time{}
	case f.Environment.PausedByUser():
		return frozenProgress(*f.current(), c), time.Time{}
	case f.holdReason(f.targets.current) != "":
		return unchangedProgress(*f.current()), time.Time{}
	}
	p = environment.Progress{Status: environment.Running, Desired: c.Desired, LegacyFailures: c.legacyFailures}
	if len(c.failed) > 0 {
		p.Health = environment.Unhealthy
	}
	if canFail(f) {
		p.FailedTasks = failedTasks(f, c)
		p.HealthyTasks, p.ResetFailures = c.healthy, resetsFailures(f, c)
	}
	succeeded := c.running > 0 || c.registered == 0
	if f.targets.canaryPending || c.finished != c.Desired || !succeeded || f.Alarms.Unknown {
		return p, Earliest(Earliest(settlesAt(f, c), c.overdueAt), c.readyAt)
	}
	if p.Baking = bakes(f); !p.Baking {
		p.Status = environment.Completed
		return p, time.Time{}
	}
	p.BakedFor, p.BakeRestart, requeueAt = bake(f, c)
	if requeueAt.IsZero() {
		p.Status = environment.Completed
	}
	return p, requeueAt
}

// settlesAt returns when a deployment in progress no longer waits for an unreachable instance.
func settlesAt(f *facts, c rolloutCount) time.Time {
	if f.current().Status == environment.Completed {
		return time.Time{}
	}
	return c.settlesAt
}

// unchangedProgress returns the progress that is recorded already.
func unchangedProgress(d environment.Deployment) environment.Progress {
	return environment.Progress{
		Status: d.Status, Health: d.Health, Desired: d.DesiredTaskCount, LegacyFailures: d.FailedInstances,
	}
}

// frozenProgress returns the progress while a user has paused the environment. It stays as it was, but an instance that
// lacks a daemon is not healthy.
func frozenProgress(d environment.Deployment, c rolloutCount) environment.Progress {
	p := unchangedProgress(d)
	p.Health = environment.Healthy
	if len(c.failed) > 0 || c.missing > 0 {
		p.Health = environment.Unhealthy
	}
	return p
}

package planner

import (
	"time"

	"github.com/blox/blox/daemon-scheduler/environment"
	"github.com/blox/blox/internal/backoff"
)

// keepOrStart decides for an instance on which no superseded task is in the way: it keeps the task, or starts one.
func keepOrStart(f *facts, i *instanceState) instancePlan {
	switch {
	case i.hasKept && f.isBeingReplaced(i):
		return instancePlan{}
	case i.hasKept:
		return recordRunning(f, i)
	case i.hasLaunch && f.isKnown(i.launch.Deployment):
		return retry(f, i)
	}
	return start(f, i, tries{attempts: 1}, startMissing)
}

// start decides on a launch that replaces the last one, if any.
func start(f *facts, i *instanceState, t tries, reason string) instancePlan {
	next := withTries(nextLaunch(f, i), t)
	next.State = environment.LaunchOpen
	next.HadNoTask = !i.hasRunning && !i.unavailable
	return act(Action{Kind: Start, Instance: i.ARN, Launch: next, Reason: reason})
}

// nextLaunch returns a launch of the instance's target that replaces the last launch record, if any. After a launch of
// the same target, the instance stays failed until its task runs.
func nextLaunch(f *facts, i *instanceState) environment.Launch {
	next := environment.Launch{
		Instance: i.ARN, Deployment: i.target.ID, TaskDefinition: i.target.TaskDefinition,
		StoredVersion: i.launch.StoredVersion,
	}
	if current := f.current().ID; !i.isTarget(current) {
		next.Rollout = current
	}
	if i.hasLaunch && i.isTarget(i.launch.Deployment) {
		next.Reason = i.launch.Reason
		next.Detail = i.launch.Detail
	}
	return next
}

// retry decides for an instance without a live task of its target whose last launch has an outcome.
func retry(f *facts, i *instanceState) instancePlan {
	launch := i.launch
	switch {
	case f.isInvisible(launch):
		return awaitVisible(f, launch)
	case !i.isTarget(launch.Deployment):
		return start(f, i, tries{attempts: 1}, startMissing)
	case launch.State == environment.LaunchReplacing && launch.Reason == taskUnhealthy:
		return start(f, i, triesOf(launch), startUnhealthy)
	case launch.State == environment.LaunchReplacing:
		return start(f, i, triesOf(launch), startMissing)
	case launch.State == environment.LaunchStarted:
		return replaceStopped(f, i, f.task(launch.Task))
	}
	if until := backoffUntil(f, i); !until.IsZero() {
		early, at := mayRetryEarly(f, launch)
		if early {
			return start(f, i, triesOf(launch).another(), startImproved)
		}
		return instancePlan{wait: waitBackingOff + launch.Reason, requeueAt: Earliest(until, at)}
	}
	if launch.Reason == "" { // StartTask was not answered and ECS has no such task: this attempt is made again
		return start(f, i, triesOf(launch), startRetry)
	}
	return start(f, i, triesOf(launch).another(), startRetry)
}

// backoffUntil returns when the next attempt is due if the target's last one on the instance failed; zero if it is due
// already, or if none failed.
func backoffUntil(f *facts, i *instanceState) time.Time {
	failed := i.hasLaunch && i.launch.State == environment.LaunchFailed && i.isTarget(i.launch.Deployment)
	if failed && f.Now.Before(i.launch.NextAttemptAt) {
		return i.launch.NextAttemptAt
	}
	return time.Time{}
}

// mayRetryEarly reports whether the instance has changed since a start on it failed, and a tenth of the delay has
// passed: an instance that keeps changing must not consume the API budget. Until then, at is when it has. A task that
// keeps stopping frees resources, and so changes the instance itself; it gets the whole delay.
func mayRetryEarly(f *facts, launch environment.Launch) (early bool, at time.Time) {
	improved, ok := f.ImprovedAt[launch.Instance]
	if !ok || improved.Before(announcedAt(launch)) || launch.Reason == taskStopped {
		return false, time.Time{}
	}
	if due := announcedAt(launch).Add(retryDelay(launch.Failures) / 10); f.Now.Before(due) {
		return false, due
	}
	return true, time.Time{}
}

// replaceStopped replaces a task that stopped: at once if it did not fail, or for the first time after it had run,
// otherwise after a growing delay.
func replaceStopped(f *facts, i *instanceState, task environment.Task) instancePlan {
	stop := stopOf(i.launch, task)
	due := i.launch.NotAfter.Add(retryDelay(stop.delayFailures))
	if stop.delayFailures == 0 || !f.Now.Before(due) {
		return start(f, i, stop.next, startStopped)
	}
	launch := stoppedLaunch(i.launch, task, f.Now)
	d := record(launch, recordKeepsStopping)
	d.requeueAt = launch.NextAttemptAt
	d.failure = launch.Reason
	return d
}

// recordRunning updates the launch record of an instance that has its task, and tracks scale-in once nothing changes.
func recordRunning(f *facts, i *instanceState) instancePlan {
	if !i.hasLaunch || i.launch.Deployment != i.kept.StartedBy {
		return adoptKept(f, i)
	}
	next := i.launch
	if next.State != environment.LaunchStarted { // ECS has started it nevertheless
		next = StartedLaunch(next, i.kept.ARN)
	}
	if i.kept.Available() {
		next.Reason = ""
		next.Detail = ""
	}
	if next.State != i.launch.State || next.Reason != i.launch.Reason {
		return record(next, recordTaskFound)
	}
	return trackScaleIn(f, i)
}

// adoptKept records the task of an instance whose launch record, if any, is of another deployment: a rollback keeps
// the tasks of an earlier deployment. The record is needed to track scale-in. One that announces the stop of a task is
// outdated in any case, because the task is kept.
func adoptKept(f *facts, i *instanceState) instancePlan {
	needed := i.target.spec.ScaleInAfterMinutes > 0 || i.launch.State == environment.LaunchReplacing
	mayAppear := f.isInvisible(i.launch) && f.isKnown(i.launch.Deployment)
	if !needed || mayAppear || len(i.superseded)+len(i.duplicates) > 0 {
		return instancePlan{}
	}
	return record(adoptedLaunch(f, i), recordTaskFound)
}

// adoptedLaunch returns the launch record of the kept task, which another launch has started.
func adoptedLaunch(f *facts, i *instanceState) environment.Launch {
	return environment.Launch{
		Instance: i.ARN, Deployment: i.kept.StartedBy, State: environment.LaunchStarted, Task: i.kept.ARN, Attempts: 1,
		TaskDefinition: f.Environment.Deployments[i.kept.StartedBy].TaskDefinition,
		NotAfter:       i.kept.CreatedAt, StoredVersion: i.launch.StoredVersion,
	}
}

// retryDelay is the delay after that many failures in a row.
func retryDelay(failures int) time.Duration {
	return backoff.Delay(retryDelayInitial, retryDelayMax, failures)
}

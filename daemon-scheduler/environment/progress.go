package environment

import "time"

// Progress is the progress of the current deployment.
type Progress struct {
	Status         Status
	Health         Health
	Desired        int              // instances that should have a task
	LegacyFailures []FailedInstance // the failures recorded by v0.3 that still hold
	FailedTasks    int              // failed starts and tasks; recorded when it has grown
	HealthyTasks   int              // tasks that have run for the min ready time; recorded with FailedTasks
	ResetFailures  bool             // the failures recorded so far no longer count
	Baking         bool             // all tasks run; its first time is recorded
	BakedFor       time.Duration    // for how long it has baked; recorded when it has grown
	BakeRestart    time.Time        // see Deployment.BakeRestart; a later one restarts the bake time
	Step           StepProgress
}

// RecordProgress records the progress of the current deployment, and reports whether anything has changed. A failed
// or stopped deployment has no progress.
func (e Environment) RecordProgress(id string, p Progress, now time.Time) (next Environment, changed bool) {
	d, ok := e.Deployments[id]
	if !ok || d.Rollout() == RolloutFailed || d.Rollout() == RolloutStopped {
		return e, false
	}
	next = e
	changed = d.Health != p.Health || e.Health != p.Health
	d.Health = p.Health
	next.Health = p.Health
	if len(p.LegacyFailures) < len(d.FailedInstances) {
		d.FailedInstances = p.LegacyFailures
		changed = true
	}
	if d.Rollout() == RolloutInProgress && (p.FailedTasks > d.FailedTasks || p.ResetFailures) {
		d = d.recordFailures(p)
		changed = true
	}
	if baked, ok := d.bake(p, now); ok && d.Rollout() == RolloutInProgress {
		d = baked
		changed = true
	}
	if next, recorded := e.recordStep(d, p.Step); recorded {
		d = next
		changed = true
	}
	if p.Status > d.Status { // a status never decreases
		d = d.advance(p, now)
		next.DesiredTaskCount = p.Desired
		next.InProgressDeploymentID = id
		if next.PendingDeploymentID == id {
			next.PendingDeploymentID = ""
		}
		changed = true
	}
	if !changed {
		return e, false
	}
	return next.withDeployment(d), true
}

// recordFailures returns d with p's failures. Those that are new with a reset still count.
func (d Deployment) recordFailures(p Progress) Deployment {
	if p.ResetFailures {
		d.FailedTasksReset = d.FailedTasks
	}
	d.FailedTasks = max(d.FailedTasks, p.FailedTasks)
	d.HealthyTasks = max(d.HealthyTasks, p.HealthyTasks)
	return d
}

// bake returns d with the bake time of p, and reports whether it has changed.
func (d Deployment) bake(p Progress, now time.Time) (next Deployment, changed bool) {
	switch seconds := int(p.BakedFor.Seconds()); {
	case !p.Baking:
		return d, false
	case d.BakeStartedAt.IsZero():
		d.BakeStartedAt = now.UTC()
		d.BakeRestart = p.BakeRestart
	case p.BakeRestart.After(d.BakeRestart):
		d.BakeRestart = p.BakeRestart
		d.BakedSeconds = 0
	case seconds > d.BakedSeconds:
		d.BakedSeconds = seconds
	default:
		return d, false
	}
	return d, true
}

// CountedFailures returns how many of the recorded failures the circuit breaker counts.
func (d Deployment) CountedFailures() int { return d.FailedTasks - d.FailedTasksReset }

// advance returns d with p's status.
func (d Deployment) advance(p Progress, now time.Time) Deployment {
	d.Status = p.Status
	d.DesiredTaskCount = p.Desired
	if d.RolloutStartedAt.IsZero() {
		d.RolloutStartedAt = now.UTC()
	}
	if d.StartTime.IsZero() {
		d.StartTime = now.UTC()
	}
	if d.Status == Completed {
		d.EndTime = now.UTC()
		d.RolloutState = RolloutCompleted
	}
	return d
}

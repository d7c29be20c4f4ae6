package environment

import "time"

// Progress is the progress of the current deployment.
type Progress struct {
	Status         Status
	Health         Health
	Desired        int              // instances that should have a task
	LegacyFailures []FailedInstance // the failures recorded by v0.3 that still hold
	FailedTasks    int              // as the circuit breaker counts; recorded when it has grown
	Baking         bool             // all tasks run; recorded once
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
	if d.Rollout() == RolloutInProgress && p.FailedTasks > d.FailedTasks {
		d.FailedTasks = p.FailedTasks
		changed = true
	}
	if d.Rollout() == RolloutInProgress && p.Baking && d.BakeStartedAt.IsZero() {
		d.BakeStartedAt = now.UTC()
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

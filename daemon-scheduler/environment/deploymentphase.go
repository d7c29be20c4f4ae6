package environment

import "time"

// DeploymentPhase is what a deployment in progress is doing.
type DeploymentPhase string

// A deployment passes through its phases in this order. It may skip some.
const (
	DeploymentPending DeploymentPhase = "pending" // it has not started
	DeploymentCanary  DeploymentPhase = "canary"  // it does not go beyond its canary until it is promoted
	DeploymentRollout DeploymentPhase = "rollout" // it replaces tasks
	DeploymentBake    DeploymentPhase = "bake"    // all its tasks run, and must do so for the bake time
)

// DeploymentPhase returns the phase of a deployment in progress, and since when it is in it. A promotion is not
// recorded, so a rollout counts from the start of its canary.
func (e Environment) DeploymentPhase(d Deployment) (phase DeploymentPhase, since time.Time) {
	switch {
	case d.RolloutStartedAt.IsZero():
		return DeploymentPending, d.StartTime
	case !d.Promoted && e.HasCanary(d):
		return DeploymentCanary, d.RolloutStartedAt
	case !d.BakeStartedAt.IsZero():
		return DeploymentBake, d.BakeStartedAt
	}
	return DeploymentRollout, d.RolloutStartedAt
}

// PhaseDurations returns how long a deployment that has ended spent in its phases. A canary counts as part of the
// rollout. Phases that the record lacks are missing, and no duration is negative: replicas have different clocks.
func (d Deployment) PhaseDurations() map[DeploymentPhase]time.Duration {
	durations := map[DeploymentPhase]time.Duration{}
	add := func(phase DeploymentPhase, from, to time.Time) {
		if !from.IsZero() && !to.IsZero() {
			durations[phase] = max(0, to.Sub(from))
		}
	}
	rolloutEnd := d.BakeStartedAt
	if rolloutEnd.IsZero() {
		rolloutEnd = d.EndTime
	}
	pendingEnd := d.RolloutStartedAt
	if pendingEnd.IsZero() { // it was stopped before it started
		pendingEnd = d.EndTime
	}
	add(DeploymentPending, d.StartTime, pendingEnd)
	add(DeploymentRollout, d.RolloutStartedAt, rolloutEnd)
	add(DeploymentBake, d.BakeStartedAt, d.EndTime)
	return durations
}

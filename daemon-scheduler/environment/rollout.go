package environment

import "time"

// RolloutState is what became of a deployment, beside its Status, which has v0.3's three words only.
type RolloutState string

// A deployment is RolloutInProgress until it ends in one of the other three. Of those, only RolloutCompleted ones are kept up.
const (
	RolloutInProgress RolloutState = "IN_PROGRESS"
	RolloutCompleted  RolloutState = "COMPLETED"
	RolloutFailed     RolloutState = "FAILED"
	RolloutStopped    RolloutState = "STOPPED"
)

// Rollout is what became of the deployment. Versions of Blox that do not know of it write Status alone.
func (d Deployment) Rollout() RolloutState {
	switch {
	case d.Status != Completed:
		return RolloutInProgress
	case d.RolloutState == RolloutFailed, d.RolloutState == RolloutStopped:
		return d.RolloutState
	}
	return RolloutCompleted
}

// StopKind is what is to follow a stopped deployment; the words are ECS's.
type StopKind string

// StopRollback goes back to the newest completed deployment; StopAbort leaves things as they are and pauses.
const (
	StopRollback StopKind = "ROLLBACK"
	StopAbort    StopKind = "ABORT"
)

// Stop ends the deployment if it is in progress. With StopRollback a deployment with the id next goes back.
func (e Environment) Stop(id string, kind StopKind, next string, now time.Time) (Environment, error) {
	if err := e.checkNotDeleting(); err != nil {
		return e, err
	}
	d, ok := e.Deployments[id]
	if !ok {
		return e, DeploymentNotFound(id, e.Name)
	}
	if d.Status == Completed {
		return e, nil
	}
	if kind == StopAbort {
		return e.endDeployment(d, RolloutStopped, "It was aborted.", now).pauseAfter(id), nil
	}
	to, ok := e.NewestCompleted()
	if !ok {
		return e, noRollbackTarget(e.Name)
	}
	return e.endDeployment(d, RolloutStopped, "It was stopped.", now).startRollback(to, id, next, now), nil
}

// Fail ends the deployment, which has to be in progress, as failed. When its circuit breaker says so and there is a
// completed deployment, one with the id next goes back to it; else things stay as they are and the environment is paused.
func (e Environment) Fail(id, reason, next string, now time.Time) Environment {
	d, ok := e.Deployments[id]
	if !ok || d.Status == Completed {
		return e
	}
	to, earlier := e.NewestCompleted()
	rollback := earlier && e.RevisionFor(d).Spec.DeploymentConfiguration.CircuitBreaker.Rollback
	e = e.endDeployment(d, RolloutFailed, reason, now)
	if !rollback {
		return e.pauseAfter(id)
	}
	return e.startRollback(to, id, next, now)
}

// Rollback adds a deployment with the id next that goes back: from what is in progress, or has failed or was stopped since
// the newest completed deployment, to that one; else to the newest completed one of another revision. While one that goes
// back is in progress there is nothing to do: who asks again means the same, not what was left.
func (e Environment) Rollback(next string, now time.Time) (Environment, error) {
	if err := e.checkNotDeleting(); err != nil {
		return e, err
	}
	if d, ok := e.InProgress(); ok && d.RollbackOf != "" {
		return e, nil
	}
	to, from, err := e.rollbackTarget()
	if err != nil {
		return e, err
	}
	if from.Status != Completed {
		e = e.endDeployment(from, RolloutStopped, "It was rolled back.", now)
	}
	return e.startRollback(to, from.ID, next, now), nil
}

// rollbackTarget is the deployment that Rollback goes back to, and which one from.
func (e Environment) rollbackTarget() (to, from Deployment, err error) {
	from, ok := e.InProgress()
	if !ok {
		from, ok = e.latestUnsuccessful()
	}
	wanted := func(Deployment) bool { return true }
	if !ok {
		from, ok = e.Current()
		wanted = func(d Deployment) bool { return d.RevisionNumber() != from.RevisionNumber() }
	}
	if ok {
		to, ok = e.newestCompleted(wanted)
	}
	if !ok {
		return to, from, noRollbackTarget(e.Name)
	}
	return to, from, nil
}

// latestUnsuccessful is the newest deployment if it has failed or was stopped. Nothing else is to be asked of it: a pause may be
// anybody's.
func (e Environment) latestUnsuccessful() (Deployment, bool) {
	history := e.History()
	if len(history) == 0 || history[0].Status != Completed || history[0].Rollout() == RolloutCompleted {
		return Deployment{}, false
	}
	return history[0], true
}

// Promote lets the deployment go on after its canary.
func (e Environment) Promote(id string) (Environment, error) {
	if err := e.checkNotDeleting(); err != nil {
		return e, err
	}
	d, ok := e.Deployments[id]
	switch {
	case !ok:
		return e, DeploymentNotFound(id, e.Name)
	case d.Promoted:
		return e, nil
	case d.Status == Completed, !e.HasCanary(d):
		return e, noCanary(id)
	}
	d.Promoted = true
	return e.withDeployment(d), nil
}

// HasCanary tells whether the deployment begins with a canary, promoted or not. What goes back does not.
func (e Environment) HasCanary(d Deployment) bool {
	return d.RollbackOf == "" && e.RevisionFor(d).Spec.DeploymentConfiguration.Canary != nil
}

// NewestCompleted is the newest deployment that was completed, neither failed nor stopped.
func (e Environment) NewestCompleted() (Deployment, bool) {
	return e.newestCompleted(func(Deployment) bool { return true })
}

func (e Environment) newestCompleted(wanted func(Deployment) bool) (Deployment, bool) {
	for _, d := range e.History() {
		if d.Rollout() == RolloutCompleted && wanted(d) {
			return d, true
		}
	}
	return Deployment{}, false
}

// endDeployment is e, whose deployment d has ended in state.
func (e Environment) endDeployment(d Deployment, state RolloutState, reason string, now time.Time) Environment {
	d.Status, d.RolloutState, d.RolloutStateReason, d.EndTime = Completed, state, reason, now.UTC()
	if e.PendingDeploymentID == d.ID {
		e.PendingDeploymentID = ""
	}
	return e.withDeployment(d)
}

// startRollback adds a deployment with the id next of what to was of, which undoes the one with the id from.
func (e Environment) startRollback(to Deployment, from, next string, now time.Time) Environment {
	e.PendingDeploymentID = next
	return e.clearAutomaticPause().withDeployment(Deployment{
		ID: next, Status: Pending, TaskDefinition: to.TaskDefinition, StartTime: now.UTC(),
		Revision: to.RevisionNumber(), RolloutState: RolloutInProgress, RollbackOf: from,
	})
}

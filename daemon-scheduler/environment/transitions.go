package environment

import (
	"slices"
	"strconv"
	"time"
)

// Deploy adds a pending deployment of the latest revision. The token has to be the environment's, and is good for one
// deployment. A deployment in progress of the same revision is refused; one of an earlier revision is stopped.
func (e Environment) Deploy(id, token string, now time.Time) (Environment, error) {
	if err := CheckToken(token); err != nil {
		return e, err
	}
	if token != e.Token {
		return e, tokenOutdated(token)
	}
	for _, d := range e.Deployments {
		if d.Token == token {
			return e, tokenUsed(token)
		}
	}
	if err := e.checkNotDeleting(); err != nil {
		return e, err
	}
	return e.deployRevision(e.LatestRevision(), Deployment{ID: id, Token: token}, now)
}

// deployRevision adds the deployment d of revision r, and stops the one in progress. It refuses a deployment of the
// same revision unless that is forced.
func (e Environment) deployRevision(r Revision, d Deployment, now time.Time) (Environment, error) {
	if err := e.checkNotHandedBack(); err != nil {
		return e, err
	}
	if current, ok := e.InProgress(); ok {
		if current.RevisionNumber() == r.Number && !d.ForceNewDeployment {
			return e, inProgress(current.ID)
		}
		reason := "Superseded by a deployment of revision " + strconv.Itoa(r.Number) + "."
		e = e.endDeployment(current, RolloutStopped, reason, now)
	}
	d.Revision = r.Number
	d.TaskDefinition = r.Spec.TaskDefinition
	return e.addDeployment(d, now), nil
}

// CheckToken returns an error unless token has the form of a deployment token.
func CheckToken(token string) error {
	switch {
	case token == "":
		return ErrTokenMissing
	case !IsToken(token):
		return ErrTokenMalformed
	}
	return nil
}

// StopKind is what follows a stopped deployment, in ECS's words.
type StopKind string

// StopRollback rolls back to the newest completed deployment. StopAbort leaves the tasks as they are and pauses.
const (
	StopRollback StopKind = "ROLLBACK"
	StopAbort    StopKind = "ABORT"
)

// Stop ends the deployment if it is in progress. Next is the id of the rollback that StopRollback adds.
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
		return e.endDeployment(d, RolloutStopped, "The deployment was aborted.", now).pauseAfter(id, now), nil
	}
	to, ok := e.NewestCompleted()
	if !ok {
		return e, noRollbackTarget(e.Name)
	}
	return e.endDeployment(d, RolloutStopped, "The deployment was stopped.", now).startRollback(to, id, next, now), nil
}

// Fail ends the deployment in progress as failed. It rolls back, with the id next, if the circuit breaker, or the
// alarms of which one was triggered, are configured to, to the newest completed deployment whose task definition
// isActive. If there is none, or they are not, Fail leaves the tasks as they are and pauses.
func (e Environment) Fail(
	id, reason, next string, isActive func(taskDefinition string) bool, now time.Time,
) Environment {
	d, ok := e.Deployments[id]
	if !ok || d.Status == Completed {
		return e
	}
	definitions := e.RollbackDefinitions(id)
	to, found := e.newestCompleted(func(d Deployment) bool { return isActive(d.TaskDefinition) })
	if len(definitions) > 0 && !found {
		reason += " Blox cannot roll back: the task definition of no completed deployment is ACTIVE."
	}
	if len(definitions) == 0 || !found {
		return e.FailAndPause(id, reason, now)
	}
	return e.endDeployment(d, RolloutFailed, reason, now).startRollback(to, id, next, now)
}

// FailAndPause ends the deployment in progress as failed, leaves the tasks as they are and pauses.
func (e Environment) FailAndPause(id, reason string, now time.Time) Environment {
	d, ok := e.Deployments[id]
	if !ok || d.Status == Completed {
		return e
	}
	return e.endDeployment(d, RolloutFailed, reason, now).pauseAfter(id, now)
}

// RollbackDefinitions returns the task definitions that the deployment may return to automatically when it fails, those
// of the newest completed deployments first. It returns none if the deployment pauses instead.
func (e Environment) RollbackDefinitions(id string) (definitions []string) {
	d, ok := e.Deployments[id]
	if !ok || !e.rollsBack(d) {
		return nil
	}
	for _, d := range e.History() {
		if d.Rollout() == RolloutCompleted && !slices.Contains(definitions, d.TaskDefinition) {
			definitions = append(definitions, d.TaskDefinition)
		}
	}
	return definitions
}

// Rollback adds a deployment with the id next that undoes the one in progress, or the newest one if it failed or was
// stopped, and returns to the newest completed one. Otherwise it returns to the newest completed deployment of
// another revision. While a rollback is in progress, it changes nothing: a repeated request must not undo the
// rollback.
func (e Environment) Rollback(next string, now time.Time) (Environment, error) {
	if err := e.checkNotDeleting(); err != nil {
		return e, err
	}
	if err := e.checkNotHandedBack(); err != nil {
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
		e = e.endDeployment(from, RolloutStopped, "The deployment was rolled back.", now)
	}
	return e.startRollback(to, from.ID, next, now), nil
}

// startRollback adds a deployment with the id next that rolls out the revision of to and undoes the deployment from.
func (e Environment) startRollback(to Deployment, from, next string, now time.Time) Environment {
	return e.addDeployment(Deployment{
		ID: next, TaskDefinition: to.TaskDefinition, Revision: to.RevisionNumber(), RollbackOf: from,
	}, now)
}

// Promote continues the deployment after the present step of its canary.
func (e Environment) Promote(id string) (Environment, error) { return e.promote(id, e.promoteStep) }

// PromoteStep is Promote for the step with that number. It changes nothing if that was promoted already: a repeated
// request must not promote the next one.
func (e Environment) PromoteStep(id string, number int) (Environment, error) {
	_, present, count, waits := e.CanaryStep(e.Deployments[id])
	switch {
	case waits && number > count:
		return e, noCanaryStep(id, number, count)
	case waits && number > present:
		return e, stepNotReached(id, number, present)
	case waits && number < present:
		return e, nil
	}
	return e.Promote(id)
}

// PromoteFully continues the deployment on all instances.
func (e Environment) PromoteFully(id string) (Environment, error) {
	return e.promote(id, func(d Deployment) Deployment {
		_, _, count, _ := e.CanaryStep(d)
		d.CanaryProgress = CanaryProgress{PromotedSteps: count}
		d.Promoted = true
		return d
	})
}

func (e Environment) promote(id string, promoted func(Deployment) Deployment) (Environment, error) {
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
	return e.withDeployment(promoted(d)), nil
}

// Pause stops all starts and stops until Resume, but for drains, scale-in and deletion. Deployments do not end a pause
// that a user requested.
func (e Environment) Pause(now time.Time) (Environment, error) {
	if err := e.checkNotDeleting(); err != nil {
		return e, err
	}
	return e.pause("", now), nil
}

// Resume ends a pause.
func (e Environment) Resume() (Environment, error) {
	if err := e.checkNotDeleting(); err != nil {
		return e, err
	}
	return e.unpause(), nil
}

// pauseAfter pauses the rollout because of an aborted or failed deployment, unless a user has paused it.
func (e Environment) pauseAfter(deployment string, now time.Time) Environment {
	if e.PausedByUser() {
		return e
	}
	return e.pause(deployment, now)
}

// pause pauses e. A pause that begins another way keeps its time.
func (e Environment) pause(by string, now time.Time) Environment {
	if !e.Paused {
		e.PausedAt = now.UTC()
	}
	e.Paused = true
	e.PausedBy = by
	return e
}

func (e Environment) unpause() Environment {
	e.Paused = false
	e.PausedBy = ""
	e.PausedAt = time.Time{}
	return e
}

// clearAutomaticPause ends a pause that a deployment has caused.
func (e Environment) clearAutomaticPause() Environment {
	if e.PausedBy == "" {
		return e
	}
	return e.unpause()
}

// Delete begins to delete the environment with its tasks. It stops the deployment in progress; nothing can be
// deployed afterwards.
func (e Environment) Delete(now time.Time) Environment {
	if e.IsDeleting() {
		return e
	}
	e.DeletingSince = now.UTC()
	e = e.unpause()
	for d, ok := e.InProgress(); ok; d, ok = e.InProgress() {
		e = e.endDeployment(d, RolloutStopped, "The environment is being deleted.", now)
	}
	return e
}

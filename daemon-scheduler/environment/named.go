package environment

import (
	"strconv"
	"time"
)

// Redeployment names a deployment of any kept revision.
type Redeployment struct {
	Revision int  // number; 0: the latest
	Force    bool // replace all tasks, also those that the deployment could adopt
}

// Redeploy adds a pending deployment like Deploy, of the revision that r names, also if a deployment has used the token
// already. It renews the token to next, so that a repeated request is refused.
func (e Environment) Redeploy(id, token string, r Redeployment, next string, now time.Time) (Environment, error) {
	if err := CheckToken(token); err != nil {
		return e, err
	}
	if token != e.Token {
		return e, tokenOutdated(token)
	}
	if err := e.checkNotDeleting(); err != nil {
		return e, err
	}
	revision := e.LatestRevision()
	if r.Revision != 0 {
		var err error
		if revision, err = e.Revision(r.Revision); err != nil {
			return e, err
		}
	}
	deployed, err := e.deployRevision(revision, Deployment{ID: id, Token: token, ForceNewDeployment: r.Force}, now)
	if err != nil {
		return e, err
	}
	deployed.Token = next
	return deployed, nil
}

// Revision returns the revision with that number if it is kept.
func (e Environment) Revision(number int) (Revision, error) {
	for _, r := range e.KeptRevisions() {
		if r.Number == number {
			return r, nil
		}
	}
	return Revision{}, RevisionNotFound(strconv.Itoa(number), e.Name)
}

// RollbackTo adds a deployment with the id next that returns to the numbered revision and undoes the deployment in
// progress, or the newest one. If a deployment of that revision is in progress or in effect, RollbackTo changes nothing
// and returns that deployment: a repeated request must not restart tasks.
func (e Environment) RollbackTo(number int, next string, now time.Time) (Environment, Deployment, error) {
	if err := e.checkNotDeleting(); err != nil {
		return e, Deployment{}, err
	}
	revision, err := e.Revision(number)
	if err != nil {
		return e, Deployment{}, err
	}
	from, inProgress := e.InProgress()
	unsuccessful, failed := e.latestUnsuccessful()
	switch current, deployed := e.Current(); {
	case inProgress && from.RevisionNumber() == number:
		return e, from, nil
	case inProgress:
		e = e.endDeployment(from, RolloutStopped, "The deployment was rolled back.", now)
	case failed: // its tasks are to be replaced, whatever the environment returns to
		from = unsuccessful
	case !deployed:
		return e, Deployment{}, noRollbackTarget(e.Name)
	case current.RevisionNumber() == number:
		return e, current, nil
	default:
		from = current
	}
	to := Deployment{TaskDefinition: revision.Spec.TaskDefinition, Revision: number}
	e = e.startRollback(to, from.ID, next, now)
	return e, e.Deployments[next], nil
}

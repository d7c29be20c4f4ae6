package environment

import (
	"maps"
	"time"
)

// Deploy adds a pending deployment of what the environment wants, created with the environment's token at now.
// A token is good for one deployment.
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
	if d, ok := e.InProgress(); ok {
		return e, inProgress(d.ID)
	}
	e.PendingDeploymentID = id
	return e.with(Deployment{
		ID: id, Status: Pending, TaskDefinition: e.DesiredTaskDefinition, Token: token, StartTime: now.UTC(),
	}), nil
}

// CheckToken tells whether token can be one at all.
func CheckToken(token string) error {
	switch {
	case token == "":
		return ErrTokenMissing
	case !IsToken(token):
		return ErrTokenMalformed
	}
	return nil
}

// Progress is what is found out about the current deployment.
type Progress struct {
	Status  Status
	Health  Health
	Desired int              // instances that should have a task
	Carried []FailedInstance // what still stands of the list that v0.3 left
}

// Observe notes the progress of the deployment, which has to be the current one, at now. The environment comes back as
// it was when nothing is new.
func (e Environment) Observe(id string, p Progress, now time.Time) (next Environment, changed bool) {
	d, ok := e.Deployments[id]
	if !ok {
		return e, false
	}
	next, was := e, d.Status
	d.Status, d.Health, next.Health = max(p.Status, d.Status), p.Health, p.Health
	if len(p.Carried) < len(d.FailedInstances) {
		d.FailedInstances = p.Carried
		changed = true
	}
	if d.Status != was {
		d.DesiredTaskCount, next.DesiredTaskCount = p.Desired, p.Desired
		if d.StartTime.IsZero() {
			d.StartTime = now.UTC()
		}
		if d.Status == Completed {
			d.EndTime = now.UTC()
		}
		next.InProgressDeploymentID = id
		if next.PendingDeploymentID == id {
			next.PendingDeploymentID = ""
		}
		changed = true
	}
	if !changed && d.Health == e.Deployments[id].Health && next.Health == e.Health {
		return e, false
	}
	return next.with(d), true
}

// Trim forgets the oldest completed deployments beyond keep, the current one and those that inUse tells of excepted.
func (e Environment) Trim(keep int, inUse func(id string) bool) Environment {
	history := e.History()
	if len(history) <= keep {
		return e
	}
	e.Deployments = maps.Clone(e.Deployments)
	for i := len(history) - 1; i > 0 && len(e.Deployments) > keep; i-- {
		if d := history[i]; d.Status == Completed && !inUse(d.ID) {
			delete(e.Deployments, d.ID)
		}
	}
	return e
}

// with is e with d put into a map of its own: environments are values.
func (e Environment) with(d Deployment) Environment {
	deployments := maps.Clone(e.Deployments)
	if deployments == nil {
		deployments = map[string]Deployment{}
	}
	deployments[d.ID] = d
	e.Deployments = deployments
	return e
}

package environment

import (
	"maps"
	"strconv"
	"time"
)

// Deploy adds a pending deployment of what the environment wants, created with the environment's token at now.
// A token is good for one deployment. What is in progress holds it back, unless it is of an earlier revision: that is
// stopped.
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
	wants := e.LatestRevision()
	if d, ok := e.InProgress(); ok {
		if d.RevisionNumber() == wants.Number {
			return e, inProgress(d.ID)
		}
		e = e.endDeployment(d, RolloutStopped, "A deployment of revision "+strconv.Itoa(wants.Number)+" has taken its place.", now)
	}
	e.PendingDeploymentID = id
	return e.clearAutomaticPause().withDeployment(Deployment{
		ID: id, Status: Pending, TaskDefinition: wants.Spec.TaskDefinition, Token: token, StartTime: now.UTC(),
		Revision: wants.Number, RolloutState: RolloutInProgress,
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
	Status         Status
	Health         Health
	Desired        int              // instances that should have a task
	LegacyFailures []FailedInstance // what still stands of the list that v0.3 left
	// FailedTasks is what the circuit breaker has counted; it is noted when it has grown. Baking is noted once.
	FailedTasks int
	Baking      bool
}

// RecordProgress notes the progress of the deployment, which has to be the current one, at now. The environment comes back as
// it was when nothing is new.
func (e Environment) RecordProgress(id string, p Progress, now time.Time) (next Environment, changed bool) {
	d, ok := e.Deployments[id]
	if !ok || d.Rollout() == RolloutFailed || d.Rollout() == RolloutStopped {
		return e, false
	}
	next, was := e, d.Status
	d.Status, d.Health, next.Health = max(p.Status, d.Status), p.Health, p.Health
	if len(p.LegacyFailures) < len(d.FailedInstances) {
		d.FailedInstances = p.LegacyFailures
		changed = true
	}
	if d.Rollout() == RolloutInProgress && p.FailedTasks > d.FailedTasks {
		d.FailedTasks, changed = p.FailedTasks, true
	}
	if d.Rollout() == RolloutInProgress && p.Baking && d.BakeStartedAt.IsZero() {
		d.BakeStartedAt, changed = now.UTC(), true
	}
	if d.Status != was {
		if d.RolloutStartedAt.IsZero() {
			d.RolloutStartedAt = now.UTC()
		}
		d.DesiredTaskCount, next.DesiredTaskCount = p.Desired, p.Desired
		if d.StartTime.IsZero() {
			d.StartTime = now.UTC()
		}
		if d.Status == Completed {
			d.EndTime, d.RolloutState = now.UTC(), RolloutCompleted
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
	return next.withDeployment(d), true
}

// TrimDeployments forgets the oldest deployments beyond keep that have ended, those excepted that are current, would be gone back to,
// or that inUse tells of.
func (e Environment) TrimDeployments(keep int, inUse func(id string) bool) Environment {
	history := e.History()
	if len(history) <= keep {
		return e
	}
	needed := map[string]bool{history[0].ID: true}
	if d, ok := e.Current(); ok {
		needed[d.ID] = true
	}
	if d, ok := e.NewestCompleted(); ok {
		needed[d.ID] = true
	}
	if to, from, err := e.rollbackTarget(); err == nil {
		needed[to.ID], needed[from.ID] = true, true
	}
	e.Deployments = maps.Clone(e.Deployments)
	for i := len(history) - 1; i > 0 && len(e.Deployments) > keep; i-- {
		if d := history[i]; d.Status == Completed && !needed[d.ID] && !inUse(d.ID) {
			delete(e.Deployments, d.ID)
		}
	}
	return e
}

// maxUnstarted bounds how many deployments are kept that ended before anything was started for them.
const maxUnstarted = 20

// TrimUnstarted forgets the oldest deployments beyond a few that ended before they were taken up, as all do while the
// environment is paused or nobody leads; those excepted that may be gone back from, are named elsewhere, or
// that inUse tells of.
func (e Environment) TrimUnstarted(inUse func(id string) bool) Environment {
	needed := map[string]bool{e.PausedBy: true}
	if _, from, err := e.rollbackTarget(); err == nil {
		needed[from.ID] = true
	}
	if d, ok := e.InProgress(); ok {
		needed[d.RollbackOf] = true
	}
	seen, kept := 0, maps.Clone(e.Deployments)
	for _, d := range e.History() {
		if r := d.Rollout(); r != RolloutStopped && r != RolloutFailed || !d.RolloutStartedAt.IsZero() {
			continue
		}
		used := d.Token != "" && d.Token == e.Token // it is what shows that the token is used up
		if seen++; seen > maxUnstarted && !used && !needed[d.ID] && !inUse(d.ID) {
			delete(kept, d.ID)
		}
	}
	if len(kept) < len(e.Deployments) {
		e.Deployments = kept
	}
	return e
}

// withDeployment is e with d put into a map of its own: environments are values.
func (e Environment) withDeployment(d Deployment) Environment {
	deployments := maps.Clone(e.Deployments)
	if deployments == nil {
		deployments = map[string]Deployment{}
	}
	deployments[d.ID] = d
	e.Deployments = deployments
	return e
}

package environment

import (
	"cmp"
	"maps"
	"slices"
	"time"
)

// Status is v0.3's status of a deployment. The numbers are those of v0.3's records.
type Status int

// A deployment is created Pending, and Running once it has started. Completed means that it has ended; RolloutState
// says how.
const (
	Pending   Status = 0
	Running   Status = 1
	Completed Status = 2
)

// String returns the API's word.
func (s Status) String() string {
	switch s {
	case Pending:
		return "pending"
	case Running:
		return "running"
	default:
		return "completed"
	}
}

// Deployment rolls out one revision of an environment. Its tasks have its id as startedBy.
type Deployment struct {
	ID               string // uuid
	Status           Status
	Health           Health
	TaskDefinition   string // ARN with revision
	DesiredTaskCount int
	Token            string // created the deployment
	// FailedInstances are the failed instances that v0.3 recorded. Blox only removes entries, as it records failures in
	// Launches.
	FailedInstances []FailedInstance
	// StartTime is when it was created, and EndTime when it was completed, failed or stopped; zero before. Both are for
	// people: replicas have different clocks, so only Sequence orders deployments.
	StartTime time.Time
	EndTime   time.Time

	// Sequence is higher than that of every deployment that the environment's record held at the creation. Other
	// versions write none, see numberDeployments.
	Sequence int64 `json:",omitempty"`
	// TaskSettingsHash distinguishes the TaskSettings of revisions that may no longer be kept. Earlier records have none.
	TaskSettingsHash string `json:",omitempty"`
	// ForceNewDeployment replaces all tasks, also those that the deployment could adopt.
	ForceNewDeployment bool `json:",omitempty"`

	Revision           int          `json:",omitempty"` // the revision's number; 0 in v0.3's records, see RevisionNumber
	RolloutState       RolloutState `json:",omitempty"` // see Rollout
	RolloutStateReason string       `json:",omitempty"`
	RollbackOf         string       `json:",omitempty"` // id of the deployment that it undoes; empty unless a rollback
	Promoted           bool         `json:",omitempty"` // the rollout continues after its canary
	RolloutStartedAt   time.Time    `json:",omitzero"`  // when its status first changed
	BakeStartedAt      time.Time    `json:",omitzero"`  // when all its tasks were running; for people, like StartTime
	// BakedSeconds is for how long leaders have seen it bake since BakeRestart, each by its own clock. It is recorded now
	// and then, so that a new leader continues the bake time.
	BakedSeconds int `json:",omitempty"`
	// BakeRestart is when ECS started the youngest task that replaced another one of the deployment; zero if none has.
	BakeRestart time.Time `json:",omitzero"`
	// CanaryProgress is how far its canary is.
	CanaryProgress CanaryProgress `json:",omitzero"`
	FailedTasks    int            `json:",omitempty"` // failed starts and tasks
	// FailedTasksReset is how many of FailedTasks the circuit breaker no longer counts: those of the last reset.
	FailedTasksReset int `json:",omitempty"`
	// HealthyTasks is the most tasks that were healthy at once, as known when FailedTasks last changed. More of them
	// reset the failures if the circuit breaker is configured to. A task that replaces one makes no more.
	HealthyTasks int `json:",omitempty"`
	// AlarmsChecked means that the states of the alarms at the start are known. IgnoredAlarms were in ALARM then.
	AlarmsChecked bool         `json:",omitempty"`
	IgnoredAlarms []string     `json:",omitempty"`
	FailureCause  FailureCause `json:",omitempty"`
	// CheckedContainers are the essential containers of the task definition that have a health check. They are unknown
	// until HealthChecksKnown.
	CheckedContainers []string `json:",omitempty"`
	HealthChecksKnown bool     `json:",omitempty"`

	unknown unknownFields
}

// FailedInstance is a container instance that lacks its task, and the reason.
type FailedInstance struct {
	Arn    string
	Reason string
}

// RolloutState is the outcome of a deployment, in ECS's words. Status has v0.3's words only.
type RolloutState string

// A deployment is RolloutInProgress until it ends in one of the other states. Only a RolloutCompleted one can be
// current afterwards.
const (
	RolloutInProgress RolloutState = "IN_PROGRESS"
	RolloutCompleted  RolloutState = "COMPLETED"
	RolloutFailed     RolloutState = "FAILED"
	RolloutStopped    RolloutState = "STOPPED"

	// RolloutWaitingForPromotion is RolloutInProgress of a deployment that does not go beyond its canary. See
	// Environment.RolloutState; no record has it.
	RolloutWaitingForPromotion RolloutState = "WAITING_FOR_PROMOTION"
)

// Rollout returns the deployment's rollout state. It also holds for records of versions that write Status alone.
func (d Deployment) Rollout() RolloutState {
	switch {
	case d.Status != Completed:
		return RolloutInProgress
	case d.RolloutState == RolloutFailed, d.RolloutState == RolloutStopped:
		return d.RolloutState
	}
	return RolloutCompleted
}

// RevisionNumber returns the number of the revision that the deployment rolls out. v0.3 had one revision only.
func (d Deployment) RevisionNumber() int { return max(1, d.Revision) }

// InProgress returns the deployment that has not ended, if any.
func (e Environment) InProgress() (Deployment, bool) {
	for _, id := range []string{e.InProgressDeploymentID, e.PendingDeploymentID} {
		if d, ok := e.Deployments[id]; ok && d.Status != Completed {
			return d, true
		}
	}
	for _, d := range e.History() {
		if d.Status != Completed {
			return d, true
		}
	}
	return Deployment{}, false
}

// Current returns the deployment that the scheduler maintains: the one in progress, otherwise the newest completed
// one.
func (e Environment) Current() (Deployment, bool) {
	if d, ok := e.InProgress(); ok {
		return d, true
	}
	return e.NewestCompleted()
}

// History returns every deployment, newest first: those in progress, then by sequence.
func (e Environment) History() []Deployment {
	history := slices.Collect(maps.Values(e.Deployments))
	slices.SortFunc(history, func(a, b Deployment) int {
		return cmp.Or(
			cmp.Compare(a.Status/Completed, b.Status/Completed),
			cmp.Compare(b.Sequence, a.Sequence),
			b.StartTime.Compare(a.StartTime),
			b.EndTime.Compare(a.EndTime),
			cmp.Compare(b.ID, a.ID),
		)
	})
	return history
}

// NewestCompleted returns the newest deployment that was completed: neither failed nor stopped.
func (e Environment) NewestCompleted() (Deployment, bool) {
	return e.newestCompleted(func(Deployment) bool { return true })
}

func (e Environment) newestCompleted(matches func(Deployment) bool) (Deployment, bool) {
	for _, d := range e.History() {
		if d.Rollout() == RolloutCompleted && matches(d) {
			return d, true
		}
	}
	return Deployment{}, false
}

// latestUnsuccessful returns the newest deployment if it failed or was stopped. Whether the environment is paused
// does not matter, because users pause for any reason.
func (e Environment) latestUnsuccessful() (Deployment, bool) {
	history := e.History()
	if len(history) == 0 || history[0].Status != Completed || history[0].Rollout() == RolloutCompleted {
		return Deployment{}, false
	}
	return history[0], true
}

// rollbackTarget returns the deployment that Rollback returns to, and the one that it undoes.
func (e Environment) rollbackTarget() (to, from Deployment, err error) {
	from, ok := e.InProgress()
	if !ok {
		from, ok = e.latestUnsuccessful()
	}
	matches := func(Deployment) bool { return true }
	if !ok { // the newest deployment was completed: return to another revision
		from, ok = e.Current()
		matches = func(d Deployment) bool { return d.RevisionNumber() != from.RevisionNumber() }
	}
	if ok {
		to, ok = e.newestCompleted(matches)
	}
	if !ok {
		return to, from, noRollbackTarget(e.Name)
	}
	return to, from, nil
}

// HasCanary reports whether the deployment begins with a canary, promoted or not. A rollback has none.
func (e Environment) HasCanary(d Deployment) bool {
	return d.RollbackOf == "" && e.RevisionFor(d).Spec.DeploymentConfiguration.Canary != nil
}

// Adopts reports whether the deployment d takes over tasks that the deployment startedBy has started, because it would
// start equal tasks: revisions that differ in other fields only have no reason to replace them. A deployment of the
// same revision replaces the tasks, unless it is a rollback, which undoes the tasks of one deployment only.
func (e Environment) Adopts(d Deployment, startedBy string) bool {
	starter, ok := e.Deployments[startedBy]
	switch {
	case !ok, starter.ID == d.ID, d.ForceNewDeployment, starter.TaskDefinition != d.TaskDefinition:
		return false
	case starter.RevisionNumber() == d.RevisionNumber():
		return d.RollbackOf != "" && d.RollbackOf != starter.ID
	}
	hash := e.taskSettingsHash(d)
	return hash != "" && hash == e.taskSettingsHash(starter)
}

// taskSettingsHash returns the hash of the deployment's task settings; empty if they are no longer known.
func (e Environment) taskSettingsHash(d Deployment) string {
	if d.TaskSettingsHash != "" {
		return d.TaskSettingsHash
	}
	kept := func(r Revision) bool { return r.Number == d.Revision }
	if d.Revision > 0 && !slices.ContainsFunc(e.Revisions, kept) { // v0.3's deployments have no settings
		return ""
	}
	return e.RevisionFor(d).Spec.TaskSettings.hash()
}

// endDeployment returns e after its deployment d ended in state.
func (e Environment) endDeployment(d Deployment, state RolloutState, reason string, now time.Time) Environment {
	d.Status = Completed
	d.RolloutState = state
	d.RolloutStateReason = reason
	d.EndTime = now.UTC()
	if e.PendingDeploymentID == d.ID {
		e.PendingDeploymentID = ""
	}
	return e.withDeployment(d)
}

// addDeployment returns e with the new deployment d, which starts next and is newer than all others.
func (e Environment) addDeployment(d Deployment, now time.Time) Environment {
	d.Status = Pending
	d.RolloutState = RolloutInProgress
	d.StartTime = now.UTC()
	d.Sequence = e.nextSequence()
	e.LastSequence = d.Sequence
	d.TaskSettingsHash = e.RevisionFor(d).Spec.TaskSettings.hash()
	e.PendingDeploymentID = d.ID
	return e.clearAutomaticPause().withDeployment(d)
}

func (e Environment) nextSequence() int64 {
	newest := e.LastSequence
	for _, d := range e.Deployments {
		newest = max(newest, d.Sequence)
	}
	return newest + 1
}

// withDeployment returns e with d in a map of its own.
func (e Environment) withDeployment(d Deployment) Environment {
	deployments := maps.Clone(e.Deployments)
	if deployments == nil {
		deployments = map[string]Deployment{}
	}
	deployments[d.ID] = d
	e.Deployments = deployments
	return e
}

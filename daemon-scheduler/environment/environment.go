// Package environment holds what daemon-scheduler schedules, and the rules of how that may change.
//
// An Environment says which task definition runs on every container instance of a cluster; a Deployment puts it into
// effect; a Launch is one try to start its task on one instance. Nothing here does I/O or reads a clock.
package environment

import (
	"cmp"
	"regexp"
	"slices"
	"strings"
	"time"
)

// Health is how an environment or deployment is doing; the numbers are those of v0.3's records.
type Health int

// Healthy and Unhealthy: the latter while there are failed instances.
const (
	Healthy   Health = 0
	Unhealthy Health = 1
)

// String is the word that the API shows.
func (h Health) String() string {
	if h == Healthy {
		return "healthy"
	}
	return "unhealthy"
}

// Status is how far a deployment is; the numbers are those of v0.3's records.
type Status int

// A deployment is created Pending, Running once taken up, and Completed when its tasks run, or it has failed or was stopped:
// Rollout tells these apart.
const (
	Pending   Status = 0
	Running   Status = 1
	Completed Status = 2
)

// String is the word that the API shows.
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

// Environment is one task definition kept on every container instance of one cluster.
// Its JSON is the record at ecs/environment/<name>, in v0.3's shape.
type Environment struct {
	Name                  string
	Token                 string // what creates the next deployment, a lower-case uuid
	DesiredTaskDefinition string // ARN with revision
	DesiredTaskCount      int    // instances that should have a task, as last counted
	Cluster               string // ARN
	Health                Health
	// PendingDeploymentID names the deployment that is not taken up yet, InProgressDeploymentID the last one that was:
	// v0.3 never clears it, so that it may name a completed one.
	PendingDeploymentID    string
	InProgressDeploymentID string
	Deployments            map[string]Deployment // by id

	Revisions []Revision `json:",omitempty"` // oldest first; v0.3 had none: see Wants, Known and Of
	CreatedAt time.Time  `json:",omitzero"`  // zero of what v0.3 made
	Paused    bool       `json:",omitempty"` // nothing is started or stopped
	// PausedBy is the deployment whose abortion or failure has paused the environment, which the next deployment ends.
	PausedBy      string    `json:",omitempty"`
	DeletingSince time.Time `json:",omitzero"` // zero while it is not being deleted with its tasks

	StoredVersion int64 `json:"-"` // etcd's mod revision of the record as read; 0: not stored
	Incarnation   int64 `json:"-"` // etcd's create revision of the record as read; 0: not stored
	unknown       unknownFields
}

// Deployment is one event to put an environment into effect. Its tasks carry its id as startedBy.
type Deployment struct {
	ID               string // uuid
	Status           Status
	Health           Health
	TaskDefinition   string // ARN with revision
	DesiredTaskCount int
	Token            string // what it was created with
	// FailedInstances is only read: v0.3 left it. What fails today is in the Launches, and this is written null once
	// they have taken over.
	FailedInstances []FailedInstance
	StartTime       time.Time // when it was created
	EndTime         time.Time // when it was completed, failed or stopped; zero before

	Revision           int          `json:",omitempty"` // of the environment; 0 of what v0.3 made: see RevisionNumber
	RolloutState       RolloutState `json:",omitempty"` // see Rollout
	RolloutStateReason string       `json:",omitempty"`
	RollbackOf         string       `json:",omitempty"` // the deployment that it undoes; empty when it is no rollback
	Promoted           bool         `json:",omitempty"` // it has gone on after its canary
	RolloutStartedAt   time.Time    `json:",omitzero"`  // when it was first seen to be Running
	BakeStartedAt      time.Time    `json:",omitzero"`  // when all its tasks ran
	FailedTasks        int          `json:",omitempty"` // starts and tasks that failed, as the circuit breaker counts

	unknown unknownFields
}

// FailedInstance is a container instance without its task, and why.
type FailedInstance struct {
	Arn    string
	Reason string
}

var (
	tokenPattern = regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$`)
	namePattern  = regexp.MustCompile(`^[a-zA-Z0-9_-]{1,30}$`)
)

// IsToken tells whether s has the form of a deployment token.
func IsToken(s string) bool { return tokenPattern.MatchString(s) }

// IsName tells whether s may name a new environment.
func IsName(s string) bool { return namePattern.MatchString(s) }

// IsAddressableName tells whether an environment in etcd may have s for its name: others than Blox may have written it, and it has
// to be possible to look at it and to delete it. With a slash its launches would be another's.
func IsAddressableName(s string) bool { return s != "" && !strings.Contains(s, "/") }

// New is an environment that nothing is deployed of yet.
func New(name, cluster, taskDefinition, token string) Environment {
	return Environment{
		Name: name, Token: token, Cluster: cluster, DesiredTaskDefinition: taskDefinition,
		Deployments: map[string]Deployment{},
	}
}

// InProgress is the deployment that has not ended yet.
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

// Current is the deployment that is kept up: the one in progress, else the newest completed one.
func (e Environment) Current() (Deployment, bool) {
	if d, ok := e.InProgress(); ok {
		return d, true
	}
	return e.NewestCompleted()
}

// History is every deployment, newest first: what has not ended before what has, then by time of creation.
func (e Environment) History() []Deployment {
	history := make([]Deployment, 0, len(e.Deployments))
	for _, d := range e.Deployments {
		history = append(history, d)
	}
	slices.SortFunc(history, func(a, b Deployment) int {
		return cmp.Or(
			cmp.Compare(a.Status/Completed, b.Status/Completed),
			b.StartTime.Compare(a.StartTime),
			b.EndTime.Compare(a.EndTime),
			cmp.Compare(b.ID, a.ID),
		)
	})
	return history
}

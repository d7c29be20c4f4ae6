// Package environment holds the domain of daemon-scheduler: what it schedules, and how that may change.
//
// An Environment says which task definition runs on every container instance of a cluster that its Selector includes.
// A Deployment rolls out one Revision of it. A Launch is the latest attempt to start its task on one instance.
// Nothing here does I/O or reads a clock. Environments are values: a transition returns a changed copy.
package environment

import (
	"regexp"
	"strings"
	"time"
)

// Health is the health of an environment or deployment. The numbers are those of v0.3's records.
type Health int

// An environment is Unhealthy while it has failed instances.
const (
	Healthy   Health = 0
	Unhealthy Health = 1
)

// String returns the API's word.
func (h Health) String() string {
	if h == Healthy {
		return "healthy"
	}
	return "unhealthy"
}

// Environment is one task definition kept on container instances of one cluster. Its JSON is the stored record, in
// v0.3's shape.
type Environment struct {
	Name                  string
	Token                 string // creates the next deployment; a lower-case uuid
	DesiredTaskDefinition string // ARN with revision
	DesiredTaskCount      int    // instances that should have a task, as last counted
	Cluster               string // ARN
	Health                Health
	// PendingDeploymentID names the deployment that has not started yet, InProgressDeploymentID the last one that has.
	// v0.3 never clears the latter, so it may name a completed one.
	PendingDeploymentID    string
	InProgressDeploymentID string
	Deployments            map[string]Deployment // by id
	// LastSequence is the highest sequence number that a deployment has had. v0.3's records have none: 0.
	LastSequence int64 `json:",omitempty"`

	Revisions []Revision `json:",omitempty"` // oldest first; empty in v0.3's records, see KeptRevisions
	CreatedAt time.Time  `json:",omitzero"`  // zero in v0.3's records
	// Paused reports that nothing is started or stopped but by drains, scale-in and deletion. With PausedBy, instances
	// without a task are still given one.
	Paused bool `json:",omitempty"`
	// PausedBy is the deployment whose abortion or failure paused the rollout; the next deployment ends that pause.
	PausedBy      string    `json:",omitempty"`
	PausedAt      time.Time `json:",omitzero"` // since when the environment is paused; zero if that is unknown
	DeletingSince time.Time `json:",omitzero"` // zero unless the environment is being deleted with its tasks

	Takeover *Takeover `json:",omitempty"` // nil unless the environment was created from a service

	StoredVersion int64 `json:"-"` // increases with each write of the record; 0: not stored
	Incarnation   int64 `json:"-"` // differs from that of a deleted environment of the same name; 0: not stored
	unknown       unknownFields
}

var (
	tokenPattern = regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$`)
	namePattern  = regexp.MustCompile(`^[a-zA-Z0-9_-]{1,30}$`)
)

// IsToken reports whether s has the form of a deployment token.
func IsToken(s string) bool { return tokenPattern.MatchString(s) }

// IsName reports whether s is a valid name of a new environment.
func IsName(s string) bool { return namePattern.MatchString(s) }

// IsAddressableName reports whether a stored environment may have the name s. Programs other than Blox may have
// stored it, and users must be able to see and delete it. A slash would mix up its launch records with another
// environment's.
func IsAddressableName(s string) bool { return s != "" && !strings.Contains(s, "/") }

// New returns an environment without deployments and revisions, as v0.3 stored it.
func New(name, cluster, taskDefinition, token string) Environment {
	return Environment{
		Name: name, Token: token, Cluster: cluster, DesiredTaskDefinition: taskDefinition,
		Deployments: map[string]Deployment{},
	}
}

// Create returns a new environment with its first revision and without deployments.
func Create(name, cluster, token string, spec Spec, now time.Time) Environment {
	e := New(name, cluster, spec.TaskDefinition, token)
	e.CreatedAt = now.UTC()
	e.Revisions = []Revision{{Number: 1, CreatedAt: e.CreatedAt, Spec: spec}}
	return e
}

// Phase is an environment's state in one word.
type Phase string

// If several apply, the last of them is the phase.
const (
	PhaseInactive  Phase = "inactive"  // no deployment is current
	PhaseActive    Phase = "active"    // a completed deployment is current
	PhaseDeploying Phase = "deploying" // a deployment is in progress
	PhasePaused    Phase = "paused"    // no task is replaced
	PhaseDeleting  Phase = "deleting"  // the tasks are being stopped; then the environment is deleted
)

// Phase returns the environment's phase.
func (e Environment) Phase() Phase {
	_, inProgress := e.InProgress()
	_, deployed := e.Current()
	switch {
	case e.IsDeleting():
		return PhaseDeleting
	case e.Paused:
		return PhasePaused
	case inProgress:
		return PhaseDeploying
	case deployed:
		return PhaseActive
	}
	return PhaseInactive
}

// PausedByUser reports whether a user has paused the environment. Then nothing is started or stopped but by drains,
// scale-in and deletion.
func (e Environment) PausedByUser() bool { return e.Paused && e.PausedBy == "" }

// RolloutPaused reports whether a deployment that failed or was aborted has paused the environment. Then no task is
// replaced, but instances without one are given the deployment that is current now.
func (e Environment) RolloutPaused() bool { return e.Paused && e.PausedBy != "" }

// IsDeleting reports whether the environment is being deleted with its tasks.
func (e Environment) IsDeleting() bool { return !e.DeletingSince.IsZero() }

func (e Environment) checkNotDeleting() error {
	if e.IsDeleting() {
		return deleting(e.Name)
	}
	return nil
}

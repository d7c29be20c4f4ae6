package environment

import "time"

// DecisionAction is what was done or judged, in a word.
type DecisionAction string

// The words.
const (
	DecidedStart       DecisionAction = "start"       // tasks were started
	DecidedStartFailed DecisionAction = "startFailed" // ECS refused to start them
	DecidedStop        DecisionAction = "stop"        // tasks were told to stop
	DecidedTakenUp     DecisionAction = "takenUp"     // a deployment is in progress
	DecidedCompleted   DecisionAction = "completed"   // a deployment is
	DecidedFailed      DecisionAction = "failed"      // a deployment has
	DecidedRolledBack  DecisionAction = "rolledBack"  // a failed deployment is followed by one that goes back
	DecidedDeleted     DecisionAction = "deleted"     // an environment is
	DecidedLeftOut     DecisionAction = "leftOut"     // more was decided than is kept

	// By users.
	DecidedPaused   DecisionAction = "paused"
	DecidedResumed  DecisionAction = "resumed"
	DecidedRollback DecisionAction = "rollback" // to go back
	DecidedStopped  DecisionAction = "stopped"  // a deployment
	DecidedPromoted DecisionAction = "promoted" // a deployment
	DecidedDeleting DecisionAction = "deleting" // to delete an environment and its tasks
)

// Decision is something that the leader has done or judged, or a user through any replica's API, and why. It is for people to read: nothing depends on it.
type Decision struct {
	ID             string `json:"-"` // that of its batch and its place there
	At             time.Time
	Since          time.Time `json:",omitzero"` // of several in one, when the first was made
	Action         DecisionAction
	Environment    string `json:",omitempty"` // its name
	Deployment     string `json:",omitempty"` // id
	TaskDefinition string `json:",omitempty"` // ARN
	Reason         string `json:",omitempty"`
	Detail         string `json:",omitempty"`
	Count          int    `json:",omitempty"` // instances
	On             []DecidedOn
}

// DecidedOn is where something was decided.
type DecidedOn struct {
	Instance string // ARN
	Task     string `json:",omitempty"` // ARN
}

const (
	mostDecidedOn = 10  // instances named in one decision
	mostReason    = 300 // bytes
)

// Join is d with another one, if both are the same about different instances.
func (d Decision) Join(other Decision) (Decision, bool) {
	if d.Action != other.Action || d.Environment != other.Environment || d.Deployment != other.Deployment ||
		d.Reason != other.Reason || d.Detail != other.Detail || d.Count == 0 || other.Count == 0 {
		return d, false
	}
	if d.Since.IsZero() {
		d.Since = d.At
	}
	d.At = other.At
	d.Count += other.Count
	on := append(append([]DecidedOn{}, d.On...), other.On...)
	d.On = on[max(0, len(on)-mostDecidedOn):]
	return d, true
}

// Bounded is d without what is too long to be kept.
func (d Decision) Bounded() Decision {
	d.Reason, d.Detail = cut(d.Reason), cut(d.Detail)
	d.On = d.On[max(0, len(d.On)-mostDecidedOn):]
	return d
}

func cut(s string) string {
	if len(s) <= mostReason {
		return s
	}
	runes := []rune(s[:mostReason])
	return string(runes[:len(runes)-1]) + "…" // the last one may be half
}

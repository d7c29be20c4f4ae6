package environment

import "time"

// EventAction is what was done or judged, in a word.
type EventAction string

// The words.
const (
	EventTasksStarted        EventAction = "start"       // tasks were started
	EventTaskStartFailed     EventAction = "startFailed" // ECS refused to start them
	EventTasksStopped        EventAction = "stop"        // tasks were told to stop
	EventDeploymentStarted   EventAction = "takenUp"     // a deployment is in progress
	EventDeploymentCompleted EventAction = "completed"   // a deployment is
	EventDeploymentFailed    EventAction = "failed"      // a deployment has
	EventRollbackStarted     EventAction = "rolledBack"  // a failed deployment is followed by one that goes back
	EventEnvironmentDeleted  EventAction = "deleted"     // an environment is
	EventsDropped            EventAction = "leftOut"     // more was decided than is kept

	// By users.
	EventPauseRequested    EventAction = "paused"
	EventResumeRequested   EventAction = "resumed"
	EventRollbackRequested EventAction = "rollback" // to go back
	EventStopRequested     EventAction = "stopped"  // a deployment
	EventPromoteRequested  EventAction = "promoted" // a deployment
	EventDeleteRequested   EventAction = "deleting" // to delete an environment and its tasks
)

// Event is something that the leader has done or judged, or a user through any replica's API, and why. It is for people to read: nothing depends on it.
type Event struct {
	ID             string `json:"-"` // that of its batch and its place there
	At             time.Time
	FirstAt        time.Time `json:",omitzero"` // of several in one, when the first was made
	Action         EventAction
	Environment    string `json:",omitempty"` // its name
	Deployment     string `json:",omitempty"` // id
	TaskDefinition string `json:",omitempty"` // ARN
	Reason         string `json:",omitempty"`
	Detail         string `json:",omitempty"`
	Count          int    `json:",omitempty"` // instances
	Instances      []EventInstance
}

// EventInstance is where something was decided.
type EventInstance struct {
	Instance string // ARN
	Task     string `json:",omitempty"` // ARN
}

const (
	maxEventInstances = 10  // instances named in one decision
	maxReasonBytes    = 300 // bytes
)

// Merge is d with another one, if both are the same about different instances.
func (d Event) Merge(other Event) (Event, bool) {
	if d.Action != other.Action || d.Environment != other.Environment || d.Deployment != other.Deployment ||
		d.Reason != other.Reason || d.Detail != other.Detail || d.Count == 0 || other.Count == 0 {
		return d, false
	}
	if d.FirstAt.IsZero() {
		d.FirstAt = d.At
	}
	d.At = other.At
	d.Count += other.Count
	on := append(append([]EventInstance{}, d.Instances...), other.Instances...)
	d.Instances = on[max(0, len(on)-maxEventInstances):]
	return d, true
}

// Truncated is d without what is too long to be kept.
func (d Event) Truncated() Event {
	d.Reason, d.Detail = truncate(d.Reason), truncate(d.Detail)
	d.Instances = d.Instances[max(0, len(d.Instances)-maxEventInstances):]
	return d
}

func truncate(s string) string {
	if len(s) <= maxReasonBytes {
		return s
	}
	runes := []rune(s[:maxReasonBytes])
	return string(runes[:len(runes)-1]) + "…" // the last one may be half
}

package environment

import (
	"slices"
	"time"
)

// EventAction names what happened.
type EventAction string

// What the leader does, and what becomes of deployments.
const (
	EventTaskStarted          EventAction = "taskStarted"
	EventTaskStartFailed      EventAction = "taskStartFailed" // ECS refused the start
	EventTaskStopped          EventAction = "taskStopped"
	EventTaskStopFailed       EventAction = "taskStopFailed"     // ECS refused the stop
	EventPhantomTaskIgnored   EventAction = "phantomTaskIgnored" // the cluster state shows a task that ECS does not know
	EventDeploymentStarted    EventAction = "deploymentStarted"
	EventCanaryStepPromoted   EventAction = "canaryStepPromoted" // after the pause of the step
	EventDeploymentCompleted  EventAction = "deploymentCompleted"
	EventDeploymentFailed     EventAction = "deploymentFailed"
	EventDeploymentRolledBack EventAction = "deploymentRolledBack" // a rollback follows the failed deployment
	EventEnvironmentDeleted   EventAction = "environmentDeleted"
	EventConditionAppeared    EventAction = "conditionAppeared" // its Reason is the condition's type
	EventConditionCleared     EventAction = "conditionCleared"
	EventsDropped             EventAction = "eventsDropped" // there were more events than Blox keeps
)

// What users request through the API of any replica.
const (
	EventEnvironmentCreated           EventAction = "environmentCreated"
	EventEnvironmentUpdated           EventAction = "environmentUpdated"
	EventDeploymentCreated            EventAction = "deploymentCreated"
	EventEnvironmentPaused            EventAction = "environmentPaused"
	EventEnvironmentResumed           EventAction = "environmentResumed"
	EventRollbackRequested            EventAction = "rollbackRequested"
	EventDeploymentStopped            EventAction = "deploymentStopped"
	EventDeploymentPromoted           EventAction = "deploymentPromoted"
	EventTakeoverCancelled            EventAction = "takeoverCancelled"
	EventEnvironmentDeletionRequested EventAction = "environmentDeletionRequested"
)

// Event is a service event, as in ECS: what the leader did or a user requested, and why. People read events; the
// scheduler does not depend on them.
type Event struct {
	ID             string    `json:"-"` // the batch's id and the event's place in the batch
	LastSeenAt     time.Time // of merged events, the last
	FirstSeenAt    time.Time `json:",omitzero"` // of merged events, the first; zero if nothing was merged
	Action         EventAction
	Environment    string        `json:",omitempty"` // name
	Deployment     string        `json:",omitempty"` // id
	TaskDefinition string        `json:",omitempty"` // ARN
	Reason         string        `json:",omitempty"`
	Detail         string        `json:",omitempty"`
	Actor          string        `json:",omitempty"` // who sent the request: a certificate's subject or an address
	Changes        []FieldChange `json:",omitempty"`
	Count          int           `json:",omitempty"` // container instances, repetitions of a condition, or dropped events
	Instances      []EventInstance
}

// FieldChange is a changed setting of an environment, by the name of the API's field.
type FieldChange struct {
	Field  string
	Before string `json:",omitempty"` // empty if it had no value
	After  string `json:",omitempty"`
}

// EventInstance is a container instance that an event covers.
type EventInstance struct {
	Instance string // ARN
	Task     string `json:",omitempty"` // ARN
}

const (
	maxEventInstances = 10  // instances that one event names
	maxEventChanges   = 20  // changes that one event names
	maxReasonBytes    = 300 // bytes of a reason, a detail or a changed value
)

// Merge returns e merged with other, and whether both report the same about different instances.
func (e Event) Merge(other Event) (Event, bool) {
	if e.Action != other.Action || e.Environment != other.Environment || e.Deployment != other.Deployment ||
		e.Reason != other.Reason || e.Detail != other.Detail || e.Count == 0 || other.Count == 0 {
		return e, false
	}
	if e.FirstSeenAt.IsZero() {
		e.FirstSeenAt = e.LastSeenAt
	}
	e.LastSeenAt = other.LastSeenAt
	e.Count += other.Count
	all := append(append([]EventInstance{}, e.Instances...), other.Instances...)
	e.Instances = lastInstances(all)
	return e, true
}

// Truncated returns e with its texts and its list of instances cut to what Blox stores.
func (e Event) Truncated() Event {
	e.Reason = truncate(e.Reason)
	e.Detail = truncate(e.Detail)
	e.Instances = lastInstances(e.Instances)
	e.Changes = slices.Clone(e.Changes[:min(len(e.Changes), maxEventChanges)])
	for i := range e.Changes {
		e.Changes[i].Before, e.Changes[i].After = truncate(e.Changes[i].Before), truncate(e.Changes[i].After)
	}
	return e
}

func lastInstances(all []EventInstance) []EventInstance {
	return all[max(0, len(all)-maxEventInstances):]
}

func truncate(s string) string {
	if len(s) <= maxReasonBytes {
		return s
	}
	runes := []rune(s[:maxReasonBytes])
	return string(runes[:len(runes)-1]) + "…" // the cut may have split the last rune
}

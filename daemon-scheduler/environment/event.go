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
	EventTaskReplaced         EventAction = "taskReplaced"    // started in place of an earlier task on the instance
	EventTaskFailed           EventAction = "taskFailed"      // the task stopped by itself
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

// EventActions are all actions, in the order of their documentation.
var EventActions = []EventAction{
	EventTaskStarted, EventTaskReplaced, EventTaskFailed, EventTaskStartFailed, EventTaskStopped, EventTaskStopFailed,
	EventPhantomTaskIgnored, EventDeploymentStarted, EventCanaryStepPromoted, EventDeploymentCompleted,
	EventDeploymentFailed, EventDeploymentRolledBack, EventEnvironmentDeleted, EventConditionAppeared,
	EventConditionCleared, EventsDropped, EventEnvironmentCreated, EventEnvironmentUpdated, EventDeploymentCreated,
	EventEnvironmentPaused, EventEnvironmentResumed, EventRollbackRequested, EventDeploymentStopped,
	EventDeploymentPromoted, EventTakeoverCancelled, EventEnvironmentDeletionRequested,
}

// Repeats reports whether events of the action are about tasks or conditions. They can be many, and similar ones are
// merged; all others are few: the changes of environments and deployments.
func (a EventAction) Repeats() bool {
	switch a {
	case EventTaskStarted, EventTaskReplaced, EventTaskFailed, EventTaskStartFailed, EventTaskStopped,
		EventTaskStopFailed, EventPhantomTaskIgnored, EventConditionAppeared, EventConditionCleared:
		return true
	}
	return false
}

// Event is a service event, as in ECS: what the leader did or a user requested, and why. People read events; the
// scheduler does not depend on them.
type Event struct {
	ID             string    `json:"-"` // the batch's id and the event's place in the batch
	LastSeenAt     time.Time // of merged events, the last
	FirstSeenAt    time.Time `json:",omitzero"` // of merged events, the first; zero if nothing was merged
	Action         EventAction
	Environment    string        `json:",omitempty"` // name
	Cluster        string        `json:",omitempty"` // ARN
	Deployment     string        `json:",omitempty"` // id
	TaskDefinition string        `json:",omitempty"` // ARN
	Reason         string        `json:",omitempty"`
	Detail         string        `json:",omitempty"`
	Actor          string        `json:",omitempty"` // who sent the request: a certificate's subject or an address
	Changes        []FieldChange `json:",omitempty"`
	Count          int           `json:",omitempty"` // container instances, repetitions of a condition, or dropped events
	Instances      []EventInstance
	// Revision is that of the write to etcd in which the event changed last. In a record, 0 means the record's own.
	Revision int64 `json:",omitempty"`
	Index    int   `json:"-"` // the event's place in its batch
}

// HappenedAt returns when the event happened, or the first of merged ones. Merging does not change it.
func (e Event) HappenedAt() time.Time {
	if e.FirstSeenAt.IsZero() {
		return e.LastSeenAt
	}
	return e.FirstSeenAt
}

// FieldChange is a changed setting of an environment, by the name of the API's field.
type FieldChange struct {
	Field  string
	Before string `json:",omitempty"` // empty if it had no value
	After  string `json:",omitempty"`
}

// EventInstance is a container instance that an event covers.
type EventInstance struct {
	Instance     string // ARN
	Task         string `json:",omitempty"` // ARN
	ReplacedTask string `json:",omitempty"` // ARN of the earlier task in whose place Task was started
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
	e.Revision = 0
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

package environment

import (
	"time"

	"github.com/blox/blox/daemon-scheduler/query"
)

// Instance is an ECS container instance.
type Instance struct {
	ARN            string
	Status         string // ACTIVE, DRAINING, REGISTERING, …
	AgentConnected bool
	EC2InstanceID  string           // mi-… in ECS Anywhere; empty if unknown
	Attributes     query.Attributes // nil for none; query.Map implements it
}

// Attribute returns the value of the named attribute, and whether the instance has it.
func (i Instance) Attribute(name string) (value string, exists bool) {
	if i.Attributes == nil {
		return "", false
	}
	return i.Attributes.Attribute(name)
}

// CanRunTasks reports whether ECS can start a task on the instance now.
func (i Instance) CanRunTasks() bool { return i.Status == "ACTIVE" && i.AgentConnected }

// Deregistered reports whether the instance has left its cluster.
func (i Instance) Deregistered() bool {
	return i.Status == "INACTIVE" || i.Status == "REGISTRATION_FAILED"
}

// Task is an ECS task.
type Task struct {
	ARN           string
	Instance      string // the container instance's ARN
	StartedBy     string // the deployment's id if Blox started the task
	LastStatus    string // PENDING, RUNNING, STOPPED, …
	DesiredStatus string // RUNNING or STOPPED
	Group         string // the task group, such as service:<name>
	StoppedReason string
	StopCode      string    // UserInitiated, EssentialContainerExited, …; empty if ECS does not say
	CreatedAt     time.Time // zero if unknown
	StartedAt     time.Time // when it became RUNNING; zero if it has not, or if unknown
	StoppedAt     time.Time // zero if it has not stopped, or if unknown
}

// Live reports whether the task may still run, as one that is stopping does.
func (t Task) Live() bool { return t.LastStatus != "STOPPED" && t.LastStatus != "DELETED" }

// Running reports whether the task is running and not stopping.
func (t Task) Running() bool { return t.LastStatus == "RUNNING" && !t.Stopping() }

// Stopping reports whether the task is stopping or has stopped.
func (t Task) Stopping() bool { return t.DesiredStatus == "STOPPED" }

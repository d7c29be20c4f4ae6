package environment

import (
	"time"

	"github.com/blox/blox/daemon-scheduler/query"
)

// Instance is a container instance of ECS.
type Instance struct {
	ARN            string
	Status         string // ACTIVE, DRAINING, REGISTERING, …
	AgentConnected bool
	EC2InstanceID  string           // mi-… in ECS Anywhere; empty when unknown
	Attributes     query.Attributes // nil for none; query.Map is one
}

// Attribute is the value of the attribute of that name, and whether there is one.
func (i Instance) Attribute(name string) (value string, exists bool) {
	if i.Attributes == nil {
		return "", false
	}
	return i.Attributes.Attribute(name)
}

// Deregistered tells whether the instance has left its cluster.
func (i Instance) Deregistered() bool {
	return i.Status == "INACTIVE" || i.Status == "REGISTRATION_FAILED"
}

// Task is a task of ECS.
type Task struct {
	ARN           string
	Instance      string // the container instance's ARN
	StartedBy     string // a deployment's id when Blox started it
	LastStatus    string // PENDING, RUNNING, STOPPED, …
	DesiredStatus string // RUNNING or STOPPED
	StoppedReason string
	CreatedAt     time.Time // zero when unknown, as the two below
	StartedAt     time.Time // when it became RUNNING; zero when it never did
	StoppedAt     time.Time
}

// Live tells whether the task may still run: one that is stopping does.
func (t Task) Live() bool { return t.LastStatus != "STOPPED" && t.LastStatus != "DELETED" }

// Running tells whether the task runs and is to go on running.
func (t Task) Running() bool { return t.LastStatus == "RUNNING" && !t.Stopping() }

// Stopping tells whether ECS was told to stop the task.
func (t Task) Stopping() bool { return t.DesiredStatus == "STOPPED" }

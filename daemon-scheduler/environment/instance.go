package environment

import (
	"time"

	"github.com/blox/blox/daemon-scheduler/query"
)

// Instance is an ECS container instance.
type Instance struct {
	ARN              string
	Status           string // ACTIVE, DRAINING, REGISTERING, …
	AgentConnected   bool
	AgentVersion     string           // such as 1.86.2; empty if unknown
	EC2InstanceID    string           // mi-… in ECS Anywhere; empty if unknown
	CapacityProvider string           // name; empty for none
	RegisteredAt     time.Time        // zero if unknown
	Attributes       query.Attributes // nil for none; query.Map implements it
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

	HealthChecked bool         // its task definition has a container health check
	Health        HealthStatus // the last result of its health checks that is known
	HealthReason  string       // why it is UNHEALTHY

	// PullStartedAt and PullStoppedAt are the times of the image pull of a task that does not run; zero if unknown.
	PullStartedAt time.Time
	PullStoppedAt time.Time
	Containers    []Container // those that have an exit code or a reason
}

// Container is a container of a task.
type Container struct {
	Name     string
	ExitCode *int64 // nil without one
	Reason   string
}

// Live reports whether the task may still run, as one that is stopping does.
func (t Task) Live() bool { return t.LastStatus != "STOPPED" && t.LastStatus != "DELETED" }

// Running reports whether the task is running and not stopping.
func (t Task) Running() bool { return t.LastStatus == "RUNNING" && !t.Stopping() }

// HasRun reports whether the task is or has been RUNNING. One that is stopped while it starts has not.
func (t Task) HasRun() bool { return t.LastStatus == "RUNNING" || !t.StartedAt.IsZero() }

// Available reports whether the task is running and, if it has health checks, HEALTHY.
func (t Task) Available() bool { return t.Running() && (!t.HealthChecked || t.Health == HealthHealthy) }

// Unhealthy reports whether the task is running and its health checks have failed.
func (t Task) Unhealthy() bool { return t.Running() && t.HealthChecked && t.Health == HealthUnhealthy }

// Starting reports whether the task is to run and does not run yet.
func (t Task) Starting() bool { return t.Live() && !t.Stopping() && t.LastStatus != "RUNNING" }

// Stopping reports whether the task is stopping or has stopped.
func (t Task) Stopping() bool { return t.DesiredStatus == "STOPPED" }

package state

import (
	"fmt"
	"time"
)

// Task is an ECS task as of the last event or Describe call.
type Task struct {
	// ARN is arn:<partition>:ecs:<region>:<account>:task/<id>, or …:task/<cluster>/<id>.
	ARN        string `json:"taskArn"`
	ClusterARN string `json:"clusterArn"`
	// ContainerInstanceARN is empty for tasks on Fargate.
	ContainerInstanceARN string `json:"containerInstanceArn"`
	TaskDefinitionARN    string `json:"taskDefinitionArn"`
	// LastStatus is the task's status in its lifecycle. DesiredStatus is RUNNING or STOPPED.
	LastStatus    string `json:"lastStatus"`
	DesiredStatus string `json:"desiredStatus"`
	StartedBy     string `json:"startedBy"`
	// Group is the task group: service:<name> for the tasks of a service, else family:<name> unless a user chose it.
	Group                string `json:"group"`
	LaunchType           string `json:"launchType"`
	CapacityProviderName string `json:"capacityProviderName"`
	AvailabilityZone     string `json:"availabilityZone"`
	// PlatformFamily is in Describe only. It and PlatformVersion are of Fargate.
	PlatformFamily  string `json:"platformFamily"`
	PlatformVersion string `json:"platformVersion"`
	// CPU units and MiB of memory; empty or "null" if the task definition sets none.
	CPU                  string            `json:"cpu"`
	Memory               string            `json:"memory"`
	EphemeralStorage     *EphemeralStorage `json:"ephemeralStorage"`
	EnableExecuteCommand bool              `json:"enableExecuteCommand"`
	Connectivity         string            `json:"connectivity"` // CONNECTED or DISCONNECTED
	Attachments          []Attachment      `json:"attachments"`
	Attributes           []Attribute       `json:"attributes"`
	// Times are as ECS sent them, in ISO 8601; empty for events that have not happened.
	CreatedAt          string `json:"createdAt"`
	PullStartedAt      string `json:"pullStartedAt"`
	PullStoppedAt      string `json:"pullStoppedAt"`
	StartedAt          string `json:"startedAt"`
	StoppingAt         string `json:"stoppingAt"`
	ExecutionStoppedAt string `json:"executionStoppedAt"`
	StoppedAt          string `json:"stoppedAt"`
	UpdatedAt          string `json:"updatedAt"` // in events only
	StoppedReason      string `json:"stoppedReason"`
	// StopCode is why the task stopped, such as UserInitiated; empty if ECS does not say.
	StopCode   string      `json:"stopCode"`
	Containers []Container `json:"containers"`
	Overrides  Overrides   `json:"overrides"`
	// Version increases with every change that ECS makes to the task, starting at 1.
	Version int64 `json:"version"`
	// RecordedAt is the envelope's time: when ECS sent the event, or the time of the Describe call.
	RecordedAt string `json:"-"`
}

// Container is one container of a task.
type Container struct {
	ARN        string `json:"containerArn"`
	Name       string `json:"name"`
	LastStatus string `json:"lastStatus"`
	// ExitCode is nil until the container ends. Windows has codes up to 2^32-1.
	ExitCode        *int64           `json:"exitCode"`
	Reason          string           `json:"reason"`
	NetworkBindings []NetworkBinding `json:"networkBindings"`
	Image           string           `json:"image"`
	ImageDigest     string           `json:"imageDigest"`
	RuntimeID       string           `json:"runtimeId"`
	// CPU units and MiB of memory; empty or "null" if the task definition sets none.
	CPU    string `json:"cpu"`
	Memory string `json:"memory"`
	// HealthStatus is HEALTHY, UNHEALTHY or UNKNOWN; only Describe has it.
	HealthStatus      string             `json:"healthStatus"`
	NetworkInterfaces []NetworkInterface `json:"networkInterfaces"`
	GPUIDs            []string           `json:"gpuIds"`
	ManagedAgents     []ManagedAgent     `json:"managedAgents"`
}

// NetworkBinding maps a container's port to a port of its host.
type NetworkBinding struct {
	BindIP        string `json:"bindIP"`
	ContainerPort int64  `json:"containerPort"`
	HostPort      int64  `json:"hostPort"`
	Protocol      string `json:"protocol"`
	// Ranges, such as 8000-8010, stand in for the ports if the task definition names a range.
	ContainerPortRange string `json:"containerPortRange"`
	HostPortRange      string `json:"hostPortRange"`
}

// NetworkInterface is a network interface of a container, in the network mode awsvpc.
type NetworkInterface struct {
	AttachmentID       string `json:"attachmentId"`
	PrivateIPv4Address string `json:"privateIpv4Address"`
	IPv6Address        string `json:"ipv6Address"`
}

// ManagedAgent is an agent that ECS runs in a container, such as ExecuteCommandAgent.
type ManagedAgent struct {
	Name          string `json:"name"`
	LastStatus    string `json:"lastStatus"`
	Reason        string `json:"reason"`
	LastStartedAt string `json:"lastStartedAt"`
}

// EphemeralStorage is the size of a Fargate task's storage.
type EphemeralStorage struct {
	SizeInGiB int64 `json:"sizeInGiB"`
}

// Attachment is a resource that is attached to a task or container instance, such as a network interface.
type Attachment struct {
	ID      string             `json:"id"`
	Type    string             `json:"type"` // eni in events, ElasticNetworkInterface in Describe
	Status  string             `json:"status"`
	Details []AttachmentDetail `json:"details"`
}

// AttachmentDetail is a property of an attachment, such as its subnet.
type AttachmentDetail struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// Overrides are the differences from the task definition.
type Overrides struct {
	ContainerOverrides []ContainerOverride `json:"containerOverrides"`
	TaskRoleARN        string              `json:"taskRoleArn"`
}

// ContainerOverride holds the differences of one container from the task definition.
type ContainerOverride struct {
	Name        string        `json:"name"`
	Command     []string      `json:"command"`
	Environment []Environment `json:"environment"`
}

// Environment is an environment variable of a container.
type Environment struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// DecodeTask decodes a task from an event or a stored record: both are an EventBridge envelope around ECS's detail.
// JSON keys match in any case, because v0.3 capitalized some of them. DecodeTask rejects malformed JSON and tasks
// without identity. It does not check the version.
func DecodeTask(value []byte) (Task, error) {
	var t Task
	var err error
	if t.RecordedAt, err = decodeDetail(value, &t); err != nil {
		return Task{}, fmt.Errorf("task: %w", err)
	}
	if _, err := t.Key(); err != nil {
		return Task{}, err
	}
	return t, nil
}

// Key returns the task's key. An error wraps arn.ErrMalformed.
func (t Task) Key() (Key, error) { return NewKey(KindTask, t.ClusterARN, t.ARN) }

// LastChanged returns the time of the last change that the record contains; zero if it contains none.
func (t Task) LastChanged() time.Time { return latest(t.UpdatedAt, t.RecordedAt) }

// HasStopped reports whether the task has reached its last state, which never changes.
func (t Task) HasStopped() bool { return t.LastStatus == "STOPPED" || t.LastStatus == "DELETED" }

// EndedAt returns when the task stopped; ended is false if it has not. A record without that time stopped at its last
// change.
func (t Task) EndedAt() (at time.Time, ended bool) {
	if !t.HasStopped() {
		return time.Time{}, false
	}
	if at, err := time.Parse(time.RFC3339Nano, t.StoppedAt); err == nil {
		return at, true
	}
	return t.LastChanged(), true
}

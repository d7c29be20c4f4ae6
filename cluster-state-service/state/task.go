package state

import (
	"fmt"
	"slices"
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
	Group      string `json:"group"`
	LaunchType string `json:"launchType"`
	// Times are as ECS sent them, in ISO 8601; empty for events that have not happened.
	CreatedAt     string `json:"createdAt"`
	StartedAt     string `json:"startedAt"`
	StoppedAt     string `json:"stoppedAt"`
	UpdatedAt     string `json:"updatedAt"`
	StoppedReason string `json:"stoppedReason"`
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
	// ExitCode is nil until the container ends.
	ExitCode        *int32           `json:"exitCode"`
	Reason          string           `json:"reason"`
	NetworkBindings []NetworkBinding `json:"networkBindings"`
}

// NetworkBinding maps a container's port to a port of its host.
type NetworkBinding struct {
	BindIP        string `json:"bindIP"`
	ContainerPort int32  `json:"containerPort"`
	HostPort      int32  `json:"hostPort"`
	Protocol      string `json:"protocol"`
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

// Equivalent reports whether two records of a task are equal except for the order of containers, the precision of
// times and fields that only events contain.
func (t Task) Equivalent(other Task) bool { return equalJSON(t.canonical(), other.canonical()) }

func (t Task) canonical() Task {
	t.CreatedAt = normalizeTime(t.CreatedAt)
	t.StartedAt = normalizeTime(t.StartedAt)
	t.StoppedAt = normalizeTime(t.StoppedAt)
	t.UpdatedAt = "" // only events contain it
	t.Containers = slices.Clone(t.Containers)
	sortBy(t.Containers, func(c Container) string { return c.ARN + c.Name })
	for i := range t.Containers {
		t.Containers[i].NetworkBindings = slices.Clone(t.Containers[i].NetworkBindings)
		sortBy(t.Containers[i].NetworkBindings, func(b NetworkBinding) string {
			return fmt.Sprint(b.BindIP, " ", b.HostPort, " ", b.Protocol)
		})
	}
	return t
}

package state

import (
	"fmt"
	"slices"
	"time"
)

// Task is one ECS task as the last event, or Describe call, told of it.
type Task struct {
	// ARN is arn:<partition>:ecs:<region>:<account>:task/<id>, or …:task/<cluster>/<id>.
	ARN        string `json:"taskArn"`
	ClusterARN string `json:"clusterArn"`
	// ContainerInstanceARN is empty for tasks on Fargate.
	ContainerInstanceARN string `json:"containerInstanceArn"`
	TaskDefinitionARN    string `json:"taskDefinitionArn"`
	// LastStatus is where the task is in its life, DesiredStatus (RUNNING or STOPPED) where it is to go.
	LastStatus    string `json:"lastStatus"`
	DesiredStatus string `json:"desiredStatus"`
	StartedBy     string `json:"startedBy"`
	LaunchType    string `json:"launchType"`
	// Times are strings as ECS sent them, ISO 8601; empty for what has not happened.
	CreatedAt     string      `json:"createdAt"`
	StartedAt     string      `json:"startedAt"`
	StoppedAt     string      `json:"stoppedAt"`
	UpdatedAt     string      `json:"updatedAt"`
	StoppedReason string      `json:"stoppedReason"`
	Containers    []Container `json:"containers"`
	Overrides     Overrides   `json:"overrides"`
	// Version counts ECS's changes to the task, from 1; the higher is the newer.
	Version int64 `json:"version"`
	// RecordedAt is the envelope's time: when the event was sent, or Describe asked.
	RecordedAt string `json:"-"`
}

// Container is one container of a task.
type Container struct {
	ARN        string `json:"containerArn"`
	Name       string `json:"name"`
	LastStatus string `json:"lastStatus"`
	// ExitCode is nil while the container has not ended; 0 is an exit code.
	ExitCode        *int32           `json:"exitCode"`
	Reason          string           `json:"reason"`
	NetworkBindings []NetworkBinding `json:"networkBindings"`
}

// NetworkBinding is a container's port on its host.
type NetworkBinding struct {
	BindIP        string `json:"bindIP"`
	ContainerPort int32  `json:"containerPort"`
	HostPort      int32  `json:"hostPort"`
	Protocol      string `json:"protocol"`
}

// Overrides is what StartTask changed of the task definition.
type Overrides struct {
	ContainerOverrides []ContainerOverride `json:"containerOverrides"`
	TaskRoleARN        string              `json:"taskRoleArn"`
}

// ContainerOverride is what StartTask changed of one container.
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

// DecodeTask reads a task out of an event or a stored record: both are EventBridge's envelope around ECS's detail.
// Keys are read without regard to case, as v0.3 wrote some of them capitalised.
// An error says what is wrong with the task's identity or JSON; the version is not judged.
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

// Key names the task; an error wraps arn.ErrMalformed.
func (t Task) Key() (Key, error) { return NewKey(KindTask, t.ClusterARN, t.ARN) }

// LastChanged is when the task last changed as far as the record says; zero when it does not say.
func (t Task) LastChanged() time.Time { return latest(t.UpdatedAt, t.RecordedAt) }

// Equivalent tells whether both say the same of a task, however they are spelled: in order of containers, in
// precision of times.
func (t Task) Equivalent(other Task) bool { return equalJSON(t.canonical(), other.canonical()) }

func (t Task) canonical() Task {
	t.CreatedAt, t.StartedAt, t.StoppedAt = normalizeTime(t.CreatedAt), normalizeTime(t.StartedAt), normalizeTime(t.StoppedAt)
	t.UpdatedAt = "" // in events only
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

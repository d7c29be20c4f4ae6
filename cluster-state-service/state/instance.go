package state

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Instance is an ECS container instance as of the last event or Describe call.
type Instance struct {
	// ARN is arn:<partition>:ecs:<region>:<account>:container-instance/<id>, or …:container-instance/<cluster>/<id>.
	ARN        string `json:"containerInstanceArn"`
	ClusterARN string `json:"clusterArn"`
	// EC2InstanceID is i-…, or mi-… on ECS Anywhere.
	EC2InstanceID       string      `json:"ec2InstanceId"`
	Status              string      `json:"status"`
	StatusReason        string      `json:"statusReason"`
	AgentConnected      bool        `json:"agentConnected"`
	AgentUpdateStatus   string      `json:"agentUpdateStatus"`
	Attributes          []Attribute `json:"attributes"`
	RegisteredResources []Resource  `json:"registeredResources"`
	RemainingResources  []Resource  `json:"remainingResources"`
	VersionInfo         VersionInfo `json:"versionInfo"`
	RegisteredAt        string      `json:"registeredAt"`
	UpdatedAt           string      `json:"updatedAt"` // in events only
	// CapacityProviderName is empty for instances that no capacity provider manages.
	CapacityProviderName string       `json:"capacityProviderName"`
	Attachments          []Attachment `json:"attachments"`
	// HealthStatus is in Describe and in events of its own; see HealthChange. The counts are in Describe only: they show
	// the instance as of the last Describe call.
	HealthStatus      HealthStatus `json:"healthStatus"`
	RunningTasksCount *int64       `json:"runningTasksCount"`
	PendingTasksCount *int64       `json:"pendingTasksCount"`
	// Version increases with every change that ECS sends an event for, starting at 1.
	Version int64 `json:"version"`
	// RecordedAt is the envelope's time: when ECS sent the event, or the time of the Describe call.
	RecordedAt string `json:"-"`
}

// Attribute is an attribute of an instance. Most have no value.
type Attribute struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// Resource is an amount of CPU or memory, or a set of ports, of an instance. The field of its type holds its value; nil
// is none.
type Resource struct {
	Name           string   `json:"name"`
	Type           string   `json:"type"` // INTEGER, LONG, DOUBLE or STRINGSET
	IntegerValue   *int64   `json:"integerValue"`
	LongValue      *int64   `json:"longValue"`
	DoubleValue    *float64 `json:"doubleValue"`
	StringSetValue []string `json:"stringSetValue"`
}

// HealthStatus is the result of ECS's checks of an instance.
type HealthStatus struct {
	OverallStatus string `json:"overallStatus"` // OK, IMPAIRED, INSUFFICIENT_DATA or INITIALIZING
	// ChangedAt is the time of the health change event that reported the status; empty if Describe did.
	ChangedAt string `json:"changedAt,omitempty"`
}

// VersionInfo holds the versions of the software on an instance.
type VersionInfo struct {
	AgentHash     string `json:"agentHash"`
	AgentVersion  string `json:"agentVersion"`
	DockerVersion string `json:"dockerVersion"`
}

// Value is the resource's amount as v0.3 shows it: INTEGER and LONG in decimal, DOUBLE with two decimals, STRINGSET
// joined by commas, and empty without a value and for any other type.
func (r Resource) Value() string {
	switch {
	case r.Type == "INTEGER" && r.IntegerValue != nil:
		return strconv.FormatInt(*r.IntegerValue, 10)
	case r.Type == "LONG" && r.LongValue != nil:
		return strconv.FormatInt(*r.LongValue, 10)
	case r.Type == "DOUBLE" && r.DoubleValue != nil:
		return strconv.FormatFloat(*r.DoubleValue, 'f', 2, 64)
	case r.Type == "STRINGSET":
		return strings.Join(r.StringSetValue, ",")
	}
	return ""
}

// DecodeInstance decodes a container instance as DecodeTask decodes a task.
func DecodeInstance(value []byte) (Instance, error) {
	var i Instance
	var err error
	if i.RecordedAt, err = decodeDetail(value, &i); err != nil {
		return Instance{}, fmt.Errorf("container instance: %w", err)
	}
	if _, err := i.Key(); err != nil {
		return Instance{}, err
	}
	return i, nil
}

// Key returns the instance's key. An error wraps arn.ErrMalformed.
func (i Instance) Key() (Key, error) { return NewKey(KindInstance, i.ClusterARN, i.ARN) }

// Summary returns all of the instance: filters read most of it, and there are few instances.
func (i *Instance) Summary(string) Instance { return *i }

// LastChanged returns the time of the last change that the record contains; zero if it contains none.
func (i Instance) LastChanged() time.Time { return latest(i.UpdatedAt, i.RecordedAt) }

// EndedAt returns that the instance has no last state whose record is worth keeping, unlike a task.
func (i Instance) EndedAt() (at time.Time, ended bool) { return time.Time{}, false }

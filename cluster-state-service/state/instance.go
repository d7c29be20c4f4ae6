package state

import (
	"fmt"
	"slices"
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
	AgentConnected      bool        `json:"agentConnected"`
	AgentUpdateStatus   string      `json:"agentUpdateStatus"`
	Attributes          []Attribute `json:"attributes"`
	RegisteredResources []Resource  `json:"registeredResources"`
	RemainingResources  []Resource  `json:"remainingResources"`
	VersionInfo         VersionInfo `json:"versionInfo"`
	UpdatedAt           string      `json:"updatedAt"`
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

// Resource is an amount of CPU or memory, or a set of ports, of an instance.
type Resource struct {
	Name           string   `json:"name"`
	Type           string   `json:"type"` // INTEGER, LONG, DOUBLE or STRINGSET
	IntegerValue   int64    `json:"integerValue"`
	LongValue      int64    `json:"longValue"`
	DoubleValue    float64  `json:"doubleValue"`
	StringSetValue []string `json:"stringSetValue"`
}

// VersionInfo holds the versions of the software on an instance.
type VersionInfo struct {
	AgentHash     string `json:"agentHash"`
	AgentVersion  string `json:"agentVersion"`
	DockerVersion string `json:"dockerVersion"`
}

// Value is the resource's amount as v0.3 shows it: INTEGER and LONG in decimal, DOUBLE with two decimals, STRINGSET
// joined by commas, and empty for any other type.
func (r Resource) Value() string {
	switch r.Type {
	case "INTEGER":
		return strconv.FormatInt(r.IntegerValue, 10)
	case "LONG":
		return strconv.FormatInt(r.LongValue, 10)
	case "DOUBLE":
		return strconv.FormatFloat(r.DoubleValue, 'f', 2, 64)
	case "STRINGSET":
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

// LastChanged returns the time of the last change that the record contains; zero if it contains none.
func (i Instance) LastChanged() time.Time { return latest(i.UpdatedAt, i.RecordedAt) }

// Equivalent reports whether two records of an instance are equal except for order and fields that only events
// contain.
func (i Instance) Equivalent(other Instance) bool { return equalJSON(i.canonical(), other.canonical()) }

func (i Instance) canonical() Instance {
	i.UpdatedAt = "" // only events contain it
	i.Attributes = slices.Clone(i.Attributes)
	sortBy(i.Attributes, func(a Attribute) string { return a.Name + "=" + a.Value })
	i.RegisteredResources = canonicalResources(i.RegisteredResources)
	i.RemainingResources = canonicalResources(i.RemainingResources)
	return i
}

func canonicalResources(resources []Resource) []Resource {
	resources = slices.Clone(resources)
	sortBy(resources, func(r Resource) string { return r.Name })
	for i := range resources {
		resources[i].StringSetValue = slices.Sorted(slices.Values(resources[i].StringSetValue))
	}
	return resources
}

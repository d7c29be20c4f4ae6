package state

import (
	"fmt"
	"slices"
	"strings"

	"github.com/blox/blox/internal/arn"
)

// Statuses that ECS gives to tasks and container instances. Source: "Task lifecycle" and
// "Container instance state change events" in the Amazon ECS Developer Guide.
var (
	taskStatuses = []string{"PROVISIONING", "PENDING", "ACTIVATING", "RUNNING", "DEACTIVATING", "STOPPING",
		"DEPROVISIONING", "STOPPED", "DELETED"}
	instanceStatuses = []string{"REGISTERING", "REGISTRATION_FAILED", "ACTIVE", "DRAINING", "DEREGISTERING", "INACTIVE"}
)

// ClusterFilter matches a cluster by name or by ARN. Its zero value matches every cluster.
type ClusterFilter struct {
	Name string
	ARN  string // empty for a filter by name
}

// ParseClusterFilter parses a cluster's name or ARN; an empty string is no filter. Errors wrap ErrInvalidCluster.
func ParseClusterFilter(s string) (ClusterFilter, error) {
	if s == "" {
		return ClusterFilter{}, nil
	}
	if arn.IsClusterName(s) {
		return ClusterFilter{Name: s}, nil
	}
	a, err := arn.ParseKind(s, arn.Cluster)
	if err != nil {
		return ClusterFilter{}, fmt.Errorf("%w: %w", ErrInvalidCluster, err)
	}
	return ClusterFilter{Name: a.Cluster, ARN: s}, nil
}

// Matches reports whether the key's cluster matches. A filter by ARN does not match a cluster of the same name in
// another region or account.
func (f ClusterFilter) Matches(key Key) bool {
	return matchesValue(f.Name, key.Cluster) && (f.ARN == "" || f.ARN == key.ClusterARN())
}

// Filter selects entities of one kind. An entity must match every field that is set.
type Filter struct {
	Cluster ClusterFilter
	// Status is a task's last status or an instance's status, in upper case.
	Status string

	// Filters of tasks.
	StartedBy         string
	DesiredStatus     string // in upper case
	LaunchType        string // in upper case
	Family            string // the task definition's name without its revision
	TaskDefinition    string // <family>:<revision>, or the ARN
	ContainerInstance string // the ARN, or its ID

	// Filters of container instances.
	Attribute      string // <name>:<value>, or <name> for any value
	EC2InstanceID  string
	AgentConnected string // "true" or "false"
}

// The names of the query parameters that filter each kind; Filter's fields have the same names.
var (
	TaskFilters = []string{"status", "cluster", "startedBy", "desiredStatus", "family", "taskDefinition",
		"containerInstance", "launchType"}
	InstanceFilters = []string{"status", "cluster", "attribute", "ec2InstanceId", "agentConnected"}
)

// The values of desiredStatus and launchType. Source: Task in the Amazon ECS API Reference.
var (
	desiredStatuses = []string{"RUNNING", "STOPPED"}
	launchTypes     = []string{"EC2", "FARGATE", "EXTERNAL", "MANAGED_INSTANCES"}
)

// ParseFilter parses the filters of a kind from query parameters; an empty value is no filter. It checks the status
// first, then the cluster, then the others. An error wraps one of this package's.
func ParseFilter(kind Kind, value func(name string) string) (f Filter, err error) {
	if f.Status, err = ParseStatus(kind, value("status")); err != nil {
		return f, err
	}
	if f.Cluster, err = ParseClusterFilter(value("cluster")); err != nil {
		return f, err
	}
	f.StartedBy = value("startedBy")
	f.Family = value("family")
	f.TaskDefinition = value("taskDefinition")
	f.ContainerInstance = value("containerInstance")
	f.EC2InstanceID = value("ec2InstanceId")
	f.Attribute = value("attribute")
	f.AgentConnected = value("agentConnected")
	if f.DesiredStatus, err = parseEnum(desiredStatuses, value("desiredStatus"), ErrInvalidDesiredStatus); err != nil {
		return f, err
	}
	if f.LaunchType, err = parseEnum(launchTypes, value("launchType"), ErrInvalidLaunchType); err != nil {
		return f, err
	}
	if !slices.Contains([]string{"", "true", "false"}, f.AgentConnected) {
		return f, fmt.Errorf("%w: %.100q", ErrInvalidAgentConnected, f.AgentConnected)
	}
	if strings.HasPrefix(f.Attribute, ":") {
		return f, fmt.Errorf("%w: %.100q", ErrInvalidAttribute, f.Attribute)
	}
	return f, nil
}

// ParseStatus parses a status of the kind, in any case; an empty string is no filter. Errors wrap ErrInvalidStatus.
func ParseStatus(kind Kind, s string) (string, error) {
	if kind == KindInstance {
		return parseEnum(instanceStatuses, s, ErrInvalidStatus)
	}
	return parseEnum(taskStatuses, s, ErrInvalidStatus)
}

// parseEnum parses one of the known values, in any case; an empty string is no filter.
func parseEnum(known []string, s string, invalid error) (string, error) {
	upper := strings.ToUpper(s)
	if s != "" && !slices.Contains(known, upper) {
		return "", fmt.Errorf("%w: %.100q", invalid, s)
	}
	return upper, nil
}

// matchesValue reports whether filter is empty or equals value.
func matchesValue(filter, value string) bool { return filter == "" || filter == value }

// matchesARNOrID reports whether filter is empty, the ARN, or the part after the ARN's last slash.
func matchesARNOrID(filter, arn string) bool {
	return matchesValue(filter, arn) || strings.HasSuffix(arn, "/"+filter)
}

// MatchesTask reports whether the task matches. It does not check the cluster's name: callers iterate over the keys
// of one cluster.
func (f Filter) MatchesTask(t *Task) bool {
	return matchesValue(f.Cluster.ARN, t.ClusterARN) &&
		(f.Status == "" || strings.EqualFold(f.Status, t.LastStatus)) &&
		matchesValue(f.StartedBy, t.StartedBy) &&
		matchesValue(f.DesiredStatus, t.DesiredStatus) && matchesValue(f.LaunchType, t.LaunchType) &&
		(f.Family == "" || strings.Contains(t.TaskDefinitionARN, ":task-definition/"+f.Family+":")) &&
		matchesARNOrID(f.TaskDefinition, t.TaskDefinitionARN) && matchesARNOrID(f.ContainerInstance, t.ContainerInstanceARN)
}

// MatchesInstance reports whether the instance matches. It does not check the cluster's name, as MatchesTask does
// not.
func (f Filter) MatchesInstance(i *Instance) bool {
	return matchesValue(f.Cluster.ARN, i.ClusterARN) &&
		(f.Status == "" || strings.EqualFold(f.Status, i.Status)) &&
		matchesValue(f.EC2InstanceID, i.EC2InstanceID) &&
		(f.AgentConnected == "" || (f.AgentConnected == "true") == i.AgentConnected) &&
		(f.Attribute == "" || i.hasAttribute(f.Attribute))
}

// hasAttribute reports whether the instance has the attribute <name>:<value>, or <name> with any value.
func (i *Instance) hasAttribute(attribute string) bool {
	name, value, hasValue := strings.Cut(attribute, ":")
	return slices.ContainsFunc(i.Attributes, func(a Attribute) bool {
		return a.Name == name && (!hasValue || a.Value == value)
	})
}

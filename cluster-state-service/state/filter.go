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

// ClusterFilter matches a cluster by name, or by ARN. Its zero value matches every cluster.
type ClusterFilter struct {
	Name string
	ARN  string // empty when a name was given
}

// ParseClusterFilter reads a cluster's name or ARN; an empty one is no filter. Errors wrap ErrInvalidCluster.
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

// Matches tells whether the key's cluster passes. Its name decides unless the filter is an ARN, which the same name
// in another region or account does not match.
func (f ClusterFilter) Matches(key Key) bool {
	return matchesValue(f.Name, key.Cluster) && (f.ARN == "" || f.ARN == key.ClusterARN())
}

// Filter is what a list is narrowed to: all that is set must match.
type Filter struct {
	Cluster ClusterFilter
	// Status is in upper case: a task's last status, an instance's status.
	Status string

	// Of tasks, all exact but for the case of what ECS writes in upper case.
	StartedBy, DesiredStatus, LaunchType string
	Family                               string // the task definition's name without its revision
	TaskDefinition                       string // <family>:<revision>, or the ARN
	ContainerInstance                    string // the ARN, or its id

	// Of container instances.
	Attribute      string // <name>:<value>, or <name> alone for any value
	EC2InstanceID  string
	AgentConnected string // "true" or "false"
}

// The names of the filters in queries, by kind; Filter's fields have the same names.
var (
	TaskFilters     = []string{"status", "cluster", "startedBy", "desiredStatus", "family", "taskDefinition", "containerInstance", "launchType"}
	InstanceFilters = []string{"status", "cluster", "attribute", "ec2InstanceId", "agentConnected"}
)

// What desiredStatus and launchType can be. Source: Task in the Amazon ECS API Reference.
var (
	desiredStatuses = []string{"RUNNING", "STOPPED"}
	launchTypes     = []string{"EC2", "FARGATE", "EXTERNAL", "MANAGED_INSTANCES"}
)

// ParseFilter reads the filters of a kind from their values by name; an empty value is no filter. The status is
// judged first, then the cluster, then the others; an error wraps one of this package's.
func ParseFilter(kind Kind, value func(name string) string) (f Filter, err error) {
	if f.Status, err = ParseStatus(kind, value("status")); err != nil {
		return f, err
	}
	if f.Cluster, err = ParseClusterFilter(value("cluster")); err != nil {
		return f, err
	}
	f.StartedBy, f.Family = value("startedBy"), value("family")
	f.TaskDefinition, f.ContainerInstance = value("taskDefinition"), value("containerInstance")
	f.EC2InstanceID, f.Attribute, f.AgentConnected = value("ec2InstanceId"), value("attribute"), value("agentConnected")
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

// ParseStatus reads a status of the kind, in any case; an empty one is no filter. Errors wrap ErrInvalidStatus.
func ParseStatus(kind Kind, s string) (string, error) {
	if kind == KindInstance {
		return parseEnum(instanceStatuses, s, ErrInvalidStatus)
	}
	return parseEnum(taskStatuses, s, ErrInvalidStatus)
}

// parseEnum reads one of the known words, in any case; an empty one is no filter.
func parseEnum(known []string, s string, invalid error) (string, error) {
	upper := strings.ToUpper(s)
	if s != "" && !slices.Contains(known, upper) {
		return "", fmt.Errorf("%w: %.100q", invalid, s)
	}
	return upper, nil
}

// matchesValue tells whether the filter is none, or the very value.
func matchesValue(filter, value string) bool { return filter == "" || filter == value }

// matchesARNOrID tells whether the filter is none, the whole ARN, or what follows its last slash.
func matchesARNOrID(filter, arn string) bool {
	return matchesValue(filter, arn) || strings.HasSuffix(arn, "/"+filter)
}

// MatchesTask leaves the cluster's name to the caller, who walks one cluster's keys only.
func (f Filter) MatchesTask(t *Task) bool {
	return matchesValue(f.Cluster.ARN, t.ClusterARN) &&
		(f.Status == "" || strings.EqualFold(f.Status, t.LastStatus)) &&
		matchesValue(f.StartedBy, t.StartedBy) && matchesValue(f.DesiredStatus, t.DesiredStatus) && matchesValue(f.LaunchType, t.LaunchType) &&
		(f.Family == "" || strings.Contains(t.TaskDefinitionARN, ":task-definition/"+f.Family+":")) &&
		matchesARNOrID(f.TaskDefinition, t.TaskDefinitionARN) && matchesARNOrID(f.ContainerInstance, t.ContainerInstanceARN)
}

// MatchesInstance leaves the cluster's name to the caller, as MatchesTask does.
func (f Filter) MatchesInstance(i *Instance) bool {
	return matchesValue(f.Cluster.ARN, i.ClusterARN) &&
		(f.Status == "" || strings.EqualFold(f.Status, i.Status)) &&
		matchesValue(f.EC2InstanceID, i.EC2InstanceID) && (f.AgentConnected == "" || (f.AgentConnected == "true") == i.AgentConnected) &&
		(f.Attribute == "" || i.hasAttribute(f.Attribute))
}

// hasAttribute tells whether the instance has the attribute, <name>:<value>, or <name> with whatever value.
func (i *Instance) hasAttribute(attribute string) bool {
	name, value, valued := strings.Cut(attribute, ":")
	return slices.ContainsFunc(i.Attributes, func(a Attribute) bool {
		return a.Name == name && (!valued || a.Value == value)
	})
}

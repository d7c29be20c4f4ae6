package state

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/blox/blox/internal/arn"
	"github.com/blox/blox/internal/filter"
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

// MatchesCluster reports whether a cluster, given by its parsed ARN, matches.
func (f ClusterFilter) MatchesCluster(cluster arn.ARN) bool {
	return matchesValue(f.Name, cluster.Cluster) && (f.ARN == "" || f.ARN == cluster.String())
}

// MatchesRegion reports whether a cluster of the account and region may match.
func (f ClusterFilter) MatchesRegion(region Region) bool {
	a, err := arn.ParseKind(f.ARN, arn.Cluster)
	return err != nil || RegionOf(a) == region
}

// Filter selects entities of one kind. An entity must match every field that is set.
type Filter struct {
	Cluster ClusterFilter
	Place   filter.Place
	// Status is a task's last status or an instance's status, in upper case.
	Status string
	// CapacityProvider is a task's or an instance's.
	CapacityProvider filter.Values
	// Since selects entities whose last change is not older.
	Since time.Time
	// EC2InstanceID is an instance's, or that of a task's instance; see OnInstances.
	EC2InstanceID filter.Values
	Search        Search

	// Filters of tasks.
	StartedBy         string
	DesiredStatus     filter.Values
	LaunchType        filter.Values
	StopCode          filter.Values
	Group             filter.Values
	Family            filter.Values // the task definition's name without its revision
	TaskDefinition    filter.Values // <family>:<revision>, or the ARN
	ContainerInstance filter.Values // the ARN, or its ID

	// Filters of container instances.
	Attribute      filter.Values // <name>:<value>, or <name> for any value
	AgentConnected string        // "true" or "false"

	onInstances map[string]bool // the ARNs of OnInstances
}

// The names of the query parameters that filter each kind.
var (
	TaskFilters = []string{"status", "cluster", "account", "region", "startedBy", "desiredStatus", "family",
		"taskDefinition", "containerInstance", "launchType", "group", "stopCode", "capacityProviderName", "ec2InstanceId",
		"since", "search"}
	InstanceFilters = []string{"status", "cluster", "account", "region", "attribute", "ec2InstanceId", "agentConnected",
		"capacityProviderName", "since", "search"}
)

// The values of desiredStatus, launchType and stopCode. Source: Task in the Amazon ECS API Reference.
var (
	desiredStatuses = []string{"RUNNING", "STOPPED"}
	launchTypes     = []string{"EC2", "FARGATE", "EXTERNAL", "MANAGED_INSTANCES"}
	stopCodes       = []string{"TaskFailedToStart", "EssentialContainerExited", "UserInitiated",
		"ServiceSchedulerInitiated", "SpotInterruption", "TerminationNotice", "InfrastructureHealth"}
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
	if f.Place, err = filter.ParsePlace(value); err != nil {
		return f, err
	}
	f.StartedBy = value("startedBy")
	for _, list := range []struct {
		parameter string
		into      *filter.Values
		accepted  []string // nil accepts any value
	}{
		{"desiredStatus", &f.DesiredStatus, desiredStatuses},
		{"launchType", &f.LaunchType, launchTypes},
		{"stopCode", &f.StopCode, stopCodes},
		{"group", &f.Group, nil},
		{"family", &f.Family, nil},
		{"taskDefinition", &f.TaskDefinition, nil},
		{"containerInstance", &f.ContainerInstance, nil},
		{"capacityProviderName", &f.CapacityProvider, nil},
		{"ec2InstanceId", &f.EC2InstanceID, nil},
		{"attribute", &f.Attribute, nil},
	} {
		if *list.into, err = filter.ParseValues(list.parameter, value(list.parameter), list.accepted); err != nil {
			return f, err
		}
	}
	if f.Since, err = parseSince(value("since")); err != nil {
		return f, err
	}
	if f.Search, err = parseSearch(value("search")); err != nil {
		return f, err
	}
	f.AgentConnected = value("agentConnected")
	if !slices.Contains([]string{"", "true", "false"}, f.AgentConnected) {
		return f, &ParameterError{Parameter: "agentConnected", Given: f.AgentConnected, Accepted: "true or false"}
	}
	if slices.ContainsFunc(f.Attribute.List, func(a string) bool { return strings.HasPrefix(a, ":") }) {
		return f, &ParameterError{Parameter: "attribute", Given: value("attribute"), Accepted: "name:value or name"}
	}
	return f, nil
}

// ParseStatus parses a status of the kind, in any case; an empty string is no filter. Errors wrap ErrInvalidStatus.
func ParseStatus(kind Kind, s string) (string, error) {
	statuses := taskStatuses
	if kind == KindInstance {
		statuses = instanceStatuses
	}
	upper := strings.ToUpper(s)
	if s != "" && !slices.Contains(statuses, upper) {
		return "", fmt.Errorf("%w: %.100q", ErrInvalidStatus, s)
	}
	return upper, nil
}

// parseSince parses a time; an empty string is no filter.
func parseSince(s string) (time.Time, error) {
	if s == "" {
		return time.Time{}, nil
	}
	since, err := time.Parse(time.RFC3339Nano, s)
	if err != nil {
		return time.Time{}, &ParameterError{
			Parameter: "since", Given: s, Accepted: "a time in RFC 3339, such as 2026-03-04T10:15:30Z",
		}
	}
	return since.UTC(), nil
}

// OnInstances returns the filter for tasks with the ARNs of the container instances that EC2InstanceID names. Without
// it, MatchesTask finds no such instance.
func (f Filter) OnInstances(arns map[string]bool) Filter {
	f.onInstances = arns
	return f
}

// MatchesTask reports whether the task matches. It does not check the cluster's name: callers iterate over the keys
// of one cluster.
func (f *Filter) MatchesTask(t *TaskSummary) bool {
	return matchesValue(f.Cluster.ARN, t.ClusterARN) && f.Place.Matches(t.ClusterARN) &&
		(f.Status == "" || strings.EqualFold(f.Status, t.LastStatus)) &&
		matchesValue(f.StartedBy, t.StartedBy) &&
		f.DesiredStatus.Matches(t.DesiredStatus) && f.LaunchType.Matches(t.LaunchType) &&
		f.StopCode.Matches(t.StopCode) && f.Group.Matches(t.Group) &&
		f.CapacityProvider.Matches(t.CapacityProviderName) &&
		f.Family.MatchesFunc(func(family string) bool {
			return strings.Contains(t.TaskDefinitionARN, ":task-definition/"+family+":")
		}) &&
		f.TaskDefinition.MatchesARNOrID(t.TaskDefinitionARN) &&
		f.ContainerInstance.MatchesARNOrID(t.ContainerInstanceARN) &&
		(f.EC2InstanceID.IsEmpty() || f.onInstances[t.ContainerInstanceARN] != f.EC2InstanceID.Excluded) &&
		f.Search.matchesTask(t) &&
		(f.Since.IsZero() || !t.sinceAt.time().Before(f.Since))
}

// MatchesInstance reports whether the instance matches. It does not check the cluster's name, as MatchesTask does
// not.
func (f *Filter) MatchesInstance(i *Instance) bool {
	return matchesValue(f.Cluster.ARN, i.ClusterARN) && f.Place.Matches(i.ClusterARN) &&
		(f.Status == "" || strings.EqualFold(f.Status, i.Status)) &&
		f.EC2InstanceID.Matches(i.EC2InstanceID) && f.CapacityProvider.Matches(i.CapacityProviderName) &&
		(f.AgentConnected == "" || (f.AgentConnected == "true") == i.AgentConnected) &&
		f.Attribute.MatchesFunc(i.hasAttribute) && f.Search.matchesInstance(i) &&
		f.matchesSince(i.UpdatedAt, i.RecordedAt)
}

// matchesSince compares the time of ECS's last change. A record from Describe has none: its call is the change.
func (f *Filter) matchesSince(updatedAt, recordedAt string) bool {
	return f.Since.IsZero() || !sinceTime(updatedAt, recordedAt).Before(f.Since)
}

func sinceTime(updatedAt, recordedAt string) time.Time {
	return latest(cmp.Or(updatedAt, recordedAt), "")
}

// hasAttribute reports whether the instance has the attribute <name>:<value>, or <name> with any value.
func (i *Instance) hasAttribute(attribute string) bool {
	name, value, hasValue := strings.Cut(attribute, ":")
	return slices.ContainsFunc(i.Attributes, func(a Attribute) bool {
		return a.Name == name && (!hasValue || a.Value == value)
	})
}

// matchesValue reports whether want is empty or equals value.
func matchesValue(want, value string) bool { return want == "" || want == value }

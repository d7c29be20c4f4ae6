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

// Matches tells whether a cluster passes. The name is that in the key: it decides unless the filter is an ARN, which
// the same name in another region or account does not match.
func (f ClusterFilter) Matches(name, clusterARN string) bool {
	return (f.Name == "" || f.Name == name) && (f.ARN == "" || f.ARN == clusterARN)
}

// Filter is what a list is narrowed to: all that is set must match.
type Filter struct {
	Cluster ClusterFilter
	// Status is in upper case: a task's last status, an instance's status.
	Status string
	// StartedBy is for tasks only, and exact.
	StartedBy string
}

// ParseStatus reads a status of the kind, in any case; an empty one is no filter. Errors wrap ErrInvalidStatus.
func ParseStatus(kind Kind, s string) (string, error) {
	known := taskStatuses
	if kind == KindInstance {
		known = instanceStatuses
	}
	status := strings.ToUpper(s)
	if s != "" && !slices.Contains(known, status) {
		return "", fmt.Errorf("%w: %.100q", ErrInvalidStatus, s)
	}
	return status, nil
}

// MatchesTask leaves the cluster's name to the caller, who walks one cluster's keys only.
func (f Filter) MatchesTask(t *Task) bool {
	return (f.Cluster.ARN == "" || f.Cluster.ARN == t.ClusterARN) &&
		(f.Status == "" || strings.EqualFold(f.Status, t.LastStatus)) &&
		(f.StartedBy == "" || f.StartedBy == t.StartedBy)
}

// MatchesInstance leaves the cluster's name to the caller, as MatchesTask does.
func (f Filter) MatchesInstance(i *Instance) bool {
	return (f.Cluster.ARN == "" || f.Cluster.ARN == i.ClusterARN) &&
		(f.Status == "" || strings.EqualFold(f.Status, i.Status))
}

package environment

import (
	"fmt"
	"strings"

	"github.com/blox/blox/internal/arn"
)

// CheckPlace returns ErrTaskDefinitionElsewhere if a task definition, given by its ARN, is not of the cluster's account
// and region: ECS starts none of another. A name belongs to no account and region.
func CheckPlace(taskDefinition, clusterARN string) error {
	cluster, err := arn.ParseKind(clusterARN, arn.Cluster)
	fields := strings.SplitN(taskDefinition, ":", 6)
	if err != nil || len(fields) < 6 || fields[0] != "arn" {
		return nil
	}
	region, account := fields[3], fields[4]
	if fields[1] == cluster.Partition && region == cluster.Region && account == cluster.Account {
		return nil
	}
	return &domainError{ErrTaskDefinitionElsewhere, fmt.Sprintf(
		"TaskDefinition %.300q is of %s in %s, and the cluster of %s in %s: ECS starts only task definitions of the "+
			"cluster's account and region", taskDefinition, account, region, cluster.Account, cluster.Region)}
}

// MetricLabels returns the names of the labels of an environment's metrics. An environment has one value of each, so
// cluster, account and region add no series.
func MetricLabels() []string { return []string{"environment", "cluster", "account", "region"} }

// MetricLabelValues returns the values of MetricLabels. The cluster is its name. A record of another program whose
// cluster is no ARN has no account and region.
func (e Environment) MetricLabelValues() []string {
	cluster, err := arn.ParseKind(e.Cluster, arn.Cluster)
	if err != nil {
		return []string{e.Name, e.Cluster, "", ""}
	}
	return []string{e.Name, cluster.Cluster, cluster.Account, cluster.Region}
}

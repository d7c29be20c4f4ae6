package ecsapi

import (
	"fmt"
	"strings"

	"github.com/blox/blox/daemon-scheduler/environment"
	"github.com/blox/blox/internal/arn"
)

// Caller is whose calls go where: to the region, in the account of the role.
type Caller struct {
	Role   environment.Role // zero: the scheduler's own credentials
	Region string           // empty: the scheduler's own region
}

// NewCaller returns the caller for a cluster, given by its ARN or its name. Its region is the ARN's; a name is of the
// scheduler's own.
func NewCaller(role environment.Role, cluster string) Caller {
	parsed, err := arn.ParseKind(cluster, arn.Cluster)
	if err != nil {
		return Caller{Role: role}
	}
	return Caller{role, parsed.Region}
}

// partitions are AWS's partitions by the beginning of the names of their regions. Source: the partitions of the AWS
// SDKs.
var partitions = []struct{ regions, name string }{
	{"cn-", "aws-cn"},
	{"us-gov-", "aws-us-gov"},
	{"us-iso-", "aws-iso"},
	{"us-isob-", "aws-iso-b"},
	{"eu-isoe-", "aws-iso-e"},
	{"us-isof-", "aws-iso-f"},
	{"eusc-", "aws-eusc"},
	{"", "aws"},
}

// partitionOf returns the partition of a region.
func partitionOf(region string) string {
	for _, p := range partitions {
		if strings.HasPrefix(region, p.regions) {
			return p.name
		}
	}
	return ""
}

// checkPartition returns an error if credentials of the region home can never reach a cluster, given by its ARN: those
// of one partition are unknown in all others. ECS alone knows the partitions that are missing above.
func checkPartition(cluster, home string) error {
	parsed, err := arn.ParseKind(cluster, arn.Cluster)
	if err != nil || !isKnownPartition(parsed.Partition) {
		return nil
	}
	if of := partitionOf(parsed.Region); of != parsed.Partition {
		return environment.PartitionMismatch(fmt.Sprintf(
			"Cluster %.300q does not exist: region %s is of the partition %s", cluster, parsed.Region, of))
	}
	if own := partitionOf(home); own != parsed.Partition {
		return environment.PartitionMismatch(fmt.Sprintf(
			"Cluster %.300q is of the partition %s, and the credentials of daemon-scheduler are of %s: run one Blox for "+
				"each partition", cluster, parsed.Partition, own))
	}
	return nil
}

func isKnownPartition(name string) bool {
	for _, p := range partitions {
		if p.name == name {
			return true
		}
	}
	return false
}

package environment

import (
	"fmt"
	"strings"

	"github.com/blox/blox/internal/arn"
)

// Role is the IAM role that calls for an environment assume; zero: they use the scheduler's own credentials.
type Role struct {
	ARN        string
	ExternalID string `json:",omitempty"` // that the role's trust policy may require
}

// Role returns the role that all calls for the environment assume, that of the latest revision: a role is a way to call
// AWS and no property of tasks, so a change applies at once.
func (e Environment) Role() Role { return e.LatestRevision().Spec.Role }

// IsSet reports whether there is a role.
func (r Role) IsSet() bool { return r.ARN != "" }

// Account returns the account of the role; empty without one.
func (r Role) Account() string {
	role, _ := arn.ParseRole(r.ARN)
	return role.Account
}

// Validate returns the problems of the role in the form of Spec.Validate. It must be of the cluster's account, if the
// cluster is given by its ARN.
func (r Role) Validate(cluster string) (problems []string) {
	role, err := arn.ParseRole(r.ARN)
	if r.IsSet() && err != nil {
		return []string{"role in body should be the ARN of an IAM role, such as arn:aws:iam::123456789012:role/deployer"}
	}
	if r.ExternalID != "" && !r.IsSet() {
		return []string{"roleExternalId in body is only for environments with a role"}
	}
	if len(r.ExternalID) == 1 {
		return []string{"roleExternalId in body should be at least 2 chars long"}
	}
	fields := strings.Split(cluster, ":")
	if err != nil || len(fields) < 5 || role.Partition == fields[1] && role.Account == fields[4] {
		return nil
	}
	return []string{fmt.Sprintf(
		"role in body should be of the cluster's account: it is of %s:%s, and the cluster of %s:%s",
		role.Partition, role.Account, fields[1], fields[4])}
}

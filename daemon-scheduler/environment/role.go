package environment

import (
	"fmt"
	"regexp"
	"strings"
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

var rolePattern = regexp.MustCompile(`^arn:([a-z0-9-]+):iam::(\d{12}):role/([\x21-\x7e]{0,510}/)?[\w+=,.@-]{1,64}$`)

// Account returns the account of the role; empty without one.
func (r Role) Account() string {
	match := rolePattern.FindStringSubmatch(r.ARN)
	if match == nil {
		return ""
	}
	return match[2]
}

// Validate returns the problems of the role in the form of Spec.Validate. It must be of the cluster's account, if the
// cluster is given by its ARN.
func (r Role) Validate(cluster string) (problems []string) {
	match := rolePattern.FindStringSubmatch(r.ARN)
	if r.IsSet() && match == nil {
		return []string{"role in body should be the ARN of an IAM role, such as arn:aws:iam::123456789012:role/deployer"}
	}
	if r.ExternalID != "" && !r.IsSet() {
		return []string{"roleExternalId in body is only for environments with a role"}
	}
	if len(r.ExternalID) == 1 {
		return []string{"roleExternalId in body should be at least 2 chars long"}
	}
	arn := strings.Split(cluster, ":")
	if match == nil || len(arn) < 5 || match[1] == arn[1] && match[2] == arn[4] {
		return nil
	}
	return []string{fmt.Sprintf(
		"role in body should be of the cluster's account: it is of %s:%s, and the cluster of %s:%s",
		match[1], match[2], arn[1], arn[4])}
}

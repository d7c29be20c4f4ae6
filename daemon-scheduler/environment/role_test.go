package environment

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestRole_MustBeARoleOfTheClustersAccount(t *testing.T) {
	const malformed = "role in body should be the ARN of an IAM role, such as arn:aws:iam::123456789012:role/deployer"
	const arn = "arn:aws:ecs:us-east-1:123456789012:cluster/prod"
	for name, tc := range map[string]struct {
		role    Role
		cluster string
		want    string
	}{
		"none":                  {Role{}, arn, ""},
		"a role":                {Role{"arn:aws:iam::123456789012:role/deployer", "id"}, arn, ""},
		"a role with a path":    {Role{ARN: "arn:aws:iam::123456789012:role/team/a/deployer"}, arn, ""},
		"of an unknown account": {Role{ARN: "arn:aws:iam::210987654321:role/deployer"}, "prod", ""},
		"of another account": {Role{ARN: "arn:aws:iam::210987654321:role/deployer"}, arn, "role in body should be of the " +
			"cluster's account: it is of aws:210987654321, and the cluster of aws:123456789012"},
		"of another partition": {Role{ARN: "arn:aws-cn:iam::123456789012:role/deployer"}, arn, "role in body should be of " +
			"the cluster's account: it is of aws-cn:123456789012, and the cluster of aws:123456789012"},
		"a name":                 {Role{ARN: "deployer"}, arn, malformed},
		"a user":                 {Role{ARN: "arn:aws:iam::123456789012:user/deployer"}, arn, malformed},
		"no account":             {Role{ARN: "arn:aws:iam:::role/deployer"}, arn, malformed},
		"no name":                {Role{ARN: "arn:aws:iam::123456789012:role/"}, arn, malformed},
		"an id without a role":   {Role{ExternalID: "id"}, arn, "roleExternalId in body is only for environments with a role"},
		"an id that is too long": {Role{"arn:aws:iam::123456789012:role/a", "x"}, arn, "roleExternalId in body should be at least 2 chars long"},
	} {
		var want []string
		if tc.want != "" {
			want = []string{tc.want}
		}
		assert.Equal(t, want, tc.role.Validate(tc.cluster), name)
	}
	assert.Equal(t, "123456789012", Role{ARN: "arn:aws:iam::123456789012:role/team/deployer"}.Account())
	assert.Empty(t, Role{}.Account())
}

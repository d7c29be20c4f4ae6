package ecsapi

import (
	"context"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/smithy-go"
	"github.com/aws/smithy-go/middleware"

	"github.com/blox/blox/daemon-scheduler/environment"
	"github.com/blox/blox/internal/awsconfig"
	"github.com/blox/blox/internal/ecserrors"
)

const roleSessionName = "blox-daemon-scheduler"

var errRoleNotAllowed = &smithy.GenericAPIError{
	Code: ecserrors.CodeRoleNotAllowed, Message: "--allowed-role does not allow the role",
}

// assumedRole is a role's credentials, and the option of clients that renews them when AWS rejects them.
type assumedRole struct {
	credentials aws.CredentialsProvider
	renewal     func(*middleware.Stack) error
}

// assume returns the credentials of a role, which calls of STS fetch when they are needed.
func (c *Clients) assume(role environment.Role) assumedRole {
	allowed := len(c.AllowedRoles) == 0 ||
		slices.ContainsFunc(c.AllowedRoles, func(pattern string) bool { return matchesPattern(pattern, role.ARN) })
	if !allowed {
		refusing := func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{}, &awsconfig.RoleError{Role: role.ARN, Err: errRoleNotAllowed}
		}
		return assumedRole{aws.CredentialsProviderFunc(refusing), func(*middleware.Stack) error { return nil }}
	}
	assumed := awsconfig.Role{ARN: role.ARN, ExternalID: role.ExternalID, SessionName: roleSessionName}
	credentials, renewal := assumed.RenewedCredentials(c.STS)
	return assumedRole{credentials, renewal}
}

// matchesPattern reports whether text matches a pattern in which * stands for any characters and ? for one, as in IAM.
func matchesPattern(pattern, text string) bool {
	for pattern != "" {
		switch {
		case pattern[0] == '*':
			for n := 0; n <= len(text); n++ {
				if matchesPattern(pattern[1:], text[n:]) {
					return true
				}
			}
			return false
		case text == "" || pattern[0] != '?' && pattern[0] != text[0]:
			return false
		}
		pattern, text = pattern[1:], text[1:]
	}
	return text == ""
}

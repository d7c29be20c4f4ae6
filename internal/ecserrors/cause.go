package ecserrors

import (
	"errors"
	"net/http"

	smithyhttp "github.com/aws/smithy-go/transport/http"
)

// Cause is why AWS did not serve a call: it says who can remove the cause.
type Cause string

// The causes of failed calls.
const (
	CauseCredentials Cause = "credentials" // AWS rejects the credentials, the clock or the region
	CauseAccess      Cause = "access"      // the IAM policies do not allow the call
	CauseThrottle    Cause = "throttle"    // too many calls in the account and region
	CauseRole        Cause = "role"        // the role or its policies do not let the caller assume it
	CauseSTS         Cause = "sts"         // STS throttles or fails, so the role cannot be assumed for now
	CauseUnavailable Cause = "unavailable" // the service fails or does not respond
	CauseRequest     Cause = "request"     // the service refuses this request for another reason
)

// CodeRoleNotAllowed is the code of a smithy.APIError in an awsconfig.RoleError: the configuration of the caller, not
// STS, refuses the role.
const CodeRoleNotAllowed = "RoleNotAllowed"

// Cause returns why the call failed; empty if it succeeded.
func (o Outcome) Cause() Cause {
	switch {
	case o.Class == Succeeded:
		return ""
	case o.Role != "" && o.refusesRole():
		return CauseRole
	case o.Role != "":
		return CauseSTS
	case o.RefusesCaller():
		return CauseCredentials
	case o.DeniesAccess():
		return CauseAccess
	case o.Throttled():
		return CauseThrottle
	case o.Class != Rejected:
		return CauseUnavailable
	}
	return CauseRequest
}

// refusesRole reports whether the role or its policies are the reason, not the state of STS.
func (o Outcome) refusesRole() bool {
	var response *smithyhttp.ResponseError
	answered := errors.As(o.Err, &response) && response.HTTPStatusCode() < http.StatusInternalServerError
	return o.Code == CodeRoleNotAllowed || answered && !IsThrottle(o.Err)
}

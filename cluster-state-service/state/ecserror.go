package state

import (
	"cmp"
	"errors"
	"fmt"
)

// The errors of queries that call ECS. Each is the kind of an ECSError.
var (
	ErrECSUnavailable        = errors.New("ECS does not respond")
	ErrECSThrottled          = errors.New("ECS throttles")
	ErrECSCredentialsExpired = errors.New("AWS rejects the credentials")
	ErrECSAccessDenied       = errors.New("ECS denies access")
	ErrRoleNotAssumed        = errors.New("role not assumed")
	ErrSTSUnavailable        = errors.New("STS unavailable")
)

// ECSError reports that ECS did not serve a call. Its text is for clients.
type ECSError struct {
	Kind    error  // one of the errors above
	Region  string // of the call
	Role    string // ARN of the role that could not be assumed; empty unless that is the error
	Code    string // of AWS; empty if AWS has not responded
	Message string // of AWS
	Call    error  // of the call
}

func (e *ECSError) Error() string {
	switch {
	case errors.Is(e.Kind, ErrECSThrottled):
		return "ECS throttles the calls of cluster-state-service in region " + e.Region
	case errors.Is(e.Kind, ErrECSCredentialsExpired):
		return "AWS rejects the credentials or the clock of cluster-state-service in region " + e.Region + ": " + e.Code
	case errors.Is(e.Kind, ErrECSAccessDenied):
		return fmt.Sprintf("ECS denies access: %s: %.500s", e.Code, e.Message)
	case errors.Is(e.Kind, ErrRoleNotAssumed):
		return fmt.Sprintf("Role %s cannot be assumed: %s: %.500s", e.Role, e.Code, e.Message)
	case errors.Is(e.Kind, ErrSTSUnavailable):
		return "Role " + e.Role + " cannot be assumed now: STS responds with " + cmp.Or(e.Code, "nothing")
	}
	return "ECS does not respond in region " + e.Region
}

// Is makes an ECSError match its kind.
func (e *ECSError) Is(target error) bool { return target == e.Kind }

// Unwrap returns the error of the call.
func (e *ECSError) Unwrap() error { return e.Call }

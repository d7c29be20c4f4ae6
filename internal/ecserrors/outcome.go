// Package ecserrors classifies the errors of AWS calls, those of Amazon ECS above all: whether a call was executed, and
// which other calls will fail as well.
package ecserrors

import (
	"cmp"
	"errors"
	"net/http"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"github.com/blox/blox/internal/awsconfig"
)

// Class says whether ECS executed a call. Its text is the outcome label of metrics.
type Class string

// The classes of outcomes.
const (
	Unknown   Class = "unknown"   // no usable response: ECS may have executed the call
	NotSent   Class = "not_sent"  // throttled, caller refused, or never sent: ECS did not execute the call; retry soon
	Rejected  Class = "rejected"  // ECS did not execute the call and gave a reason
	Succeeded Class = "succeeded" // ECS executed the call
)

// Scope is the object of an error, and so the other calls that will fail as well.
type Scope string

// The scopes of errors.
const (
	ScopeInstance   Scope = "instance"   // the instance or the task of the call; other calls may succeed
	ScopeDeployment Scope = "deployment" // the task definition, its roles or the cluster: no start can succeed
	ScopeCaller     Scope = "caller"     // the scheduler's credentials, clock or request rate, the network, or ECS itself
)

// Outcome is the effect of a call, as far as its error shows it.
type Outcome struct {
	Class   Class
	Scope   Scope  // of an error
	Code    string // ECS's error code; empty if ECS sent none
	Message string // ECS's explanation, or else the error's
	Err     error  // nil if and only if the call succeeded
	Role    string // ARN of the role that could not be assumed; empty unless that is the error
}

// Withheld returns the outcome of a call that its caller did not send, because of err.
func Withheld(err error) Outcome { return failed(NotSent, ScopeCaller, err) }

// Throttled reports whether ECS did not execute the call because there were too many.
func (o Outcome) Throttled() bool {
	return o.Role == "" && IsThrottle(o.Err)
}

// RefusesCaller reports whether ECS did not execute the call because of the scheduler's credentials or clock.
func (o Outcome) RefusesCaller() bool { return o.Role == "" && callerCodes[o.Code] }

// DeniesAccess reports whether the scheduler's IAM policies do not allow the call.
func (o Outcome) DeniesAccess() bool { return o.Role == "" && accessCodes[o.Code] }

// OfError returns the outcome of the call of AWS that err reports; false if err reports none.
func OfError(err error) (Outcome, bool) {
	var call *smithy.OperationError
	if !errors.As(err, &call) {
		return Outcome{}, false
	}
	return Classify(call, true), true
}

// Classify returns the Outcome of a call that ended with err. Sent is whether the request may have left this process.
func Classify(err error, sent bool) Outcome {
	if err == nil {
		return Outcome{Class: Succeeded}
	}
	if outcome, ok := aboutRole(err); ok {
		return outcome
	}
	var response *smithyhttp.ResponseError
	answered := errors.As(err, &response)
	outcome := failed(NotSent, ScopeCaller, err)
	switch {
	case !sent, outcome.Throttled(), outcome.RefusesCaller():
		return outcome
	case !answered || response.HTTPStatusCode() >= http.StatusInternalServerError || response.HTTPStatusCode() < 400:
		outcome.Class = Unknown
		return outcome
	}
	if outcome.Code == "" {
		outcome.Code = http.StatusText(response.HTTPStatusCode())
	}
	outcome.Class = Rejected
	outcome.Scope = ScopeInstance
	if outcome.DeniesAccess() || deploymentErrorCodes[outcome.Code] || isAboutTaskDefinition(outcome.Message) {
		outcome.Scope = ScopeDeployment
	}
	return outcome
}

func failed(class Class, scope Scope, err error) Outcome {
	outcome := Outcome{Class: class, Scope: scope, Message: err.Error(), Err: err}
	var api smithy.APIError
	if errors.As(err, &api) {
		outcome.Code = api.ErrorCode()
		outcome.Message = api.ErrorMessage()
	}
	return outcome
}

// callerCodes are the errors by which AWS rejects a caller before it looks at the request. Services spell some of them
// with and without "Exception". Source: "Common Error Types" in the Amazon ECS API Reference.
var callerCodes = map[string]bool{
	"AuthFailure":                         true,
	"BlockedException":                    true,
	"ExpiredToken":                        true,
	"ExpiredTokenException":               true,
	"IncompleteSignature":                 true,
	"IncompleteSignatureException":        true,
	"InvalidClientTokenId":                true,
	"InvalidSignature":                    true,
	"InvalidSignatureException":           true,
	"MissingAuthenticationToken":          true,
	"MissingAuthenticationTokenException": true,
	"OptInRequired":                       true,
	awsconfig.NoCredentials:               true, // the call was not even signed
	"RequestExpired":                      true,
	"RequestTimeTooSkewed":                true,
	"SignatureDoesNotMatch":               true,
	"UnrecognizedClient":                  true,
	"UnrecognizedClientException":         true,
}

// accessCodes are the errors about missing permissions. ECS also denies access if the scheduler may not pass the roles
// of the task definition, so they concern the deployment.
var accessCodes = map[string]bool{
	"AccessDenied":          true,
	"AccessDeniedException": true,
	"NotAuthorized":         true,
	"UnauthorizedOperation": true,
}

// deploymentErrorCodes are the other errors that every start of a deployment gets.
var deploymentErrorCodes = map[string]bool{
	"ClusterNotFoundException":                       true,
	"PlatformTaskDefinitionIncompatibilityException": true,
	"PlatformUnknownException":                       true,
	"UnsupportedFeatureException":                    true,
}

// isAboutTaskDefinition reports whether ECS's explanation is about the task definition. Its code is then
// ClientException or InvalidParameterException, as for an instance, and the message is "TaskDefinition is inactive",
// "TaskDefinition not found." or one about parameters that the task definition requires.
func isAboutTaskDefinition(message string) bool {
	return strings.Contains(strings.ReplaceAll(strings.ToLower(message), " ", ""), "taskdefinition")
}

// IsRejected reports whether err of a read means that ECS understood the request and refused it for the instance or
// task that it names.
func IsRejected(err error) bool {
	outcome := Classify(err, true)
	return outcome.Class == Rejected && outcome.Scope == ScopeInstance
}

var throttles = retry.ThrottleErrorCode{Codes: retry.DefaultThrottleErrorCodes}

// IsThrottle reports whether err is a service's answer that there were too many calls.
func IsThrottle(err error) bool { return throttles.IsErrorThrottle(err) == aws.TrueTernary }

// aboutRole returns the outcome of a call whose role could not be assumed; false if that is not why err happened.
func aboutRole(err error) (Outcome, bool) {
	var role *awsconfig.RoleError
	if !errors.As(err, &role) {
		return Outcome{}, false
	}
	outcome := failed(NotSent, ScopeCaller, err)
	outcome.Role = role.Role
	outcome.Message = role.Role + ": " + cmp.Or(outcome.Message, role.Err.Error())
	return outcome, true
}

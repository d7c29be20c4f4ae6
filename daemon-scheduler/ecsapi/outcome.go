package ecsapi

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptrace"
	"sync/atomic"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"
)

// Class tells whether ECS executed a call. Its text is the outcome label of metrics.
type Class string

// The classes of outcomes.
const (
	Unknown   Class = "unknown"   // no usable response: ECS may have executed the call
	NotSent   Class = "not_sent"  // throttled, or never sent: ECS did not execute the call; retry soon
	Rejected  Class = "rejected"  // ECS did not execute the call and gave a reason
	Succeeded Class = "succeeded" // ECS executed the call
)

// Outcome is the effect of a call, as far as its error shows it.
type Outcome struct {
	Class   Class
	Code    string // ECS's error code, of a Rejected call
	Message string // ECS's explanation, of a Rejected call
	Err     error  // nil if and only if the call succeeded
}

// Withheld returns the outcome of a call that its caller did not send, because of err.
func Withheld(err error) Outcome { return Outcome{Class: NotSent, Err: err} }

// classify returns the Outcome of a call that ended with err. Sent is whether the request may have left this process.
func classify(err error, sent bool) Outcome {
	if err == nil {
		return Outcome{Class: Succeeded}
	}
	var response *smithyhttp.ResponseError
	answered := errors.As(err, &response)
	switch {
	case !sent, throttles.IsErrorThrottle(err) == aws.TrueTernary:
		return Outcome{Class: NotSent, Err: err}
	case !answered || response.HTTPStatusCode() >= http.StatusInternalServerError || response.HTTPStatusCode() < 400:
		return Outcome{Class: Unknown, Err: err}
	}
	var api smithy.APIError
	if errors.As(err, &api) {
		return Outcome{Class: Rejected, Code: api.ErrorCode(), Message: api.ErrorMessage(), Err: err}
	}
	return Outcome{Class: Rejected, Code: http.StatusText(response.HTTPStatusCode()), Message: err.Error(), Err: err}
}

// IsRejected reports whether err of a read means that ECS understood the request and refused it.
func IsRejected(err error) bool { return classify(err, true).Class == Rejected }

var throttles = retry.ThrottleErrorCode{Codes: retry.DefaultThrottleErrorCodes}

// traceSent returns a context for one call, and a function that reports whether the call got a connection to send on.
func traceSent(ctx context.Context) (context.Context, func() bool) {
	var sent atomic.Bool
	return httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		GotConn: func(httptrace.GotConnInfo) { sent.Store(true) },
	}), sent.Load
}

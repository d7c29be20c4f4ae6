package engine

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptrace"
	"sync/atomic"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"
)

// ECS is what the engine calls; *ecs.Client is the one in production.
type ECS interface {
	StartTask(context.Context, *ecs.StartTaskInput, ...func(*ecs.Options)) (*ecs.StartTaskOutput, error)
	StopTask(context.Context, *ecs.StopTaskInput, ...func(*ecs.Options)) (*ecs.StopTaskOutput, error)
	ListTasks(context.Context, *ecs.ListTasksInput, ...func(*ecs.Options)) (*ecs.ListTasksOutput, error)
	DescribeTasks(context.Context, *ecs.DescribeTasksInput, ...func(*ecs.Options)) (*ecs.DescribeTasksOutput, error)
	PutAttributes(context.Context, *ecs.PutAttributesInput, ...func(*ecs.Options)) (*ecs.PutAttributesOutput, error)
	DeleteAttributes(context.Context, *ecs.DeleteAttributesInput, ...func(*ecs.Options)) (*ecs.DeleteAttributesOutput, error)
}

// outcome is what an error of a call says about the deed.
type outcome int

const (
	unknown   outcome = iota // it may have been done
	undone                   // it was not done, through no fault of the request: worth another try soon
	refused                  // it was not done, and ECS says why
	succeeded                // there is no error
)

// classify tells what err of a call says; sent is whether the request may have left this machine.
func classify(err error, sent bool) (is outcome, code, message string) {
	if err == nil {
		return succeeded, "", ""
	}
	var response *smithyhttp.ResponseError
	answered := errors.As(err, &response)
	switch {
	case !sent:
		return undone, "", ""
	case throttles.IsErrorThrottle(err) == aws.TrueTernary:
		return undone, "", ""
	case !answered || response.HTTPStatusCode() >= http.StatusInternalServerError || response.HTTPStatusCode() < 400:
		return unknown, "", ""
	}
	var api smithy.APIError
	if errors.As(err, &api) {
		return refused, api.ErrorCode(), api.ErrorMessage()
	}
	return refused, http.StatusText(response.HTTPStatusCode()), err.Error()
}

var throttles = retry.ThrottleErrorCode{Codes: retry.DefaultThrottleErrorCodes}

// watchSending returns a context for one call and, for after it, whether a connection was there to send it on.
func watchSending(ctx context.Context) (context.Context, func() bool) {
	var sent atomic.Bool
	return httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		GotConn: func(httptrace.GotConnInfo) { sent.Store(true) },
	}), sent.Load
}

package ecsapi

import (
	"context"
	"net/http/httptrace"
	"strings"
	"sync/atomic"

	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/smithy-go/middleware"

	"github.com/blox/blox/internal/ecserrors"
)

// aboutStart returns the outcome of a StartTask. ECS lists what is wrong with single instances as failures of a call
// that succeeds, so an error is about the request and concerns every start of the deployment, unless it names an
// instance. Source: "API failures and error messages" in the Amazon ECS Developer Guide.
func aboutStart(outcome ecserrors.Outcome) ecserrors.Outcome {
	if outcome.Class == ecserrors.Rejected && !namesInstance(outcome.Message) {
		outcome.Scope = ecserrors.ScopeDeployment
	}
	return outcome
}

// namesInstance reports whether ECS's explanation is about container instances.
func namesInstance(message string) bool {
	return strings.Contains(strings.NewReplacer(" ", "", "-", "").Replace(strings.ToLower(message)), "containerinstance")
}

// traceSent returns a context and an option for one call, and a function that reports whether the call got a connection
// to send on. The SDK may connect to other services before that, to refresh the credentials.
func traceSent(ctx context.Context) (traced context.Context, option func(*ecs.Options), sent func() bool) {
	var signed, connected atomic.Bool
	mark := middleware.DeserializeMiddlewareFunc("blox:signed", func(
		ctx context.Context, in middleware.DeserializeInput, next middleware.DeserializeHandler,
	) (middleware.DeserializeOutput, middleware.Metadata, error) {
		signed.Store(true)
		return next.HandleDeserialize(ctx, in)
	})
	traced = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		GotConn: func(httptrace.GotConnInfo) { connected.Store(signed.Load()) },
	})
	return traced, func(o *ecs.Options) {
		o.APIOptions = append(o.APIOptions, func(stack *middleware.Stack) error {
			return stack.Deserialize.Add(mark, middleware.Before)
		})
	}, connected.Load
}

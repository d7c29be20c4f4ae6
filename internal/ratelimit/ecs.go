package ratelimit

import (
	"context"
	"errors"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/smithy-go"
	"github.com/aws/smithy-go/middleware"
)

// The buckets of Amazon ECS. Source: "Request throttling for the Amazon ECS API" in the Amazon ECS API Reference.
var (
	ClusterReads        = Bucket{50, 20}
	ResourceReads       = Bucket{100, 20}
	TaskDefinitionReads = Bucket{50, 20}
	Modifications       = Bucket{100, 40}
)

// ECS holds a limiter for each bucket of ECS.
type ECS struct {
	ClusterReads        *Limiter // ListClusters, DescribeClusters
	ResourceReads       *Limiter // List and Describe of tasks, container instances, attributes, services
	TaskDefinitionReads *Limiter // DescribeTaskDefinition
	Modifications       *Limiter // StartTask, StopTask, changes of attributes and services
}

// limiter returns the limiter of an operation; nil for one that Blox does not use.
func (e ECS) limiter(operation string) *Limiter {
	switch operation {
	case "ListClusters", "DescribeClusters":
		return e.ClusterReads
	case "ListTasks", "DescribeTasks", "ListContainerInstances", "DescribeContainerInstances",
		"ListAttributes", "DescribeServices":
		return e.ResourceReads
	case "DescribeTaskDefinition":
		return e.TaskDefinitionReads
	case "StartTask", "StopTask", "PutAttributes", "DeleteAttributes", "UpdateService", "DeleteService":
		return e.Modifications
	}
	return nil
}

// Option makes a client take a token for every attempt of a call, the SDK's retries included.
func (e ECS) Option(o *ecs.Options) { o.APIOptions = append(o.APIOptions, limitAttempts(e.limiter)) }

// limitAttempts returns an option of a client that limits the attempts of an operation by its limiter.
func limitAttempts(limiterOf func(operation string) *Limiter) func(*middleware.Stack) error {
	limit := func(
		ctx context.Context, in middleware.FinalizeInput, next middleware.FinalizeHandler,
	) (middleware.FinalizeOutput, middleware.Metadata, error) {
		return limitAttempt(ctx, limiterOf(middleware.GetOperationName(ctx)), in, next)
	}
	return func(stack *middleware.Stack) error {
		return stack.Finalize.Insert(middleware.FinalizeMiddlewareFunc("BloxRateLimit", limit), "Retry", middleware.After)
	}
}

// limitAttempt is called for each attempt.
func limitAttempt(
	ctx context.Context, limiter *Limiter, in middleware.FinalizeInput, next middleware.FinalizeHandler,
) (middleware.FinalizeOutput, middleware.Metadata, error) {
	o := optionsOf(ctx)
	if !o.takePaid() {
		for _, wait := range []func() error{
			func() error { return o.share.Wait(ctx, o.priority) },
			func() error { return limiter.Wait(ctx, o.priority) },
		} {
			if err := wait(); err != nil {
				return middleware.FinalizeOutput{}, middleware.Metadata{}, fmt.Errorf("wait for the API budget: %w", err)
			}
		}
	}
	out, metadata, err := next.HandleFinalize(ctx, in)
	if isThrottled(err) {
		limiter.Throttled()
	}
	return out, metadata, err
}

func isThrottled(err error) bool {
	var response smithy.APIError
	if !errors.As(err, &response) {
		return false
	}
	_, throttled := retry.DefaultThrottleErrorCodes[response.ErrorCode()]
	return throttled
}

// options are how a call spends tokens.
type options struct {
	priority Priority
	share    *Limiter     // a further bucket
	paid     *paidAttempt // not nil: the caller has taken the token of the first attempt
}

type paidAttempt struct{ used bool }

// takePaid reports whether the token of this attempt was taken before. The attempts of a call follow each other.
func (o options) takePaid() bool {
	if o.paid == nil || o.paid.used {
		return false
	}
	o.paid.used = true
	return true
}

type optionsKey struct{}

func optionsOf(ctx context.Context) options {
	o, _ := ctx.Value(optionsKey{}).(options)
	return o
}

// WithPriority returns a context whose calls wait for tokens with that priority; the default is High.
func WithPriority(ctx context.Context, p Priority) context.Context {
	o := optionsOf(ctx)
	o.priority = p
	return context.WithValue(ctx, optionsKey{}, o)
}

// WithShare returns a context whose calls also take tokens of share, which is a part of a bucket.
func WithShare(ctx context.Context, share *Limiter) context.Context {
	o := optionsOf(ctx)
	o.share = share
	return context.WithValue(ctx, optionsKey{}, o)
}

// WithPaid returns a context for one call, the token of whose first attempt the caller has taken by Limiter.Wait.
func WithPaid(ctx context.Context) context.Context {
	o := optionsOf(ctx)
	o.paid = &paidAttempt{}
	return context.WithValue(ctx, optionsKey{}, o)
}

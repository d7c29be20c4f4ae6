package awsconfig

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/smithy-go/middleware"
	smithyhttp "github.com/aws/smithy-go/transport/http"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

// WithMetrics returns cfg with clients that count and time every attempt of a call, the SDK's retries included. The
// names have no prefix: services register them through prometheus.WrapRegistererWithPrefix.
func WithMetrics(cfg aws.Config, registerer prometheus.Registerer) aws.Config {
	with := promauto.With(registerer)
	calls := with.NewCounterVec(prometheus.CounterOpts{
		Name: "aws_calls_total",
		Help: "Attempts of AWS calls by service, action and outcome: " +
			"succeeded, throttled, rejected (4xx), failed (5xx) or unknown (no response).",
	}, []string{"service", "action", "outcome"})
	seconds := with.NewHistogramVec(prometheus.HistogramOpts{
		Name: "aws_call_duration_seconds", Help: "Duration of an attempt of an AWS call by service and action.",
		Buckets: []float64{.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 20, 40}, // a long poll of SQS takes 20 s
	}, []string{"service", "action"})
	observe := middleware.DeserializeMiddlewareFunc("BloxMetrics", func(
		ctx context.Context, in middleware.DeserializeInput, next middleware.DeserializeHandler,
	) (middleware.DeserializeOutput, middleware.Metadata, error) {
		began := time.Now()
		out, metadata, err := next.HandleDeserialize(ctx, in)
		service, action := awsmiddleware.GetServiceID(ctx), awsmiddleware.GetOperationName(ctx)
		calls.WithLabelValues(service, action, outcome(err)).Inc()
		seconds.WithLabelValues(service, action).Observe(time.Since(began).Seconds())
		return out, metadata, err
	})
	cfg = cfg.Copy()
	cfg.APIOptions = append(cfg.APIOptions, func(stack *middleware.Stack) error {
		return stack.Deserialize.Add(observe, middleware.Before) // the outermost middleware of one attempt
	})
	return cfg
}

var throttles = retry.ThrottleErrorCode{Codes: retry.DefaultThrottleErrorCodes}

func outcome(err error) string {
	var response *smithyhttp.ResponseError
	switch {
	case err == nil:
		return "succeeded"
	case throttles.IsErrorThrottle(err) == aws.TrueTernary:
		return "throttled"
	case !errors.As(err, &response) || response.HTTPStatusCode() == 0:
		return "unknown"
	case response.HTTPStatusCode() >= http.StatusInternalServerError:
		return "failed"
	}
	return "rejected"
}

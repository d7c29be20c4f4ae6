package reconcile

import (
	"context"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/time/rate"
)

// The share of the account's budget for ECS's read calls, which is 20 a second with bursts of 100 for all clients of
// the account. Source: "Request throttling for the Amazon ECS API" in the Amazon ECS API Reference.
const (
	callsPerSecond = 10
	callBurst      = 50
)

const (
	concurrentClusters = 8
	describeLimit      = 100              // ARNs in one Describe call
	callTimeout        = 45 * time.Second // includes the SDK's retries
)

// limitedClient limits the rate and duration of calls to ECS. The SDK's paginators accept it as a client.
type limitedClient struct {
	client   *ecs.Client
	limiter  *rate.Limiter
	requests prometheus.Counter
}

func newLimitedClient(client *ecs.Client, requests prometheus.Counter) *limitedClient {
	return &limitedClient{client, rate.NewLimiter(callsPerSecond, callBurst), requests}
}

func call[In, Out any](
	ctx context.Context, c *limitedClient, api func(context.Context, *In, ...func(*ecs.Options)) (*Out, error),
	input *In, options []func(*ecs.Options),
) (*Out, error) {
	if err := c.limiter.Wait(ctx); err != nil {
		return nil, err
	}
	c.requests.Inc()
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	return api(ctx, input, options...)
}

func (c *limitedClient) ListClusters(
	ctx context.Context, input *ecs.ListClustersInput, options ...func(*ecs.Options),
) (*ecs.ListClustersOutput, error) {
	return call(ctx, c, c.client.ListClusters, input, options)
}

func (c *limitedClient) ListContainerInstances(
	ctx context.Context, input *ecs.ListContainerInstancesInput, options ...func(*ecs.Options),
) (*ecs.ListContainerInstancesOutput, error) {
	return call(ctx, c, c.client.ListContainerInstances, input, options)
}

func (c *limitedClient) ListTasks(
	ctx context.Context, input *ecs.ListTasksInput, options ...func(*ecs.Options),
) (*ecs.ListTasksOutput, error) {
	return call(ctx, c, c.client.ListTasks, input, options)
}

func (c *limitedClient) DescribeClusters(
	ctx context.Context, input *ecs.DescribeClustersInput, options ...func(*ecs.Options),
) (*ecs.DescribeClustersOutput, error) {
	return call(ctx, c, c.client.DescribeClusters, input, options)
}

func (c *limitedClient) DescribeContainerInstances(
	ctx context.Context, input *ecs.DescribeContainerInstancesInput, options ...func(*ecs.Options),
) (*ecs.DescribeContainerInstancesOutput, error) {
	return call(ctx, c, c.client.DescribeContainerInstances, input, options)
}

func (c *limitedClient) DescribeTasks(
	ctx context.Context, input *ecs.DescribeTasksInput, options ...func(*ecs.Options),
) (*ecs.DescribeTasksOutput, error) {
	return call(ctx, c, c.client.DescribeTasks, input, options)
}

package reconcile

import (
	"context"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/blox/blox/internal/ecsclock"
)

const (
	concurrentClusters = 8
	periodicClusters   = 4                // of them, those that periodic reconciliations may occupy
	describeLimit      = 100              // ARNs in one Describe call
	callTimeout        = 45 * time.Second // includes the SDK's retries, and their waits for the API budget
)

// limitedClient limits the duration of calls to ECS, and learns ECS's time from the responses. The SDK's paginators
// accept it as a client.
type limitedClient struct {
	client   *ecs.Client
	requests prometheus.Counter
	clock    *ecsclock.Clock
}

func call[In, Out any](
	ctx context.Context, c *limitedClient, api func(context.Context, *In, ...func(*ecs.Options)) (*Out, error),
	input *In, options []func(*ecs.Options),
) (*Out, error) {
	c.requests.Inc()
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	return api(ctx, input, append(slices.Clip(options), c.clock.Option)...)
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

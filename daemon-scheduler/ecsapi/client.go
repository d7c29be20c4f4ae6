// Package ecsapi calls Amazon ECS for the scheduler. It keeps within ECS's API rate limits, classifies the outcome of
// calls, and resolves the clusters and task definitions that users name.
package ecsapi

import (
	"context"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/blox/blox/daemon-scheduler/environment"
	"github.com/blox/blox/internal/awsconfig"
)

// Sizes that ECS accepts in one call.
const (
	MaxInstancesPerStartTask = 10
	MaxAttributesPerCall     = 10
	maxTasksPerDescribe      = 100
)

// Client is the part of the ECS API that the scheduler uses. Reads take their tokens from Limits themselves.
//
// Modifications do not: a caller announces StartTask and attribute changes in etcd before the call, and an announcement
// expires, so the caller takes the token from Limits.Modifications before it announces.
type Client struct {
	Limits Limits
	ecs    *ecs.Client
}

// New returns a Client that calls ECS through client.
func New(client *ecs.Client, limits Limits) *Client { return &Client{Limits: limits, ecs: client} }

// StartTask sends input once, without the SDK's retries, because a second StartTask would start a second task.
func (c *Client) StartTask(ctx context.Context, input *ecs.StartTaskInput) (*ecs.StartTaskOutput, Outcome) {
	traced, option, sent := traceSent(ctx)
	out, err := c.ecs.StartTask(traced, input, awsconfig.NoRetry, option)
	return out, aboutStart(classify(err, sent()))
}

// StopTask stops a task. The SDK retries the call, which is idempotent.
func (c *Client) StopTask(ctx context.Context, input *ecs.StopTaskInput) Outcome {
	_, err := c.ecs.StopTask(ctx, input)
	return classify(err, true)
}

// PutAttributes sets attributes of container instances, without the SDK's retries.
func (c *Client) PutAttributes(ctx context.Context, cluster string, attributes []types.Attribute) Outcome {
	traced, option, sent := traceSent(ctx)
	input := &ecs.PutAttributesInput{Cluster: &cluster, Attributes: attributes}
	_, err := c.ecs.PutAttributes(traced, input, awsconfig.NoRetry, option)
	return classify(err, sent())
}

// DeleteAttributes removes attributes of container instances, without the SDK's retries.
func (c *Client) DeleteAttributes(ctx context.Context, cluster string, attributes []types.Attribute) Outcome {
	traced, option, sent := traceSent(ctx)
	input := &ecs.DeleteAttributesInput{Cluster: &cluster, Attributes: attributes}
	_, err := c.ecs.DeleteAttributes(traced, input, awsconfig.NoRetry, option)
	return classify(err, sent())
}

// ListTasks returns the ARNs of all tasks that match input, page by page.
func (c *Client) ListTasks(ctx context.Context, input *ecs.ListTasksInput) (arns []string, err error) {
	for pages := ecs.NewListTasksPaginator(c.ecs, input); pages.HasMorePages(); {
		if err := c.Limits.ResourceReads.Wait(ctx); err != nil {
			return nil, err
		}
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, err
		}
		arns = append(arns, page.TaskArns...)
	}
	return arns, nil
}

// DescribeTasks returns the tasks with those ARNs, and the ARNs that ECS reports as missing.
func (c *Client) DescribeTasks(
	ctx context.Context, cluster string, arns []string,
) (tasks []environment.Task, missing map[string]bool, err error) {
	missing = map[string]bool{}
	arns = slices.Compact(slices.Sorted(slices.Values(arns)))
	for chunk := range slices.Chunk(arns, maxTasksPerDescribe) {
		if err := c.Limits.ResourceReads.Wait(ctx); err != nil {
			return nil, nil, err
		}
		out, err := c.ecs.DescribeTasks(ctx, &ecs.DescribeTasksInput{Cluster: &cluster, Tasks: chunk})
		if err != nil {
			return nil, nil, err
		}
		for _, arn := range chunk {
			missing[arn] = true
		}
		for _, t := range out.Tasks {
			delete(missing, aws.ToString(t.TaskArn))
			tasks = append(tasks, task(t))
		}
	}
	return tasks, missing, nil
}

func task(t types.Task) environment.Task {
	return environment.Task{
		ARN: aws.ToString(t.TaskArn), Instance: aws.ToString(t.ContainerInstanceArn),
		StartedBy: aws.ToString(t.StartedBy), LastStatus: aws.ToString(t.LastStatus),
		DesiredStatus: aws.ToString(t.DesiredStatus), Group: aws.ToString(t.Group),
		StoppedReason: aws.ToString(t.StoppedReason), StopCode: string(t.StopCode),
		CreatedAt: aws.ToTime(t.CreatedAt), StartedAt: aws.ToTime(t.StartedAt), StoppedAt: aws.ToTime(t.StoppedAt),
	}
}

// Package ecsapi calls Amazon ECS for the scheduler. It keeps within ECS's API rate limits, classifies the outcome of
// calls, and resolves the clusters and task definitions that users name.
package ecsapi

import (
	"context"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/blox/blox/daemon-scheduler/environment"
	"github.com/blox/blox/internal/awsconfig"
	"github.com/blox/blox/internal/ecsclock"
	"github.com/blox/blox/internal/ecserrors"
	"github.com/blox/blox/internal/ratelimit"
)

// Sizes that ECS accepts in one call.
const (
	MaxInstancesPerStartTask = 10
	MaxAttributesPerCall     = 10
	MaxTasksPerDescribe      = 100
)

// Client is the part of the ECS API that the scheduler uses, in one account and region. Every attempt of a call takes a
// token from Limits.
//
// The first attempts of modifications do not: a caller announces StartTask and attribute changes in etcd before the
// call, and an announcement expires, so the caller takes the token from Limits.Modifications before it announces.
type Client struct {
	Limits ratelimit.ECS
	Alarms *Alarms // of CloudWatch, in the same account and region
	ecs    *ecs.Client
	clock  *ecsclock.Clock

	caller Caller
	all    *Clients
}

// StartTask sends input once, without the SDK's retries, because a second StartTask would start a second task.
func (c *Client) StartTask(ctx context.Context, input *ecs.StartTaskInput) (*ecs.StartTaskOutput, ecserrors.Outcome) {
	traced, option, sent := traceSent(ratelimit.WithPaid(ctx))
	out, err := c.ecs.StartTask(traced, input, awsconfig.NoRetry, option)
	return out, aboutStart(ecserrors.Classify(err, sent()))
}

// StopTask stops a task. The SDK retries the call, which is idempotent.
func (c *Client) StopTask(ctx context.Context, input *ecs.StopTaskInput) ecserrors.Outcome {
	_, err := c.ecs.StopTask(ratelimit.WithPaid(ctx), input)
	return ecserrors.Classify(err, true)
}

// PutAttributes sets attributes of container instances, without the SDK's retries.
func (c *Client) PutAttributes(ctx context.Context, cluster string, attributes []types.Attribute) ecserrors.Outcome {
	traced, option, sent := traceSent(ratelimit.WithPaid(ctx))
	input := &ecs.PutAttributesInput{Cluster: &cluster, Attributes: attributes}
	_, err := c.ecs.PutAttributes(traced, input, awsconfig.NoRetry, option)
	return ecserrors.Classify(err, sent())
}

// DeleteAttributes removes attributes of container instances, without the SDK's retries.
func (c *Client) DeleteAttributes(ctx context.Context, cluster string, attributes []types.Attribute) ecserrors.Outcome {
	traced, option, sent := traceSent(ratelimit.WithPaid(ctx))
	input := &ecs.DeleteAttributesInput{Cluster: &cluster, Attributes: attributes}
	_, err := c.ecs.DeleteAttributes(traced, input, awsconfig.NoRetry, option)
	return ecserrors.Classify(err, sent())
}

// ListAttributes returns the values of one attribute of a cluster's instances, by instance ARN, page by page.
func (c *Client) ListAttributes(ctx context.Context, cluster, name string) (values map[string]string, err error) {
	values = map[string]string{}
	input := &ecs.ListAttributesInput{
		Cluster: &cluster, AttributeName: &name, TargetType: types.TargetTypeContainerInstance,
	}
	for pages := ecs.NewListAttributesPaginator(c.ecs, input); pages.HasMorePages(); {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, err
		}
		for _, a := range page.Attributes {
			values[aws.ToString(a.TargetId)] = aws.ToString(a.Value)
		}
	}
	return values, nil
}

// ListTasks returns the ARNs of all tasks that match input, page by page.
func (c *Client) ListTasks(ctx context.Context, input *ecs.ListTasksInput) (arns []string, err error) {
	for pages := ecs.NewListTasksPaginator(c.ecs, input); pages.HasMorePages(); {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, err
		}
		arns = append(arns, page.TaskArns...)
	}
	return arns, nil
}

// Now returns the time by ECS's clock; see ecsclock.Clock.
func (c *Client) Now() time.Time { return c.clock.Now() }

// DescribeTasks returns the tasks with those ARNs, and the ARNs that ECS reports as missing.
func (c *Client) DescribeTasks(
	ctx context.Context, cluster string, arns []string,
) (tasks []environment.Task, missing map[string]bool, err error) {
	missing = map[string]bool{}
	err = c.describeTasks(ctx, cluster, arns, func(chunk []string, described []types.Task) {
		for _, arn := range chunk {
			missing[arn] = true
		}
		for _, t := range described {
			delete(missing, aws.ToString(t.TaskArn))
			tasks = append(tasks, task(t))
		}
	})
	if err != nil {
		return nil, nil, err
	}
	return tasks, missing, nil
}

// describeTasks describes the tasks with those ARNs, as many in a call as ECS accepts.
func (c *Client) describeTasks(
	ctx context.Context, cluster string, arns []string, receive func(arns []string, described []types.Task),
) error {
	arns = slices.Compact(slices.Sorted(slices.Values(arns)))
	for chunk := range slices.Chunk(arns, MaxTasksPerDescribe) {
		out, err := c.ecs.DescribeTasks(ctx, &ecs.DescribeTasksInput{Cluster: &cluster, Tasks: chunk})
		if err != nil {
			return err
		}
		receive(chunk, out.Tasks)
	}
	return nil
}

func task(t types.Task) environment.Task {
	var containers []environment.Container
	for _, c := range t.Containers {
		converted := environment.Container{Name: aws.ToString(c.Name), Reason: aws.ToString(c.Reason)}
		if c.ExitCode != nil {
			converted.ExitCode = aws.Int64(int64(*c.ExitCode))
		}
		if converted.ExitCode != nil || converted.Reason != "" {
			containers = append(containers, converted)
		}
	}
	return environment.Task{
		ARN: aws.ToString(t.TaskArn), Instance: aws.ToString(t.ContainerInstanceArn),
		StartedBy: aws.ToString(t.StartedBy), LastStatus: aws.ToString(t.LastStatus),
		DesiredStatus: aws.ToString(t.DesiredStatus), Group: aws.ToString(t.Group),
		StoppedReason: aws.ToString(t.StoppedReason), StopCode: string(t.StopCode),
		CreatedAt: aws.ToTime(t.CreatedAt), StartedAt: aws.ToTime(t.StartedAt), StoppedAt: aws.ToTime(t.StoppedAt),
		Containers: containers,
	}
}

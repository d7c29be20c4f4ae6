package ecsapi

import (
	"context"
	"errors"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/blox/blox/daemon-scheduler/environment"
)

// HealthChecks returns the names of the essential containers of a task definition, given by its ARN, that have a health
// check. It calls ECS once for each task definition. One that ECS no longer knows has none.
func (c *Client) HealthChecks(ctx context.Context, taskDefinition string) ([]string, error) {
	if known, ok := c.all.healthChecks.Load(taskDefinition); ok {
		return known.([]string), nil
	}
	_, err := c.TaskDefinition(ctx, taskDefinition)
	if known, ok := c.all.healthChecks.Load(taskDefinition); ok { // also of one that is INACTIVE
		return known.([]string), nil
	}
	if errors.Is(err, environment.ErrTaskDefinitionNotFound) || err == nil {
		return nil, nil
	}
	return nil, fmt.Errorf("read the health checks of %s: %w", taskDefinition, err)
}

func (c *Client) rememberHealthChecks(t *types.TaskDefinition) {
	var names []string
	for _, container := range t.ContainerDefinitions {
		if container.HealthCheck != nil && (container.Essential == nil || *container.Essential) {
			names = append(names, aws.ToString(container.Name))
		}
	}
	c.all.healthChecks.Store(aws.ToString(t.TaskDefinitionArn), names)
}

// ContainerHealth returns the results of the health checks of RUNNING tasks, by task ARN and container. It leaves out
// tasks that are not RUNNING.
func (c *Client) ContainerHealth(
	ctx context.Context, cluster string, tasks []string,
) (map[string]map[string]environment.HealthStatus, error) {
	results := map[string]map[string]environment.HealthStatus{}
	err := c.describeTasks(ctx, cluster, tasks, func(_ []string, described []types.Task) {
		for _, t := range described {
			if !task(t).Running() {
				continue
			}
			containers := map[string]environment.HealthStatus{}
			for _, container := range t.Containers {
				containers[aws.ToString(container.Name)] = environment.HealthStatus(container.HealthStatus)
			}
			results[aws.ToString(t.TaskArn)] = containers
		}
	})
	return results, err
}

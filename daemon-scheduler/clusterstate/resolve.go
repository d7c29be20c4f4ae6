package clusterstate

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"
	"golang.org/x/time/rate"

	"github.com/blox/blox/daemon-scheduler/environment"
)

// resolveTimeout is for one question to ECS, with its retries.
const resolveTimeout = 10 * time.Second

// Resolver finds what users name.
type Resolver struct {
	ECS *ecs.Client
	// Clusters and Definitions limit the calls of DescribeClusters and DescribeTaskDefinition; nil does not.
	Clusters, Definitions *rate.Limiter
}

// wait takes its turn among the calls that limiter allows; environment.ErrECSUnavailable when that takes too long.
func wait(ctx context.Context, limiter *rate.Limiter) error {
	if limiter == nil {
		return nil
	}
	if err := limiter.Wait(ctx); err != nil {
		return errors.Join(environment.ErrECSUnavailable, err)
	}
	return nil
}

// Cluster is the ARN of an ACTIVE cluster, given by name or ARN. Errors are environment.ErrClusterNotFound,
// ErrClusterInactive and ErrUnavailable.
func (r Resolver) Cluster(ctx context.Context, given string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, resolveTimeout)
	defer cancel()
	if err := wait(ctx, r.Clusters); err != nil {
		return "", fmt.Errorf("describe cluster %.300q: %w", given, err)
	}
	out, err := r.ECS.DescribeClusters(ctx, &ecs.DescribeClustersInput{Clusters: []string{given}})
	if err != nil {
		return "", fmt.Errorf("describe cluster %.300q: %w", given, classify(err, environment.ErrClusterNotFound))
	}
	if len(out.Clusters) == 0 {
		return "", environment.ErrClusterNotFound
	}
	switch aws.ToString(out.Clusters[0].Status) {
	case "INACTIVE", "DEPROVISIONING", "FAILED":
		return "", environment.ErrClusterInactive
	}
	return aws.ToString(out.Clusters[0].ClusterArn), nil
}

// TaskDefinition is an ACTIVE task definition, given by family, family:revision or ARN. Errors are environment.ErrTaskDefinitionNotFound, ErrTaskDefinitionInactive and ErrUnavailable.
func (r Resolver) TaskDefinition(ctx context.Context, given string) (environment.TaskDefinition, error) {
	ctx, cancel := context.WithTimeout(ctx, resolveTimeout)
	defer cancel()
	if err := wait(ctx, r.Definitions); err != nil {
		return environment.TaskDefinition{}, fmt.Errorf("describe task definition %.300q: %w", given, err)
	}
	out, err := r.ECS.DescribeTaskDefinition(ctx, &ecs.DescribeTaskDefinitionInput{TaskDefinition: &given})
	if err != nil {
		return environment.TaskDefinition{}, fmt.Errorf("describe task definition %.300q: %w", given, classify(err, environment.ErrTaskDefinitionNotFound))
	}
	if out.TaskDefinition == nil {
		return environment.TaskDefinition{}, environment.ErrTaskDefinitionNotFound
	}
	if out.TaskDefinition.Status != types.TaskDefinitionStatusActive {
		return environment.TaskDefinition{}, environment.ErrTaskDefinitionInactive
	}
	return definition(out.TaskDefinition), nil
}

func definition(t *types.TaskDefinition) environment.TaskDefinition {
	d := environment.TaskDefinition{ARN: aws.ToString(t.TaskDefinitionArn), NetworkMode: string(t.NetworkMode)}
	for _, c := range t.ContainerDefinitions {
		d.Containers = append(d.Containers, aws.ToString(c.Name))
		for _, port := range c.PortMappings {
			onHost := t.NetworkMode == types.NetworkModeHost || aws.ToInt32(port.HostPort) != 0
			d.StaticPorts = d.StaticPorts || onHost && t.NetworkMode != types.NetworkModeAwsvpc // there each task has its own address
		}
	}
	return d
}

var throttles = retry.ThrottleErrorCode{Codes: retry.DefaultThrottleErrorCodes}

// classify adds to ECS's error what it means: unknown, for what ECS calls the client's mistake; ErrUnavailable, for
// throttling and outages; or nothing, for what only an operator can put right.
func classify(err, unknown error) error {
	var response *smithyhttp.ResponseError
	var api smithy.APIError
	switch {
	case throttles.IsErrorThrottle(err) == aws.TrueTernary:
		return errors.Join(environment.ErrECSUnavailable, err)
	case errors.As(err, &api):
		switch api.ErrorCode() {
		case "ClientException", "InvalidParameterException", "ClusterNotFoundException":
			return errors.Join(unknown, err)
		}
	}
	if errors.As(err, &response) && response.HTTPStatusCode()/100 == 4 { // 0 without an answer
		return err
	}
	return errors.Join(environment.ErrECSUnavailable, err)
}

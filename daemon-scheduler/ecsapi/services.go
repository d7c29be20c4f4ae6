package ecsapi

import (
	"context"
	"fmt"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/blox/blox/daemon-scheduler/environment"
	"github.com/blox/blox/internal/ecserrors"
)

const maxServicesPerDescribe = 10

// DaemonServices returns, by name, whether each of the named services is a DAEMON service. Those that ECS does not know
// are none.
func (c *Client) DaemonServices(ctx context.Context, cluster string, names []string) (map[string]bool, error) {
	daemon := map[string]bool{}
	for chunk := range slices.Chunk(names, maxServicesPerDescribe) {
		out, err := c.ecs.DescribeServices(ctx, &ecs.DescribeServicesInput{Cluster: &cluster, Services: chunk})
		if err != nil {
			return nil, err
		}
		for _, name := range chunk {
			daemon[name] = false
		}
		for _, s := range out.Services {
			daemon[aws.ToString(s.ServiceName)] = s.SchedulingStrategy == types.SchedulingStrategyDaemon
		}
	}
	return daemon, nil
}

// Service returns a service of a cluster, given its name or ARN. Errors are environment.ErrServiceNotFound and
// those of describe.
func (c *Client) Service(ctx context.Context, cluster, given string) (environment.Service, error) {
	ctx, cancel := context.WithTimeout(ctx, resolveTimeout)
	defer cancel()
	out, err := describe(c, environment.ServiceNotFound(given),
		func() (*ecs.DescribeServicesOutput, error) {
			return c.ecs.DescribeServices(ctx, &ecs.DescribeServicesInput{Cluster: &cluster, Services: []string{given}})
		})
	if err != nil {
		return environment.Service{}, fmt.Errorf("describe service %.300q: %w", given, err)
	}
	if len(out.Services) == 0 || aws.ToString(out.Services[0].Status) == "INACTIVE" {
		return environment.Service{}, environment.ServiceNotFound(given)
	}
	return service(out.Services[0]), nil
}

func service(s types.Service) environment.Service {
	shown := environment.Service{
		ARN: aws.ToString(s.ServiceArn), Name: aws.ToString(s.ServiceName), Status: aws.ToString(s.Status),
		Daemon: s.SchedulingStrategy == types.SchedulingStrategyDaemon, TaskDefinition: aws.ToString(s.TaskDefinition),
		Balanced: len(s.LoadBalancers)+len(s.ServiceRegistries) > 0,
	}
	if s.DeploymentController != nil {
		shown.Controller = string(s.DeploymentController.Type)
	}
	for _, c := range s.PlacementConstraints {
		shown.Constraints = append(shown.Constraints, environment.PlacementConstraint{
			Type: string(c.Type), Expression: aws.ToString(c.Expression),
		})
	}
	if n := s.NetworkConfiguration; n != nil && n.AwsvpcConfiguration != nil {
		shown.Network = &environment.AwsVpcConfiguration{
			Subnets: n.AwsvpcConfiguration.Subnets, SecurityGroups: n.AwsvpcConfiguration.SecurityGroups,
			AssignPublicIP: string(n.AwsvpcConfiguration.AssignPublicIp),
		}
	}
	return shown
}

// ConstrainService replaces the placement constraints of a service. The call is idempotent, so the SDK retries it.
func (c *Client) ConstrainService(
	ctx context.Context, cluster, service string, constraints []environment.PlacementConstraint,
) ecserrors.Outcome {
	input := &ecs.UpdateServiceInput{
		Cluster: &cluster, Service: &service, PlacementConstraints: []types.PlacementConstraint{}, // empty removes all
	}
	for _, one := range constraints {
		constraint := types.PlacementConstraint{Type: types.PlacementConstraintType(one.Type)}
		if one.Expression != "" {
			constraint.Expression = &one.Expression
		}
		input.PlacementConstraints = append(input.PlacementConstraints, constraint)
	}
	_, err := c.ecs.UpdateService(ctx, input)
	return ecserrors.Classify(err, true)
}

// DeleteService deletes a service. One that does not exist any more counts as deleted.
func (c *Client) DeleteService(ctx context.Context, cluster, service string) ecserrors.Outcome {
	_, err := c.ecs.DeleteService(ctx, &ecs.DeleteServiceInput{Cluster: &cluster, Service: &service})
	outcome := ecserrors.Classify(err, true)
	if outcome.Code == "ServiceNotFoundException" || outcome.Code == "ServiceNotActiveException" {
		return ecserrors.Outcome{Class: ecserrors.Succeeded}
	}
	return outcome
}

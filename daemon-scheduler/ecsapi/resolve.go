package ecsapi

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/blox/blox/daemon-scheduler/environment"
	"github.com/blox/blox/internal/arn"
	"github.com/blox/blox/internal/ecserrors"
)

// resolveTimeout limits one lookup, its retries and its wait for a token included.
const resolveTimeout = 10 * time.Second

// Cluster returns the ARN of an ACTIVE cluster, given its name or ARN. Errors are environment.ErrClusterNotFound,
// ErrClusterInactive, ErrRoleRequired, ErrPartitionMismatch and those of describe.
func (c *Client) Cluster(ctx context.Context, given string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, resolveTimeout)
	defer cancel()
	if err := checkPartition(given, c.all.ownRegion()); err != nil {
		return "", err
	}
	out, err := c.describeCluster(ctx, given)
	if err != nil {
		return "", fmt.Errorf("describe cluster %.300q: %w", given, c.explain(ctx, given, err))
	}
	if len(out.Clusters) == 0 {
		return "", environment.ClusterNotFound(given)
	}
	switch aws.ToString(out.Clusters[0].Status) {
	case "INACTIVE", "DEPROVISIONING", "FAILED":
		return "", environment.ErrClusterInactive
	}
	found := aws.ToString(out.Clusters[0].ClusterArn)
	if !c.caller.Role.IsSet() {
		c.all.LearnAccount(found)
	}
	return found, nil
}

func (c *Client) describeCluster(ctx context.Context, given string) (*ecs.DescribeClustersOutput, error) {
	return describe(c, environment.ClusterNotFound(given),
		func() (*ecs.DescribeClustersOutput, error) {
			return c.ecs.DescribeClusters(ctx, &ecs.DescribeClustersInput{Clusters: []string{given}})
		})
}

// explain returns why ECS rejects to describe a cluster, given its name or ARN: without a role, the cluster of another
// account. ECS rejects that as it refuses a malformed ARN, but the cluster may well exist and run tasks, so the error
// must not be ErrClusterNotFound: a deletion would end.
func (c *Client) explain(ctx context.Context, given string, refusal error) error {
	cluster, err := arn.ParseKind(given, arn.Cluster)
	denied := errors.Is(refusal, environment.ErrClusterNotFound) || errors.Is(refusal, environment.ErrECSAccessDenied)
	if err != nil || !denied || c.caller.Role.IsSet() {
		return refusal
	}
	own, err := c.ownAccount(ctx, cluster.ID)
	switch {
	case err != nil:
		return err
	case own != "" && own != cluster.Account:
		return environment.RoleRequired(given, cluster.Account, own)
	}
	return refusal
}

// ownAccount returns the account of the client's credentials. ECS answers a cluster's name with an ARN of that account,
// whether the cluster exists or not. Empty means that its answer has none.
func (c *Client) ownAccount(ctx context.Context, clusterName string) (string, error) {
	out, err := c.describeCluster(ctx, clusterName)
	if err != nil {
		return "", err
	}
	for _, found := range out.Clusters {
		if parsed, err := arn.ParseKind(aws.ToString(found.ClusterArn), arn.Cluster); err == nil {
			return parsed.Account, nil
		}
	}
	for _, failed := range out.Failures {
		if parsed, err := arn.ParseKind(aws.ToString(failed.Arn), arn.Cluster); err == nil {
			return parsed.Account, nil
		}
	}
	return "", nil
}

// TaskDefinition returns an ACTIVE task definition, given its family, family:revision or ARN. Errors are
// environment.ErrTaskDefinitionNotFound, ErrTaskDefinitionInactive and those of describe.
func (c *Client) TaskDefinition(ctx context.Context, given string) (environment.TaskDefinition, error) {
	ctx, cancel := context.WithTimeout(ctx, resolveTimeout)
	defer cancel()
	out, err := describe(c, environment.TaskDefinitionNotFound(given),
		func() (*ecs.DescribeTaskDefinitionOutput, error) {
			return c.ecs.DescribeTaskDefinition(ctx, &ecs.DescribeTaskDefinitionInput{TaskDefinition: &given})
		})
	if err != nil {
		return environment.TaskDefinition{}, fmt.Errorf("describe task definition %.300q: %w", given, err)
	}
	if out.TaskDefinition == nil {
		return environment.TaskDefinition{}, environment.TaskDefinitionNotFound(given)
	}
	c.rememberHealthChecks(out.TaskDefinition)
	if out.TaskDefinition.Status != types.TaskDefinitionStatusActive {
		return environment.TaskDefinition{}, environment.ErrTaskDefinitionInactive
	}
	return definition(out.TaskDefinition), nil
}

// notFoundCodes are the errors by which ECS reports that it does not know the resource of a lookup.
var notFoundCodes = []string{"ClientException", "InvalidParameterException", "ClusterNotFoundException"}

// describe makes a call. Its error is notFound if ECS blames the request. The other errors are the errors of package
// environment about ECS and roles; one that ECS returns for another reason stays as it is.
func describe[Out any](c *Client, notFound error, call func() (Out, error)) (Out, error) {
	var none Out
	out, err := call()
	outcome := ecserrors.Classify(err, true)
	switch outcome.Cause() {
	case "":
		return out, nil
	case ecserrors.CauseRole:
		return none, &refused{environment.RoleNotAssumed(outcome.Role, outcome.Code+": "+outcome.Message), err}
	case ecserrors.CauseCredentials:
		return none, &refused{environment.ECSCredentialsExpired(outcome.Code, c.foreignRegion()), err}
	case ecserrors.CauseAccess:
		return none, &refused{environment.ECSAccessDenied(outcome.Code, outcome.Message), err}
	case ecserrors.CauseThrottle:
		return none, errors.Join(environment.ErrECSThrottled, err)
	case ecserrors.CauseSTS:
		return none, &refused{environment.STSUnavailable(outcome.Role, outcome.Code), err}
	case ecserrors.CauseUnavailable:
		return none, &refused{environment.ECSUnavailable(c.foreignRegion()), err}
	}
	if slices.Contains(notFoundCodes, outcome.Code) {
		return none, notFound // ECS's own text adds nothing
	}
	return none, err
}

// foreignRegion returns the client's region; empty if it is the scheduler's own.
func (c *Client) foreignRegion() string {
	if c.caller.Region == c.all.ownRegion() {
		return ""
	}
	return c.caller.Region
}

func definition(t *types.TaskDefinition) environment.TaskDefinition {
	d := environment.TaskDefinition{ARN: aws.ToString(t.TaskDefinitionArn), NetworkMode: string(t.NetworkMode)}
	for _, v := range t.Volumes {
		if aws.ToBool(v.ConfiguredAtLaunch) {
			d.LaunchVolumes = append(d.LaunchVolumes, aws.ToString(v.Name))
		}
	}
	for _, c := range t.ContainerDefinitions {
		d.Containers = append(d.Containers, aws.ToString(c.Name))
		for _, port := range c.PortMappings {
			onHost := t.NetworkMode == types.NetworkModeHost || aws.ToInt32(port.HostPort) != 0
			// With awsvpc, each task has its own address, so its ports never collide.
			d.StaticPorts = d.StaticPorts || onHost && t.NetworkMode != types.NetworkModeAwsvpc
		}
	}
	return d
}

// refused is an error for clients that keeps the error of the call.
type refused struct{ kind, call error }

func (e *refused) Error() string   { return e.kind.Error() }
func (e *refused) Unwrap() []error { return []error{e.kind, e.call} }

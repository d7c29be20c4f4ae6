package reconcile

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
	"github.com/go-openapi/swag/conv"
	"github.com/sirupsen/logrus"

	"github.com/blox/blox/cluster-state-service/state"
)

// ecsReader reads clusters, container instances and tasks from ECS.
type ecsReader struct {
	client *limitedClient
	log    logrus.FieldLogger
}

// now returns the time by ECS's clock.
func (r ecsReader) now() time.Time { return r.client.clock.Now() }

// paginator is what the SDK's paginators have in common.
type paginator[Output any] interface {
	HasMorePages() bool
	NextPage(ctx context.Context, options ...func(*ecs.Options)) (Output, error)
}

// collect returns the ARNs of all pages. It fails if ECS returns the same token twice, which would never end.
func collect[Output any](
	ctx context.Context, p paginator[Output], page func(Output) (arns []string, nextToken *string),
) ([]string, error) {
	var all []string
	previous := ""
	for p.HasMorePages() {
		output, err := p.NextPage(ctx)
		if err != nil {
			return nil, err
		}
		arns, nextToken := page(output)
		all = append(all, arns...)
		token := conv.Value(nextToken)
		if token != "" && token == previous {
			return nil, errors.New("ECS returned the same page token twice")
		}
		previous = token
	}
	return all, nil
}

func (r ecsReader) listClusters(ctx context.Context) ([]string, error) {
	p := ecs.NewListClustersPaginator(r.client, &ecs.ListClustersInput{})
	arns, err := collect(ctx, p, func(o *ecs.ListClustersOutput) ([]string, *string) { return o.ClusterArns, o.NextToken })
	if err != nil {
		return nil, fmt.Errorf("list clusters: %w", err)
	}
	return arns, nil
}

// describeClusters returns which of the clusters are active and which are deleted. Without ARNs ECS describes the
// default cluster.
func (r ecsReader) describeClusters(ctx context.Context, arns []string) (active, deleted []string, err error) {
	chunks := slices.Collect(slices.Chunk(arns, describeLimit))
	if len(arns) == 0 {
		chunks = [][]string{nil}
	}
	for _, chunk := range chunks {
		output, err := r.client.DescribeClusters(ctx, &ecs.DescribeClustersInput{Clusters: chunk})
		if err != nil {
			return nil, nil, fmt.Errorf("describe clusters: %w", err)
		}
		for _, c := range output.Clusters {
			if conv.Value(c.Status) == "INACTIVE" {
				deleted = append(deleted, conv.Value(c.ClusterArn))
			} else {
				active = append(active, conv.Value(c.ClusterArn))
			}
		}
		deleted = append(deleted, missingARNs(output.Failures)...)
	}
	return active, deleted, nil
}

// countClusters returns ECS's counts by cluster ARN. It leaves out the clusters that the caller may not describe.
func (r ecsReader) countClusters(ctx context.Context, arns []string) (map[string]clusterCounts, error) {
	counts := map[string]clusterCounts{}
	for chunk := range slices.Chunk(arns, describeLimit) {
		if err := r.countInto(ctx, counts, chunk); err != nil {
			return counts, fmt.Errorf("describe clusters: %w", err)
		}
	}
	return counts, nil
}

// countInto adds the counts of at most describeLimit clusters. ECS rejects the whole call if it refuses one of them, so
// a refused call is repeated for each half.
func (r ecsReader) countInto(ctx context.Context, counts map[string]clusterCounts, arns []string) error {
	output, err := r.client.DescribeClusters(ctx, &ecs.DescribeClustersInput{Clusters: arns})
	var denied *types.AccessDeniedException
	switch {
	case errors.As(err, &denied) && len(arns) == 1:
		return nil
	case errors.As(err, &denied):
		half := len(arns) / 2
		if err := r.countInto(ctx, counts, arns[:half]); err != nil {
			return err
		}
		return r.countInto(ctx, counts, arns[half:])
	case err != nil:
		return err
	}
	for _, c := range output.Clusters {
		counts[conv.Value(c.ClusterArn)] = clusterCounts{
			int(c.RegisteredContainerInstancesCount), int(c.RunningTasksCount), int(c.PendingTasksCount),
		}
	}
	return nil
}

func (r ecsReader) listInstances(ctx context.Context, cluster string) ([]string, error) {
	p := ecs.NewListContainerInstancesPaginator(r.client, &ecs.ListContainerInstancesInput{Cluster: &cluster})
	arns, err := collect(ctx, p, func(o *ecs.ListContainerInstancesOutput) ([]string, *string) {
		return o.ContainerInstanceArns, o.NextToken
	})
	if err != nil {
		return nil, fmt.Errorf("list container instances of %s: %w", cluster, err)
	}
	return arns, nil
}

// listTasks lists running and stopped tasks.
func (r ecsReader) listTasks(ctx context.Context, cluster string) ([]string, error) {
	var all []string
	for _, status := range []types.DesiredStatus{types.DesiredStatusRunning, types.DesiredStatusStopped} {
		p := ecs.NewListTasksPaginator(r.client, &ecs.ListTasksInput{Cluster: &cluster, DesiredStatus: status})
		arns, err := collect(ctx, p, func(o *ecs.ListTasksOutput) ([]string, *string) { return o.TaskArns, o.NextToken })
		if err != nil {
			return nil, fmt.Errorf("list %s tasks of %s: %w", status, cluster, err)
		}
		all = append(all, arns...)
	}
	return all, nil
}

func (r ecsReader) describeInstances(
	ctx context.Context, cluster string, arns []string,
) (result description[state.Instance], err error) {
	for chunk := range slices.Chunk(arns, describeLimit) {
		output, err := r.client.DescribeContainerInstances(ctx, &ecs.DescribeContainerInstancesInput{
			Cluster: &cluster, ContainerInstances: chunk,
			Include: []types.ContainerInstanceField{types.ContainerInstanceFieldContainerInstanceHealth},
		})
		if err != nil {
			return result, fmt.Errorf("describe container instances of %s: %w", cluster, err)
		}
		now := r.now()
		for _, i := range output.ContainerInstances {
			// Events contain the cluster's ARN, and the output of Describe does not.
			clusterARN := map[string]any{"clusterArn": cluster}
			d, err := convert("ECS Container Instance State Change", conv.Value(i.ContainerInstanceArn), i, clusterARN, now,
				state.DecodeInstance, state.Instance.Key)
			if err != nil {
				r.log.WithError(err).Error("malformed container instance from ECS skipped")
				continue
			}
			d.version = i.Version
			d.inactive = d.entity.Status == "INACTIVE"
			result.present = append(result.present, d)
		}
		result.missing = append(result.missing, missingARNs(output.Failures)...)
	}
	return result, nil
}

func (r ecsReader) describeTasks(
	ctx context.Context, cluster string, arns []string,
) (result description[state.Task], err error) {
	for chunk := range slices.Chunk(arns, describeLimit) {
		output, err := r.client.DescribeTasks(ctx, &ecs.DescribeTasksInput{Cluster: &cluster, Tasks: chunk})
		if err != nil {
			return result, fmt.Errorf("describe tasks of %s: %w", cluster, err)
		}
		now := r.now()
		for _, t := range output.Tasks {
			d, err := convert("ECS Task State Change", conv.Value(t.TaskArn), t, nil, now,
				state.DecodeTask, state.Task.Key)
			if err != nil {
				r.log.WithError(err).Error("malformed task from ECS skipped")
				continue
			}
			d.version = t.Version
			result.present = append(result.present, d)
		}
		result.missing = append(result.missing, missingARNs(output.Failures)...)
	}
	return result, nil
}

// convert encodes the output of Describe as an event and decodes it in the same way as stored records are decoded.
func convert[T any](
	detailType, entityARN string, detail any, extra map[string]any, now time.Time,
	decode func([]byte) (T, error), key func(T) (state.Key, error),
) (d described[T], err error) {
	if d.value, err = encode(detailType, entityARN, detail, extra, now); err != nil {
		return d, err
	}
	if d.entity, err = decode(d.value); err != nil {
		return d, err
	}
	d.key, err = key(d.entity)
	return d, err
}

func missingARNs(failures []types.Failure) []string {
	var missing []string
	for _, f := range failures {
		if conv.Value(f.Reason) == "MISSING" {
			missing = append(missing, conv.Value(f.Arn))
		}
	}
	return missing
}

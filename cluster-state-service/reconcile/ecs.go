package reconcile

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/sirupsen/logrus"
	"golang.org/x/time/rate"

	"github.com/blox/blox/cluster-state-service/state"
)

const (
	describeLimit = 100              // ARNs in one Describe call
	callTimeout   = 45 * time.Second // with the SDK's retries
)

// reader asks ECS, within the budget.
type reader struct {
	client *ecs.Client
	budget *rate.Limiter
	log    logrus.FieldLogger
	calls  prometheus.Counter
}

// call waits for the budget and gives the call its deadline.
func call[In, Out any](ctx context.Context, r reader, api func(context.Context, *In, ...func(*ecs.Options)) (*Out, error), in *In) (*Out, error) {
	if err := r.budget.Wait(ctx); err != nil {
		return nil, err
	}
	r.calls.Inc()
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	return api(ctx, in)
}

// pages gathers ARNs until there is no next token.
func pages(next func(token *string) ([]string, *string, error)) ([]string, error) {
	var all []string
	for token := (*string)(nil); ; {
		arns, following, err := next(token)
		if err != nil {
			return nil, err
		}
		all = append(all, arns...)
		if following == nil {
			return all, nil
		}
		if token != nil && *token == *following {
			return nil, errors.New("ECS answers the same page again and again")
		}
		token = following
	}
}

func (r reader) clusters(ctx context.Context) ([]string, error) {
	arns, err := pages(func(token *string) ([]string, *string, error) {
		out, err := call(ctx, r, r.client.ListClusters, &ecs.ListClustersInput{NextToken: token})
		if err != nil {
			return nil, nil, err
		}
		return out.ClusterArns, out.NextToken, nil
	})
	if err != nil {
		return nil, fmt.Errorf("list clusters: %w", err)
	}
	return arns, nil
}

// describeClusters returns which of the clusters are in use, which are not any more, and, of none given, the default one.
func (r reader) describeClusters(ctx context.Context, arns []string) (active, gone []string, err error) {
	for chunk := range chunks(arns) {
		out, err := call(ctx, r, r.client.DescribeClusters, &ecs.DescribeClustersInput{Clusters: chunk})
		if err != nil {
			return nil, nil, fmt.Errorf("describe clusters: %w", err)
		}
		for _, c := range out.Clusters {
			if aws.ToString(c.Status) == "INACTIVE" {
				gone = append(gone, aws.ToString(c.ClusterArn))
			} else {
				active = append(active, aws.ToString(c.ClusterArn))
			}
		}
		for _, f := range out.Failures {
			if aws.ToString(f.Reason) == "MISSING" {
				gone = append(gone, aws.ToString(f.Arn))
			}
		}
	}
	return active, gone, nil
}

// chunks yields up to 100 ARNs at a time, and an empty chunk when there are none.
func chunks(arns []string) func(yield func([]string) bool) {
	if len(arns) == 0 {
		return func(yield func([]string) bool) { yield(nil) }
	}
	return slices.Chunk(arns, describeLimit)
}

func (r reader) instanceARNs(ctx context.Context, cluster string) ([]string, error) {
	arns, err := pages(func(token *string) ([]string, *string, error) {
		out, err := call(ctx, r, r.client.ListContainerInstances, &ecs.ListContainerInstancesInput{Cluster: &cluster, NextToken: token})
		if err != nil {
			return nil, nil, err
		}
		return out.ContainerInstanceArns, out.NextToken, nil
	})
	if err != nil {
		return nil, fmt.Errorf("list container instances of %s: %w", cluster, err)
	}
	return arns, nil
}

// taskARNs lists running and stopped tasks.
func (r reader) taskARNs(ctx context.Context, cluster string) ([]string, error) {
	var all []string
	for _, desired := range []types.DesiredStatus{types.DesiredStatusRunning, types.DesiredStatusStopped} {
		arns, err := pages(func(token *string) ([]string, *string, error) {
			out, err := call(ctx, r, r.client.ListTasks, &ecs.ListTasksInput{Cluster: &cluster, DesiredStatus: desired, NextToken: token})
			if err != nil {
				return nil, nil, err
			}
			return out.TaskArns, out.NextToken, nil
		})
		if err != nil {
			return nil, fmt.Errorf("list %s tasks of %s: %w", desired, cluster, err)
		}
		all = append(all, arns...)
	}
	return all, nil
}

// instances describes; what ECS calls missing is returned beside.
func (r reader) instances(ctx context.Context, cluster string, arns []string) (present []found[state.Instance], missing []string, err error) {
	for chunk := range slices.Chunk(arns, describeLimit) {
		out, err := call(ctx, r, r.client.DescribeContainerInstances, &ecs.DescribeContainerInstancesInput{
			Cluster: &cluster, ContainerInstances: chunk,
		})
		if err != nil {
			return nil, nil, fmt.Errorf("describe container instances of %s: %w", cluster, err)
		}
		now := time.Now()
		for _, i := range out.ContainerInstances {
			// Describe leaves out the cluster, which events name.
			f, err := describe("ECS Container Instance State Change", aws.ToString(i.ContainerInstanceArn), i,
				map[string]any{"clusterArn": cluster}, now, state.DecodeInstance, state.Instance.Key)
			if err != nil {
				r.log.WithError(err).Error("skip what ECS describes")
				continue
			}
			f.version, f.inactive = i.Version, f.entity.Status == "INACTIVE"
			present = append(present, f)
		}
		missing = append(missing, missingARNs(out.Failures)...)
	}
	return present, missing, nil
}

// tasks describes; what ECS calls missing is returned beside.
func (r reader) tasks(ctx context.Context, cluster string, arns []string) (present []found[state.Task], missing []string, err error) {
	for chunk := range slices.Chunk(arns, describeLimit) {
		out, err := call(ctx, r, r.client.DescribeTasks, &ecs.DescribeTasksInput{Cluster: &cluster, Tasks: chunk})
		if err != nil {
			return nil, nil, fmt.Errorf("describe tasks of %s: %w", cluster, err)
		}
		now := time.Now()
		for _, t := range out.Tasks {
			f, err := describe("ECS Task State Change", aws.ToString(t.TaskArn), t, nil, now, state.DecodeTask, state.Task.Key)
			if err != nil {
				r.log.WithError(err).Error("skip what ECS describes")
				continue
			}
			f.version = t.Version
			present = append(present, f)
		}
		missing = append(missing, missingARNs(out.Failures)...)
	}
	return present, missing, nil
}

// describe encodes what Describe returned and reads it back, by the same way that it will be read from the store.
func describe[T any](detailType, entityARN string, detail any, extra map[string]any, now time.Time,
	decode func([]byte) (T, error), name func(T) (state.Key, error),
) (f found[T], err error) {
	if f.value, err = encode(detailType, entityARN, detail, extra, now); err != nil {
		return f, err
	}
	if f.entity, err = decode(f.value); err != nil {
		return f, err
	}
	f.key, err = name(f.entity)
	return f, err
}

func missingARNs(failures []types.Failure) []string {
	var missing []string
	for _, f := range failures {
		if aws.ToString(f.Reason) == "MISSING" {
			missing = append(missing, aws.ToString(f.Arn))
		}
	}
	return missing
}

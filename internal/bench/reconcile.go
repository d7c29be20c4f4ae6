package bench

import (
	"context"
	"fmt"
	"math"
	"net/http"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"golang.org/x/time/rate"

	"github.com/blox/blox/internal/awsconfig"
	"github.com/blox/blox/internal/ratelimit"
)

// resourceReads are the calls that share ECS's token bucket of reads of cluster resources, and that reconciling makes.
var resourceReads = []string{
	"ListTasks", "DescribeTasks", "ListContainerInstances", "DescribeContainerInstances",
}

// measureReconcile measures the first reconciliation with an ECS that answers after 20 ms and throttles calls as its
// token buckets do. The baseline is the time that the bucket requires for as many calls.
func measureReconcile(ctx context.Context, cfg config, t *table) error {
	const tasksPerCluster = 5
	s, err := newSystem(ctx, cfg, append(clusterFlags(), "--api-limits")...)
	if err != nil {
		return err
	}
	defer s.close()
	for n := range manyClusters * tasksPerCluster {
		path := "tasks/fargate?family=agent&cluster=" + clusterName(n%manyClusters)
		if err := s.simulator(ctx, http.MethodPost, path, "", nil); err != nil {
			return err
		}
	}
	took, calls, err := s.firstReconciliation(ctx)
	if err != nil {
		return err
	}
	baseline := (float64(calls) - ratelimit.ResourceReads.Burst) / ratelimit.ResourceReads.Rate
	t.add("reconcile", fmt.Sprintf("100 clusters, 1,000 instances, 500 tasks, calls of 20 ms: start to ready; "+
		"%d reads within ECS's token bucket", calls), "s", []sample{{took.Seconds(), baseline}}, ratioBelow(1.1))
	return nil
}

// measureIdleReconcile is measureReconcile for clusters without instances and tasks.
func measureIdleReconcile(ctx context.Context, cfg config, t *table) error {
	s, err := newSystem(ctx, cfg, append(clusterFlags(), "--api-limits", "--instances", "0")...)
	if err != nil {
		return err
	}
	defer s.close()
	took, calls, err := s.firstReconciliation(ctx)
	if err != nil {
		return err
	}
	t.add("reconcile-idle", fmt.Sprintf("100 clusters without instances and tasks: start to ready; %d reads", calls), "s",
		single(took.Seconds()), below("< 8", 8))
	return nil
}

// measureSharedReconcile counts the calls that ECS throttles while others use half of the bucket: first at the start,
// when the service cannot know of them, and then while it reconciles all clusters again.
func measureSharedReconcile(ctx context.Context, cfg config, t *table) error {
	const period = time.Minute
	s, err := newSystem(ctx, cfg, append(clusterFlags(), "--api-limits")...)
	if err != nil {
		return err
	}
	defer s.close()
	stop, err := s.useHalfOfReads(ctx)
	if err != nil {
		return err
	}
	defer stop()
	took, _, err := s.firstReconciliation(ctx, "--reconcile-interval", "1m")
	if err != nil {
		return err
	}
	_, first, err := s.reads(ctx)
	if err != nil {
		return err
	}
	select {
	case <-time.After(period):
	case <-ctx.Done():
		return ctx.Err()
	}
	calls, throttled, err := s.reads(ctx)
	if err != nil {
		return err
	}
	t.add("reconcile-shared", "the same while others use half of the bucket: start to ready", "s",
		single(took.Seconds()))
	// Only a throttled call shows that others use the bucket.
	t.add("reconcile-shared", "the same: calls throttled until then", "", single(float64(first)), below("1 at most", 2))
	name := fmt.Sprintf("calls throttled in a minute of periodic reconciliations; %d calls in all", calls)
	t.add("reconcile-shared", name, "", single(float64(throttled-first)), below("0", math.SmallestNonzeroFloat64))
	return nil
}

// firstReconciliation starts a cluster-state-service with an empty etcd and queue. It returns the time until the
// service is ready, and the number of its reads of cluster resources.
func (s *system) firstReconciliation(ctx context.Context, flags ...string) (took time.Duration, calls int, err error) {
	if err := s.purgeQueue(ctx); err != nil { // so that the service learns everything from ECS
		return 0, 0, err
	}
	if err := s.simulator(ctx, http.MethodPut, "faults", `{"latency":{"ecs":"20ms"},"events":{}}`, nil); err != nil {
		return 0, 0, err
	}
	css, err := s.startClusterState(ctx, flags...)
	if err != nil {
		return 0, 0, err
	}
	calls, _, err = s.reads(ctx)
	return css.startupTime, calls, err
}

// reads counts the service's reads of cluster resources, and how many of them ECS throttled.
func (s *system) reads(ctx context.Context) (calls, throttled int, err error) {
	var counters struct{ Calls map[string]map[string]int } // by action and outcome
	err = s.simulator(ctx, http.MethodGet, "counters", "", &counters)
	for action, outcomes := range counters.Calls {
		if slices.Contains(resourceReads, action) {
			for outcome, n := range outcomes {
				calls += n
				if outcome == "ThrottlingException" {
					throttled += n
				}
			}
		}
	}
	return calls, throttled, err
}

// useHalfOfReads calls ListAttributes, which the service does not, at half of the bucket's rate until stop is called.
func (s *system) useHalfOfReads(ctx context.Context) (stop func(), err error) {
	aws, err := awsconfig.Load(ctx, s.getenv)
	if err != nil {
		return nil, err
	}
	client, err := awsconfig.ECS(aws, s.getenv)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		limiter := rate.NewLimiter(rate.Limit(ratelimit.ResourceReads.Rate/2), 1)
		cluster := clusterName(0)
		for limiter.Wait(ctx) == nil {
			input := &ecs.ListAttributesInput{Cluster: &cluster, TargetType: "container-instance"}
			_, _ = client.ListAttributes(ctx, input, awsconfig.NoRetry) // it counts although it is throttled
		}
	}()
	return func() { cancel(); <-ended }, nil
}

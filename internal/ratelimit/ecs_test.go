package ratelimit

import (
	"context"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/blox/blox/internal/awsconfig"
	"github.com/blox/blox/internal/ecssim"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// newClient returns a client of a simulator that retries twice at once, and limiters that get no further tokens.
func newClient(t *testing.T, faults ecssim.Faults) (*ecs.Client, ECS, *ecssim.Sim) {
	t.Helper()
	sim := ecssim.New(ecssim.Config{Faults: faults})
	server := httptest.NewServer(sim)
	t.Cleanup(func() { sim.Close(); server.Close() })
	full := func() *Limiter { return New(Bucket{100, 1e-6}, 1) }
	limits := ECS{full(), full(), full(), full()}
	return ecs.New(ecs.Options{
		Region: "us-east-1", BaseEndpoint: &server.URL, Credentials: aws.AnonymousCredentials{},
		HTTPClient: awsconfig.BufferBodies(server.Client()),
		Retryer: retry.NewStandard(func(o *retry.StandardOptions) {
			o.Backoff = retry.BackoffDelayerFunc(func(int, error) (d time.Duration, _ error) { return d, nil })
		}),
	}, limits.Option), limits, sim
}

func TestECS_TakesATokenForEveryAttempt(t *testing.T) {
	client, limits, sim := newClient(t, ecssim.Faults{ServerErrors: map[string]float64{"ListTasks": 1}})
	_, err := client.ListTasks(t.Context(), &ecs.ListTasksInput{})
	require.Error(t, err)
	assert.Equal(t, 3, sim.Calls("ListTasks"))
	assert.Equal(t, 97, limits.ResourceReads.Available(100))
	_, err = client.ListClusters(t.Context(), &ecs.ListClustersInput{})
	require.NoError(t, err)
	assert.Equal(t, 99, limits.ClusterReads.Available(100))
	assert.Equal(t, 97, limits.ResourceReads.Available(100))
	assert.Equal(t, 100, limits.Modifications.Available(100))
}

func TestECS_TakesNoTokenThatTheCallerHasTaken(t *testing.T) {
	client, limits, _ := newClient(t, ecssim.Faults{ServerErrors: map[string]float64{"StopTask": 1}})
	_, err := client.StopTask(WithPaid(t.Context()), &ecs.StopTaskInput{Task: aws.String("x")})
	require.Error(t, err)
	assert.Equal(t, 98, limits.Modifications.Available(100), "the two retries")
}

func TestECS_TakesTokensOfTheShareToo(t *testing.T) {
	client, limits, sim := newClient(t, ecssim.Faults{})
	share := New(Bucket{1, 1e-6}, 1)
	ctx, cancel := context.WithCancel(WithShare(t.Context(), share))
	_, err := client.ListTasks(ctx, &ecs.ListTasksInput{})
	require.NoError(t, err)
	assert.Zero(t, share.Available(1))
	cancel()
	_, err = client.ListTasks(ctx, &ecs.ListTasksInput{})
	require.ErrorIs(t, err, context.Canceled)
	assert.Equal(t, 1, sim.Calls("ListTasks"))
	assert.Equal(t, 99, limits.ResourceReads.Available(100))
}

func TestECS_SlowsDownWhenAWSThrottles(t *testing.T) {
	client, limits, _ := newClient(t, ecssim.Faults{Throttle: map[string]float64{"DescribeTaskDefinition": 1}})
	input := &ecs.DescribeTaskDefinitionInput{TaskDefinition: aws.String("agent")}
	noRetry := func(o *ecs.Options) { o.Retryer = aws.NopRetryer{} }
	_, err := client.DescribeTaskDefinition(t.Context(), input, noRetry)
	require.Error(t, err)
	assert.Zero(t, limits.TaskDefinitionReads.Available(100))
	assert.Equal(t, 100, limits.ResourceReads.Available(100), "it is another bucket")
	registry := prometheus.NewRegistry()
	registry.MustRegister(limits)
	families, err := registry.Gather()
	require.NoError(t, err)
	assert.Len(t, families, 2)
	_, throttled := limits.TaskDefinitionReads.state()
	assert.Equal(t, int64(1), throttled)
}

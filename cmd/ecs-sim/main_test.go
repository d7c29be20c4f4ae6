package main

import (
	"bufio"
	"context"
	"flag"
	"io"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsconfig "github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func noEnv(string) string { return "" }

const longPoll = 20 * time.Second

// The printed line is all that an SDK needs. A stop does not wait for long polls.
func TestRun_ServesSDKsUntilItIsStopped(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	reader, writer := io.Pipe()
	done := make(chan error, 1)
	go func() {
		done <- run(ctx, []string{
			"--bind", "127.0.0.1:0", "--cluster", "prod", "--cluster", "test", "--instances", "2", "--short-arns",
			"--task-definition", "agent", "--region", "eu-west-1", "--region", "us-east-1", "--stream", "events:3",
		}, noEnv, writer)
		writer.Close()
	}()
	line, err := bufio.NewReader(reader).ReadString('\n')
	require.NoError(t, err)
	for _, pair := range regexp.MustCompile(`(AWS_\w+)=(\S+)`).FindAllStringSubmatch(line, -1) {
		t.Setenv(pair[1], pair[2])
	}
	sdk, err := awsconfig.LoadDefaultConfig(ctx)
	require.NoError(t, err)
	client := ecs.NewFromConfig(sdk)
	for _, cluster := range []string{"prod", "test"} {
		out, err := client.ListContainerInstances(ctx, &ecs.ListContainerInstancesInput{Cluster: &cluster})
		require.NoError(t, err)
		assert.Len(t, out.ContainerInstanceArns, 2)
		arns := out.ContainerInstanceArns
		assert.Regexp(t, `^arn:aws:ecs:eu-west-1:123456789012:container-instance/[0-9a-f-]{36}$`, arns[0])
	}
	abroad := ecs.NewFromConfig(sdk, func(o *ecs.Options) { o.Region = "us-east-1" })
	out, err := abroad.ListContainerInstances(ctx, &ecs.ListContainerInstancesInput{Cluster: aws.String("prod")})
	require.NoError(t, err)
	require.Len(t, out.ContainerInstanceArns, 2)
	assert.Contains(t, out.ContainerInstanceArns[0], "arn:aws:ecs:us-east-1:123456789012:")
	families, err := client.ListTaskDefinitionFamilies(ctx, &ecs.ListTaskDefinitionFamiliesInput{})
	require.NoError(t, err)
	assert.Equal(t, []string{"agent"}, families.Families)
	name := &sqs.GetQueueUrlInput{QueueName: aws.String("blox_queue")}
	queue, err := sqs.NewFromConfig(sdk).GetQueueUrl(ctx, name)
	require.NoError(t, err)
	stream := &kinesis.ListShardsInput{StreamName: aws.String("events")}
	shards, err := kinesis.NewFromConfig(sdk).ListShards(ctx, stream)
	require.NoError(t, err)
	assert.Len(t, shards.Shards, 3)
	polled := make(chan struct{})
	go func() {
		defer close(polled)
		for {
			out, err := sqs.NewFromConfig(sdk).ReceiveMessage(context.Background(), &sqs.ReceiveMessageInput{
				QueueUrl: queue.QueueUrl, MaxNumberOfMessages: 10, WaitTimeSeconds: int32(longPoll / time.Second),
			}, func(o *sqs.Options) { o.RetryMaxAttempts = 1 })
			if err != nil || len(out.Messages) == 0 {
				return
			}
		}
	}()
	stop()
	select {
	case err := <-done:
		require.NoError(t, err)
	case <-time.After(longPoll - 2*time.Second):
		t.Fatal("a stop waits for long polls")
	}
	<-polled
}

func TestParseConfig_ReadsEnvironmentAndRejectsInvalidFlags(t *testing.T) {
	c, err := parseConfig(nil, func(name string) string {
		return map[string]string{"AWS_REGION": "eu-west-1", "ECS_SIM_BIND": "0.0.0.0:1"}[name]
	}, io.Discard)
	require.NoError(t, err)
	assert.Equal(t, []string{"eu-west-1"}, c.regions)
	assert.Equal(t, "0.0.0.0:1", c.bind)
	assert.Equal(t, []string{"default"}, c.clusters)
	assert.Equal(t, 300*time.Millisecond, c.sim.PendingDelay)

	for name, args := range map[string][]string{
		"an argument":             {"serve"},
		"an unknown flag":         {"--nope"},
		"an invalid cluster name": {"--cluster", "a b"},
		"an invalid stream name":  {"--stream", "a b"},
		"an empty stream name":    {"--stream", ":2"},
		"a stream without shards": {"--stream", "events:0"},
		"an invalid account":      {"--account", "12"},
		"an invalid region":       {"--region", "moon"},
		"a region twice":          {"--region", "eu-west-1", "--region", "eu-west-1"},
		"a negative number":       {"--instances", "-1"},
		"a delay without unit":    {"--stop-delay", "5"},
	} {
		_, err := parseConfig(args, noEnv, io.Discard)
		assert.Error(t, err, name)
	}
	var help strings.Builder
	assert.ErrorIs(t, run(t.Context(), []string{"--help"}, noEnv, &help), flag.ErrHelp)
	assert.Contains(t, help.String(), "-short-arns")
	assert.Error(t, run(t.Context(), []string{"--bind", "256.0.0.1:0"}, noEnv, io.Discard))
}

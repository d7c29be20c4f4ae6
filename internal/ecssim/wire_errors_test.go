package ecssim

import (
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	cloudwatchtypes "github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	kinesistypes "github.com/aws/aws-sdk-go-v2/service/kinesis/types"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	sqstypes "github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// The SDKs decode an error into the type of the service's API. A code that the API does not have gives none.
func TestErrors_AreThoseOfTheService(t *testing.T) {
	var alarms *cloudwatch.Client
	var roles *sts.Client
	w := newKinesisFixture(t, Config{StreamName: "events"})
	sdk := w.sdk
	alarms, roles = cloudwatch.NewFromConfig(sdk), sts.NewFromConfig(sdk)
	for action, test := range map[string]struct {
		call                func() error
		throttled, internal any
	}{
		"DescribeClusters": {func() error {
			_, err := w.ecs.DescribeClusters(w.ctx, &ecs.DescribeClustersInput{})
			return err
		}, "ThrottlingException", new(*ecstypes.ServerException)},
		"GetQueueUrl": {func() error {
			_, err := w.sqs.GetQueueUrl(w.ctx, &sqs.GetQueueUrlInput{QueueName: aws.String("blox_queue")})
			return err
		}, new(*sqstypes.RequestThrottled), "InternalFailure"},
		"ListShards": {func() error {
			_, err := w.kinesis.ListShards(w.ctx, &kinesis.ListShardsInput{StreamName: aws.String("events")})
			return err
		}, new(*kinesistypes.LimitExceededException), "InternalFailure"},
		"PutRecord": {func() error {
			_, err := w.kinesis.PutRecord(w.ctx, &kinesis.PutRecordInput{
				StreamName: aws.String("events"), PartitionKey: aws.String("k"), Data: []byte("1"),
			})
			return err
		}, new(*kinesistypes.ProvisionedThroughputExceededException), new(*kinesistypes.InternalFailureException)},
		"DescribeAlarms": {func() error {
			_, err := alarms.DescribeAlarms(w.ctx, &cloudwatch.DescribeAlarmsInput{})
			return err
		}, "Throttling", new(*cloudwatchtypes.InternalServiceFault)},
		"AssumeRole": {func() error {
			_, err := roles.AssumeRole(w.ctx, &sts.AssumeRoleInput{
				RoleArn: aws.String("arn:aws:iam::123456789012:role/blox"), RoleSessionName: aws.String("blox"),
			})
			return err
		}, "Throttling", "InternalFailure"},
	} {
		t.Run(action, func(t *testing.T) {
			always := map[string]float64{action: 1}
			w.SetFaults(Faults{Throttle: always})
			assertError(t, test.call(), test.throttled)
			w.SetFaults(Faults{ServerErrors: always})
			err := test.call()
			assertError(t, err, test.internal)
			var answer smithy.APIError
			require.ErrorAs(t, err, &answer)
			assert.NotEqual(t, smithy.FaultClient, answer.ErrorFault())
			w.SetFaults(Faults{})
			require.NoError(t, test.call())
		})
	}
}

// assertError asserts that the error has a code, or is one of the type that want points to.
func assertError(t *testing.T, err error, want any) {
	t.Helper()
	if code, ok := want.(string); ok {
		var answer smithy.APIError
		require.ErrorAs(t, err, &answer)
		assert.Equal(t, code, answer.ErrorCode())
		return
	}
	assert.ErrorAs(t, err, want)
}

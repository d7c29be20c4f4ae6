package ecssim

import (
	"io"
	"maps"
	"net/http"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	cloudwatchtypes "github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// apiCall is a call in AWS JSON. In its body, $name stands for what save stored under that name.
type apiCall struct {
	action, body string
	save         string // name: what follows the text after, up to a quote
	after        string
}

var ecsCalls = []apiCall{
	{action: "CreateCluster", body: `{"clusterName":"prod","tags":[{"key":"a","value":"b"}]}`},
	{action: "DescribeClusters", body: `{"clusters":["prod","nope"],"include":["TAGS"]}`},
	{action: "ListClusters"},
	{action: "RegisterTaskDefinition", body: `{"family":"agent","networkMode":"awsvpc","tags":[{"key":"a","value":"b"}],
		"containerDefinitions":[{"name":"agent","image":"agent","memory":64,"portMappings":[{"containerPort":80}],
		"healthCheck":{"command":["CMD","true"]},"environmentFiles":[{"type":"s3","value":"arn:aws:s3:::b/a.env"}],
		"logConfiguration":{"logDriver":"awslogs"}}]}`},
	{action: "DescribeTaskDefinition", body: `{"taskDefinition":"agent","include":["TAGS"]}`},
	{action: "ListTaskDefinitions"}, {action: "ListTaskDefinitionFamilies"},
	{action: "RegisterContainerInstance", body: `{"cluster":"prod","attributes":[{"name":"rack","value":"1"}]}`,
		save: "instance", after: `"containerInstanceArn":"`},
	{action: "ListContainerInstances", body: `{"cluster":"prod"}`},
	{action: "DescribeContainerInstances", body: `{"cluster":"prod","containerInstances":["$instance","nope"]}`},
	{action: "UpdateContainerInstancesState",
		body: `{"cluster":"prod","status":"ACTIVE","containerInstances":["$instance"]}`},
	{action: "PutAttributes",
		body: `{"cluster":"prod","attributes":[{"name":"a","value":"b","targetId":"$instance"}]}`},
	{action: "ListAttributes", body: `{"cluster":"prod","targetType":"container-instance"}`},
	{action: "DeleteAttributes", body: `{"cluster":"prod","attributes":[{"name":"a","targetId":"$instance"}]}`},
	{action: "StartTask", body: `{"cluster":"prod","taskDefinition":"agent","containerInstances":["$instance","nope"],
		"startedBy":"me","enableECSManagedTags":true,"propagateTags":"TASK_DEFINITION",
		"networkConfiguration":{"awsvpcConfiguration":{"subnets":["subnet-1"]}},
		"overrides":{"cpu":"64","containerOverrides":[{"name":"agent","environment":[{"name":"A","value":"1"}]}]}}`,
		save: "task", after: `"taskArn":"`},
	{action: "RunTask", body: `{"cluster":"prod","taskDefinition":"agent","launchType":"FARGATE",
		"networkConfiguration":{"awsvpcConfiguration":{"subnets":["subnet-1"]}}}`},
	{action: "CreateCapacityProvider", body: `{"name":"spot","autoScalingGroupProvider":{"autoScalingGroupArn":"` +
		groupARN + `","managedScaling":{"status":"ENABLED","targetCapacity":90},"managedDraining":"ENABLED"}}`},
	{action: "PutClusterCapacityProviders", body: `{"cluster":"prod","capacityProviders":["spot"],
		"defaultCapacityProviderStrategy":[]}`},
	{action: "UpdateCapacityProvider",
		body: `{"name":"spot","autoScalingGroupProvider":{"managedDraining":"DISABLED"}}`},
	{action: "DescribeCapacityProviders", body: `{"cluster":"prod","capacityProviders":["spot","nope"],
		"include":["TAGS"]}`},
	{action: "PutClusterCapacityProviders", body: `{"cluster":"prod","capacityProviders":[],
		"defaultCapacityProviderStrategy":[]}`},
	{action: "DeleteCapacityProvider", body: `{"capacityProvider":"spot"}`},
	{action: "ListTasks", body: `{"cluster":"prod"}`},
	{action: "DescribeTasks", body: `{"cluster":"prod","tasks":["$task","nope"],"include":["TAGS"]}`},
	{action: "CreateService", body: `{"cluster":"prod","serviceName":"logs","taskDefinition":"agent",
		"schedulingStrategy":"DAEMON","networkConfiguration":{"awsvpcConfiguration":{"subnets":["subnet-1"]}},
		"placementConstraints":[{"type":"memberOf","expression":"attribute:rack == 1"}],"tags":[{"key":"a","value":"b"}]}`},
	{action: "ListServices", body: `{"cluster":"prod"}`},
	{action: "DescribeServices", body: `{"cluster":"prod","services":["logs","nope"],"include":["TAGS"]}`},
	{action: "UpdateService", body: `{"cluster":"prod","service":"logs","forceNewDeployment":true}`},
	{action: "DeleteService", body: `{"cluster":"prod","service":"logs"}`},
	{action: "StopTask", body: `{"cluster":"prod","task":"$task","reason":"enough"}`},
	{action: "DescribeTasks", body: `{"cluster":"prod","tasks":["$task"]}`},
	{action: "DeregisterTaskDefinition", body: `{"taskDefinition":"agent:1"}`},
	{action: "DeregisterContainerInstance", body: `{"cluster":"prod","containerInstance":"$instance","force":true}`},
	{action: "CreateCluster", body: `{"clusterName":"empty"}`},
	{action: "DeleteCluster", body: `{"cluster":"empty"}`},
}

var sqsCalls = []apiCall{
	{action: "CreateQueue", body: `{"QueueName":"work"}`, save: "queue", after: `"QueueUrl":"`},
	{action: "GetQueueUrl", body: `{"QueueName":"work"}`}, {action: "ListQueues"},
	{action: "SetQueueAttributes", body: `{"QueueUrl":"$queue","Attributes":{"VisibilityTimeout":"60"}}`},
	{action: "GetQueueAttributes", body: `{"QueueUrl":"$queue","AttributeNames":["All"]}`},
	{action: "SendMessage", body: `{"QueueUrl":"$queue","MessageBody":"a",
		"MessageAttributes":{"k":{"DataType":"String","StringValue":"v"}}}`},
	{action: "SendMessageBatch", body: `{"QueueUrl":"$queue","Entries":[{"Id":"a","MessageBody":"b"},
		{"Id":"b","MessageBody":"c","DelaySeconds":901}]}`},
	{action: "ReceiveMessage", body: `{"QueueUrl":"$queue","AttributeNames":["All"],"MessageAttributeNames":["All"]}`,
		save: "receipt", after: `"ReceiptHandle":"`},
	{action: "ChangeMessageVisibility",
		body: `{"QueueUrl":"$queue","ReceiptHandle":"$receipt","VisibilityTimeout":90}`},
	{action: "ChangeMessageVisibilityBatch",
		body: `{"QueueUrl":"$queue","Entries":[{"Id":"a","ReceiptHandle":"$receipt","VisibilityTimeout":90}]}`},
	{action: "DeleteMessageBatch",
		body: `{"QueueUrl":"$queue","Entries":[{"Id":"a","ReceiptHandle":"$receipt"},{"Id":"b","ReceiptHandle":"x"}]}`},
	{action: "DeleteMessage", body: `{"QueueUrl":"$queue","ReceiptHandle":"$receipt"}`},
	{action: "PurgeQueue", body: `{"QueueUrl":"$queue"}`},
}

var kinesisCalls = []apiCall{
	{action: "CreateStream", body: `{"StreamName":"s","ShardCount":1}`},
	{action: "DescribeStreamSummary", body: `{"StreamName":"s"}`},
	{action: "PutRecord", body: `{"StreamName":"s","PartitionKey":"k","Data":"MQ=="}`},
	{action: "PutRecords", body: `{"StreamName":"s","Records":[{"PartitionKey":"k","Data":"MQ=="}]}`},
	{action: "GetShardIterator",
		body: `{"StreamName":"s","ShardId":"shardId-000000000000","ShardIteratorType":"TRIM_HORIZON"}`,
		save: "iterator", after: `"ShardIterator":"`},
	{action: "SplitShard", body: `{"StreamName":"s","ShardToSplit":"shardId-000000000000",
		"NewStartingHashKey":"` + halfway + `"}`},
	{action: "GetRecords", body: `{"ShardIterator":"$iterator"}`},
	{action: "ListShards", body: `{"StreamName":"s"}`},
	{action: "MergeShards", body: `{"StreamName":"s","ShardToMerge":"shardId-000000000001",
		"AdjacentShardToMerge":"shardId-000000000002"}`},
	{action: "DeleteStream", body: `{"StreamName":"s"}`},
}

// Every action of the simulator answers a call of the API with an answer of the API.
func TestSurface_ConformsToTheAPIModels(t *testing.T) {
	w := newFixture(t, Config{})
	for _, service := range []struct {
		target  string
		calls   []apiCall
		actions map[string]actionHandler
	}{
		{ecsTarget, ecsCalls, ecsActions}, {sqsTarget, sqsCalls, sqsActions},
		{kinesisTarget, kinesisCalls, kinesisActions},
	} {
		left := maps.Clone(service.actions)
		saved := map[string]string{}
		for _, call := range service.calls {
			delete(left, call.action)
			w.callAPI(service.target, call, saved)
		}
		assert.Empty(t, left, "actions of %s without a call", service.target)
	}
	w.callAlarmsAndRoles()
	counts := w.validator.Counts()
	answers := 0
	for action, count := range counts {
		answers += count.Answers
		assert.Positive(t, count.Answers, action)
		assert.Zero(t, count.Errors, action)
	}
	assert.Len(t, counts, len(ecsActions)+len(sqsActions)+len(kinesisActions)+len(cloudWatchActions)+len(stsActions))
	assert.Empty(t, w.validator.Violations())
	t.Logf("%d actions, %+v", len(counts), w.validator.Total())
}

// callAPI makes a call, which must succeed.
func (w *fixture) callAPI(target string, call apiCall, saved map[string]string) {
	w.t.Helper()
	body := call.body
	if body == "" {
		body = "{}"
	}
	for name, value := range saved {
		body = strings.ReplaceAll(body, "$"+name, value)
	}
	r, err := http.NewRequestWithContext(w.ctx, http.MethodPost, w.url, strings.NewReader(body))
	require.NoError(w.t, err)
	r.Header.Set("X-Amz-Target", target+call.action)
	answer, err := http.DefaultClient.Do(r)
	require.NoError(w.t, err)
	defer func() { _ = answer.Body.Close() }()
	got, err := io.ReadAll(answer.Body)
	require.NoError(w.t, err)
	require.Equal(w.t, http.StatusOK, answer.StatusCode, "%s: %s", call.action, got)
	if call.save != "" {
		_, after, found := strings.Cut(string(got), call.after)
		require.True(w.t, found, "%s: %s", call.action, got)
		saved[call.save], _, _ = strings.Cut(after, `"`)
	}
}

func (w *fixture) callAlarmsAndRoles() {
	w.t.Helper()
	require.NoError(w.t, w.PutAlarm("errors", "", ""))
	require.NoError(w.t, w.PutAlarm("both", "ALARM", "CompositeAlarm"))
	alarms := cloudwatch.NewFromConfig(w.sdk)
	_, err := alarms.SetAlarmState(w.ctx, &cloudwatch.SetAlarmStateInput{
		AlarmName: aws.String("errors"), StateValue: cloudwatchtypes.StateValueAlarm, StateReason: aws.String("a test"),
	})
	require.NoError(w.t, err)
	_, err = alarms.DescribeAlarms(w.ctx, &cloudwatch.DescribeAlarmsInput{
		AlarmTypes: cloudwatchtypes.AlarmTypeMetricAlarm.Values(),
	})
	require.NoError(w.t, err)
	_, err = sts.NewFromConfig(w.sdk).AssumeRole(w.ctx, &sts.AssumeRoleInput{
		RoleArn: aws.String("arn:aws:iam::123456789012:role/blox"), RoleSessionName: aws.String("blox"),
	})
	require.NoError(w.t, err)
}

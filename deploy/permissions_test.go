package deploy

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/blox/blox/internal/docs"
)

// permission is an action that a service needs in AWS.
type permission struct {
	action, on, feature string
	notGranted          bool // by the template BloxAws
}

const (
	core       = "always"
	accessMode = "the roles that `EnvironmentRoleArns` lists; their trust policies must name daemon-scheduler"
)

var statePermissions = []permission{
	{action: "ecs:DescribeClusters", on: "clusters", feature: core},
	{action: "ecs:DescribeContainerInstances", on: "container instances", feature: core},
	{action: "ecs:DescribeTasks", on: "tasks", feature: core},
	{action: "ecs:ListClusters", on: "`*`", feature: core},
	{action: "ecs:ListContainerInstances", on: "clusters", feature: core},
	{action: "ecs:ListTasks", on: "`*`", feature: core},
	{action: "sqs:ChangeMessageVisibility", on: "the queue", feature: "an SQS queue"},
	{action: "sqs:DeleteMessage", on: "the queue", feature: "an SQS queue"},
	{action: "sqs:GetQueueUrl", on: "the queue", feature: "an SQS queue"},
	{action: "sqs:ReceiveMessage", on: "the queue", feature: "an SQS queue"},
	{action: "kinesis:DescribeStreamSummary", on: "the stream", feature: "a Kinesis stream", notGranted: true},
	{action: "kinesis:GetRecords", on: "the stream", feature: "a Kinesis stream", notGranted: true},
	{action: "kinesis:GetShardIterator", on: "the stream", feature: "a Kinesis stream", notGranted: true},
	{action: "kinesis:ListShards", on: "the stream", feature: "a Kinesis stream", notGranted: true},
	{
		action: "kms:Decrypt", on: "the key", feature: "a queue or stream that a key of your own encrypts",
		notGranted: true,
	},
	{action: "sts:AssumeRole", on: "the roles of the sources", feature: "sources with a `role`", notGranted: true},
}

var schedulerPermissions = []permission{
	{action: "ecs:DescribeClusters", on: "clusters", feature: core},
	{action: "ecs:DescribeTaskDefinition", on: "`*`", feature: core},
	{action: "ecs:DescribeTasks", on: "tasks", feature: core},
	{action: "ecs:ListTasks", on: "`*`", feature: core},
	{action: "ecs:StartTask", on: "task definitions", feature: core},
	{action: "ecs:StopTask", on: "tasks", feature: core},
	{action: "iam:PassRole", on: "the roles of the tasks", feature: "task definitions with roles"},
	{action: "ecs:TagResource", on: "tasks", feature: "`taskSettings` with tags"},
	{action: "ecs:DescribeServices", on: "services", feature: "drains and scale-in beside ECS `DAEMON` services"},
	{
		action: "ecs:ListAttributes", on: "clusters",
		feature: "instance groups and readiness attributes with custom attributes",
	},
	{action: "ecs:PutAttributes", on: "container instances", feature: "readiness attributes, takeovers"},
	{action: "ecs:DeleteAttributes", on: "container instances", feature: "readiness attributes, takeovers"},
	{action: "ecs:UpdateService", on: "services", feature: "takeovers of `DAEMON` services"},
	{action: "ecs:DeleteService", on: "services", feature: "takeovers with `deleteService`"},
	{
		action: "cloudwatch:DescribeAlarms",
		on:     "`*`, because CloudWatch omits composite alarms with a narrower resource", feature: "deployment alarms",
	},
	{action: "events:PutEvents", on: "the event bus", feature: "`--event-bus`", notGranted: true},
	{action: "sts:AssumeRole", on: accessMode, feature: "environments with a role", notGranted: true},
}

// The pages name exactly the actions that the template grants to the services, and those that it cannot know.
func TestReference_Permissions(t *testing.T) {
	resources := resourcesOf(t, awsStack)
	for page, service := range map[string]struct {
		role        string
		permissions []permission
	}{
		"../cluster-state-service/docs/reference/permissions.md": {"StateRole", statePermissions},
		"../daemon-scheduler/docs/reference/permissions.md":      {"SchedulerRole", schedulerPermissions},
	} {
		table := docs.Table{Header: []string{"action", "on", "needed for"}}
		var granted []string
		for _, p := range service.permissions {
			table.Add(docs.Code(p.action), p.on, p.feature)
			if !p.notGranted {
				granted = append(granted, p.action)
			}
		}
		slices.Sort(granted)
		assert.Equal(t, allowedActions(resources[service.role]), granted, page)
		docs.Check(t, page, "permissions", table.String())
	}
}

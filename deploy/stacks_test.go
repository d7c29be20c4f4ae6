package deploy

import (
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/blox/blox/internal/httpserver"
)

const (
	localStack = "docker/blox-local.yml"
	awsStack   = "aws/blox-aws.yml"
)

// resourcesOf returns the resources of a template by logical ID.
func resourcesOf(t *testing.T, path string) map[string]any {
	t.Helper()
	resources, ok := readYAML(t, path)["Resources"].(map[string]any)
	require.True(t, ok)
	return resources
}

// ofType returns the sorted logical IDs of the resources of a type.
func ofType(resources map[string]any, kind string) (ids []string) {
	for id, resource := range resources {
		if at(resource, "Type") == kind {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return ids
}

// The parameter file of v0.3's installation guide. AWS rejects an update or creation with a value that does not match.
func TestStack_AcceptsTheParametersOfV03(t *testing.T) {
	given := map[string]string{
		"EcsAmiId": "", "InstanceType": "t2.micro", "KeyName": "operator", "EcsClusterName": "Blox",
		"QueueName": "blox_queue", "ApiStageName": "blox",
	}
	parameters := readYAML(t, awsStack)["Parameters"].(map[string]any)
	for name, value := range given {
		require.Contains(t, parameters, name)
		assert.Equal(t, "String", at(parameters[name], "Type"), "%s: a value of v0.3 is a plain text", name)
		if pattern, ok := at(parameters[name], "AllowedPattern").(string); ok {
			assert.Regexp(t, "^(?:"+pattern+")$", value, name)
		}
		if values, ok := at(parameters[name], "AllowedValues").([]any); ok {
			assert.Contains(t, values, value, name)
		}
	}
	for name, parameter := range parameters {
		if _, ok := given[name]; !ok {
			assert.Contains(t, parameter, "Default", "v0.3's file does not have %s", name)
		}
	}
	pattern := at(parameters["EcsAmiId"], "AllowedPattern").(string)
	assert.Regexp(t, "^(?:"+pattern+")$", "ami-0123456789abcdef0")
	assert.NotRegexp(t, "^(?:"+pattern+")$", "/aws/service/ecs/optimized-ami/amazon-linux-2023/recommended/image_id")
}

// A t2.micro has 1 GiB and shows volumes as Xen devices.
func TestStack_RunsEtcdOnTypesOfV03(t *testing.T) {
	resources := resourcesOf(t, awsStack)
	reserved := 0
	for _, task := range []string{"EtcdTask", "EtcdTools"} {
		for _, container := range asList(at(resources[task], "Properties", "ContainerDefinitions")) {
			megabytes, err := strconv.Atoi(at(container, "MemoryReservation").(string))
			require.NoError(t, err)
			reserved += megabytes
		}
	}
	const available = 900 // MiB that ECS registers for a t2.micro, rounded down
	assert.Less(t, reserved, available)
	script := at(stackWith(t, nil).Properties("Template"), "LaunchTemplateData", "UserData")
	assert.Contains(t, script, "/dev/disk/by-id/nvme-Amazon_Elastic_Block_Store_", "on Nitro types")
	assert.Contains(t, script, "--device /dev/sdf")
	assert.Contains(t, script, "/dev/xvdf", "on Xen types")
}

// CloudFormation updates a resource in place only under its logical ID. Under another, it creates a second resource and
// deletes the first, which clears a queue's policy.
func TestStacks_KeepTheLogicalIDsOfV03(t *testing.T) {
	kept := map[string]string{
		"Queue": "AWS::SQS::Queue", "CloudWatchEvents": "AWS::Events::Rule", "QueuePolicy": "AWS::SQS::QueuePolicy",
	}
	for _, path := range []string{localStack, awsStack} {
		resources := resourcesOf(t, path)
		for id, kind := range kept {
			assert.Equal(t, []string{id}, slices.DeleteFunc(ofType(resources, kind), func(id string) bool {
				return id == "DeadLetters"
			}), path)
		}
		assert.Equal(t, "SQSTarget",
			at(asList(at(resources["CloudWatchEvents"], "Properties", "Targets"))[0], "Id"), "%s: the rule's target", path)
	}
	rule := resourcesOf(t, localStack)["CloudWatchEvents"]
	assert.Equal(t, map[string]any{"!Sub": "${QueueName}Events"}, at(rule, "Properties", "Name"),
		"another name replaces the rule")

	// v0.3's guide looks the API's ID up by these names.
	assert.Contains(t, resourcesOf(t, awsStack), "RestApi")
	assert.Contains(t, resourcesOf(t, awsStack), "ApiResource")
}

// A balancer reuses connections until its own timeout. A target that closes one earlier makes requests fail with 502.
func TestBalancer_ClosesIdleConnectionsBeforeTheServices(t *testing.T) {
	resources := resourcesOf(t, awsStack)
	for _, attribute := range asList(at(resources["Balancer"], "Properties", "LoadBalancerAttributes")) {
		if at(attribute, "Key") == "idle_timeout.timeout_seconds" {
			seconds, err := strconv.Atoi(at(attribute, "Value").(string))
			require.NoError(t, err)
			assert.Less(t, time.Duration(seconds)*time.Second, httpserver.IdleTimeout)
			return
		}
	}
	t.Fatal("the balancer has no idle timeout of its own; 60 s is AWS's default")
}

func TestStacks_HaveAlarms(t *testing.T) {
	events := []string{"DeadLettersAlarm", "FailedInvocationsAlarm", "MessageAgeAlarm"}
	assert.Equal(t, events, ofType(resourcesOf(t, localStack), "AWS::CloudWatch::Alarm"))
	all := append(slices.Clone(events), "ProbeAlarm", "SchedulerTargetsAlarm", "StateTargetsAlarm",
		"EtcdAlarm", "EtcdAlarm2", "EtcdAlarm3")
	resources := resourcesOf(t, awsStack)
	slices.Sort(all)
	assert.Equal(t, all, ofType(resources, "AWS::CloudWatch::Alarm"))
	guide := readText(t, "docs/aws.md")
	for _, id := range all {
		assert.Equal(t, []any{
			"AlarmsHaveTopic", []any{map[string]any{"!Ref": "AlarmTopicArn"}}, map[string]any{"!Ref": "AWS::NoValue"},
		}, at(resources[id], "Properties", "AlarmActions", "!If"), id)
		assert.True(t, strings.Contains(guide, "`"+id+"`"), "docs/aws.md does not describe %s", id)
	}
}

func TestStack_SavesTheVolumeOfEtcdOnASchedule(t *testing.T) {
	resources := resourcesOf(t, awsStack)
	details := at(resources["Snapshots"], "Properties", "PolicyDetails")
	assert.Equal(t, []any{"VOLUME"}, at(details, "ResourceTypes"))
	for _, volume := range []string{"Volume", "Volume2", "Volume3"} {
		tags := at(resources[volume], "Properties", "Tags")
		assert.Contains(t, tags, asList(at(details, "TargetTags"))[0], "%s has the tag that the policy selects", volume)
	}
}

func TestStack_ChecksTheHealthOfReplicasQuickly(t *testing.T) {
	for id, resource := range resourcesOf(t, awsStack) {
		if at(resource, "Type") != "AWS::ElasticLoadBalancingV2::TargetGroup" {
			continue
		}
		seconds := func(name string) int {
			value, err := strconv.Atoi(at(resource, "Properties", name).(string))
			require.NoError(t, err, id)
			return value
		}
		assert.LessOrEqual(t, seconds("HealthCheckIntervalSeconds")*seconds("HealthyThresholdCount"), 30, id)
		assert.LessOrEqual(t, seconds("HealthCheckIntervalSeconds")*seconds("UnhealthyThresholdCount"), 30, id)
	}
}

func readText(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	return string(text)
}

// The guides have a row for each parameter of the stacks.
func TestGuides_DescribeTheParameters(t *testing.T) {
	for template, path := range map[string]string{
		awsStack: "docs/aws.md", localStack: "docs/compose.md", "docker/blox-local-user.yml": "docs/compose.md",
	} {
		guide := readText(t, path)
		for name := range readYAML(t, template)["Parameters"].(map[string]any) {
			assert.True(t, strings.Contains(guide, "\n| `"+name+"` |"), "%s does not describe %s", path, name)
		}
	}
}

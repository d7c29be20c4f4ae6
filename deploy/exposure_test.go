// Package deploy contains no program. Its tests verify the mitigations of docs/threats.md in templates and compose
// files, and the guides.
package deploy

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	probereport "github.com/blox/blox/cmd/blox/probe"
	"github.com/blox/blox/deploy/test/template"
)

// readYAML reads a YAML file. A CloudFormation short form becomes a map: {"!Ref": "Queue"}.
func readYAML(t *testing.T, path string) map[string]any {
	t.Helper()
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	fields, err := template.Parse(text)
	require.NoError(t, err, path)
	return fields
}

// at returns the value at a path of keys in nested maps; nil if a key is missing.
func at(v any, keys ...string) any {
	for _, key := range keys {
		fields, _ := v.(map[string]any)
		v = fields[key]
	}
	return v
}

// asList returns v if it is a list, else a list of v. Policies use both forms.
func asList(v any) []any {
	if items, ok := v.([]any); ok {
		return items
	}
	return []any{v}
}

// walkMaps calls fn for every map in v, outer maps first.
func walkMaps(v any, fn func(map[string]any)) {
	switch v := v.(type) {
	case map[string]any:
		fn(v)
		for _, inner := range v {
			walkMaps(inner, fn)
		}
	case []any:
		for _, inner := range v {
			walkMaps(inner, fn)
		}
	}
}

// allowedActions returns the sorted actions that the statements in v allow, sts:AssumeRole excluded.
func allowedActions(v any) (actions []string) {
	walkMaps(v, func(m map[string]any) {
		if m["Effect"] == "Allow" {
			for _, action := range asList(m["Action"]) {
				if action != "sts:AssumeRole" {
					actions = append(actions, action.(string))
				}
			}
		}
	})
	slices.Sort(actions)
	return slices.Compact(actions)
}

var inputType = regexp.MustCompile(`&(ecs|sqs|cloudwatch)\.(\w+)Input\{`)

// calledActions returns the sorted IAM actions of ECS, SQS and CloudWatch that a service's source calls, and more. It
// ignores Kinesis because no template grants it.
func calledActions(t *testing.T, folder string, more ...string) (actions []string) {
	t.Helper()
	require.NoError(t, filepath.WalkDir(folder, func(path string, entry fs.DirEntry, err error) error {
		if err == nil && entry.IsDir() && entry.Name() == "examples" { // not part of the service
			return fs.SkipDir
		}
		if err != nil || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		source, err := os.ReadFile(path)
		for _, found := range inputType.FindAllStringSubmatch(string(source), -1) {
			actions = append(actions, found[1]+":"+strings.TrimSuffix(found[2], "Batch"))
		}
		return err
	}))
	require.NotEmpty(t, actions)
	actions = append(actions, more...)
	slices.Sort(actions)
	return slices.Compact(actions)
}

func TestRoles_AllowExactlyTheCallsOfTheServices(t *testing.T) {
	state := calledActions(t, "../cluster-state-service")
	scheduler := calledActions(t, "../daemon-scheduler", "ecs:TagResource", "iam:PassRole") // needed by StartTask
	resources := readYAML(t, "aws/blox-aws.yml")["Resources"]
	assert.Equal(t, state, allowedActions(at(resources, "StateRole")))
	assert.Equal(t, scheduler, allowedActions(at(resources, "SchedulerRole")))
	user := append(slices.Clone(state), scheduler...)
	slices.Sort(user)
	assert.Equal(t, slices.Compact(user), allowedActions(readYAML(t, "docker/blox-local-user.yml")["Resources"]))
	for _, path := range []string{"aws/blox-aws.yml", "docker/blox-local-user.yml"} {
		passRoles, assumed := 0, 0
		walkMaps(readYAML(t, path), func(m map[string]any) {
			if m["Action"] == "iam:PassRole" {
				passRoles++
				assert.Equal(t, map[string]any{"!Ref": "DaemonRoleArns"}, m["Resource"])
			}
			if m["Action"] == "sts:AssumeRole" && m["Principal"] == nil {
				assumed++
				assert.Equal(t, map[string]any{"!Ref": "EnvironmentRoleArns"}, m["Resource"])
			}
		})
		assert.Equal(t, 1, passRoles, path)
		assert.Equal(t, 1, assumed, path)
	}
}

func TestQueuePolicy_AllowsOnlyTheRuleToSend(t *testing.T) {
	for _, path := range []string{"aws/blox-aws.yml", "docker/blox-local.yml"} {
		rule := map[string]any{"aws:SourceArn": map[string]any{"!GetAtt": "CloudWatchEvents.Arn"}}
		template := readYAML(t, path)
		policy := at(template, "Resources", "QueuePolicy", "Properties", "PolicyDocument")
		statements := asList(at(policy, "Statement"))
		require.Len(t, statements, 2)
		allow, deny := statements[0], statements[1]
		assert.Equal(t, []any{"Allow", rule}, []any{at(allow, "Effect"), at(allow, "Condition", "ArnEquals")}, path)
		assert.Equal(t, []any{"Deny", "*", rule},
			[]any{at(deny, "Effect"), at(deny, "Principal"), at(deny, "Condition", "ArnNotEquals")}, path)

		// A redrive sends as the principal that starts it. No principal may by default.
		assert.Equal(t, map[string]any{"!If": []any{
			"RedriveAllowed",
			map[string]any{"aws:PrincipalArn": map[string]any{"!Ref": "RedrivePrincipalArns"}},
			map[string]any{"!Ref": "AWS::NoValue"},
		}}, at(deny, "Condition", "ArnNotLike"), path)
		assert.Empty(t, at(template, "Parameters", "RedrivePrincipalArns", "Default"), path)
	}
}

func TestStack_IsNotOpenToTheInternet(t *testing.T) {
	routes, ingressRules := 0, 0
	for name, resource := range at(readYAML(t, "aws/blox-aws.yml"), "Resources").(map[string]any) {
		properties := at(resource, "Properties")
		switch kind := at(resource, "Type"); kind {
		case "AWS::ApiGatewayV2::Route":
			routes++
			assert.Equal(t, "AWS_IAM", at(properties, "AuthorizationType"), name)
		case "AWS::ElasticLoadBalancingV2::LoadBalancer":
			assert.Equal(t, "internal", at(properties, "Scheme"), name)
		case "AWS::ECS::TaskDefinition":
			for _, container := range asList(at(properties, "ContainerDefinitions")) {
				if at(container, "MountPoints") == nil { // only etcd writes to a mounted volume
					assert.Equal(t, "true", at(container, "ReadonlyRootFilesystem"), name)
				}
			}
		}
		if strings.Contains(fmt.Sprint(at(resource, "Type")), "SecurityGroup") {
			walkMaps(at(resource), func(m map[string]any) {
				if m["IpProtocol"] != nil {
					ingressRules++
					assert.NotNil(t, m["SourceSecurityGroupId"], "%s: %v", name, m)
				}
			})
		}
	}
	assert.Positive(t, routes)
	assert.Positive(t, ingressRules)
}

// The probe is off by default, has no permission in AWS, and its alarm counts missing successes as failures.
func TestStack_ProbeIsOptionalAndNeedsNoPermission(t *testing.T) {
	template := readYAML(t, "aws/blox-aws.yml")
	assert.Equal(t, "off", at(template, "Parameters", "Probe", "Default"))
	resources := at(template, "Resources").(map[string]any)
	probe := 0
	for name, resource := range resources {
		if strings.HasPrefix(name, "Probe") {
			probe++
			assert.Equal(t, "Probes", at(resource, "Condition"), name)
		}
	}
	assert.Equal(t, 5, probe)
	task := at(resources["ProbeTask"], "Properties")
	assert.NotNil(t, at(task, "ExecutionRoleArn"))
	assert.Nil(t, at(task, "TaskRoleArn"))
	alarm := at(resources["ProbeAlarm"], "Properties")
	filter := asList(at(resources["ProbeSuccesses"], "Properties", "MetricTransformations"))[0]
	assert.Equal(t, at(filter, "MetricNamespace"), at(alarm, "Namespace"))
	assert.Equal(t, at(filter, "MetricName"), at(alarm, "MetricName"))
	assert.Equal(t, "breaching", at(alarm, "TreatMissingData"))
	report, err := json.Marshal(probereport.Report{Healthy: true})
	require.NoError(t, err)
	assert.Equal(t, "{ $.healthy IS TRUE }", at(resources["ProbeSuccesses"], "Properties", "FilterPattern"))
	assert.Contains(t, string(report), `"healthy":true`)
}

func TestCompose_PublishesPortsOnLoopbackOnly(t *testing.T) {
	files, err := filepath.Glob("docker/*.yml")
	require.NoError(t, err)
	published := 0
	for _, path := range append(files, "../docker-compose.yml", "monitoring/docker-compose.yml") {
		services, _ := readYAML(t, path)["services"].(map[string]any)
		for name, service := range services {
			ports, _ := at(service, "ports").([]any)
			for _, port := range ports {
				published++
				assert.True(t, strings.HasPrefix(port.(string), "${BLOX_ADDRESS:-127.0.0.1}:"), "%s: %s: %s", path, name, port)
				assert.False(t, strings.HasPrefix(name, "etcd"), "%s: %s is published", path, name)
			}
			assert.NotEqual(t, "host", at(service, "network_mode"), name)
			assert.Nil(t, at(service, "privileged"), name)
		}
	}
	assert.Positive(t, published)
}

// Package deploy has no program: its tests hold the templates against what THREATS.md says of them.
package deploy

import (
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
	"go.yaml.in/yaml/v3"
)

// template is a file in YAML, with CloudFormation's short forms: {"!Ref": "Queue"}.
func template(t *testing.T, path string) map[string]any {
	t.Helper()
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	var node yaml.Node
	require.NoError(t, yaml.Unmarshal(text, &node))
	return plain(node.Content[0]).(map[string]any)
}

func plain(n *yaml.Node) (value any) {
	switch n.Kind {
	case yaml.MappingNode:
		fields := map[string]any{}
		for i := 0; i+1 < len(n.Content); i += 2 {
			fields[n.Content[i].Value] = plain(n.Content[i+1])
		}
		value = fields
	case yaml.SequenceNode:
		items := []any{}
		for _, item := range n.Content {
			items = append(items, plain(item))
		}
		value = items
	case yaml.AliasNode:
		return plain(n.Alias)
	default:
		value = n.Value
	}
	if strings.HasPrefix(n.Tag, "!") && !strings.HasPrefix(n.Tag, "!!") {
		return map[string]any{n.Tag: value}
	}
	return value
}

// at follows keys into maps; nil when there is nothing.
func at(v any, keys ...string) any {
	for _, key := range keys {
		fields, _ := v.(map[string]any)
		v = fields[key]
	}
	return v
}

// list is v, or v alone: policies have both.
func list(v any) []any {
	if items, is := v.([]any); is {
		return items
	}
	return []any{v}
}

// each calls fn for every map within v, v first.
func each(v any, fn func(map[string]any)) {
	switch v := v.(type) {
	case map[string]any:
		fn(v)
		for _, inner := range v {
			each(inner, fn)
		}
	case []any:
		for _, inner := range v {
			each(inner, fn)
		}
	}
}

// allowed is the actions of all statements within v.
func allowed(v any) (actions []string) {
	each(v, func(m map[string]any) {
		if m["Effect"] == "Allow" {
			for _, action := range list(m["Action"]) {
				if action != "sts:AssumeRole" {
					actions = append(actions, action.(string))
				}
			}
		}
	})
	slices.Sort(actions)
	return slices.Compact(actions)
}

var call = regexp.MustCompile(`&(ecs|sqs)\.(\w+)Input\{`)

// calls is what a service's source asks of AWS, as IAM names it; of Kinesis, for which there is no template, nothing.
func calls(t *testing.T, folder string, more ...string) (actions []string) {
	t.Helper()
	require.NoError(t, filepath.WalkDir(folder, func(path string, entry fs.DirEntry, err error) error {
		if err == nil && entry.IsDir() && entry.Name() == "examples" { // which are no part of the service
			return fs.SkipDir
		}
		if err != nil || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		source, err := os.ReadFile(path)
		for _, found := range call.FindAllStringSubmatch(string(source), -1) {
			actions = append(actions, found[1]+":"+strings.TrimSuffix(found[2], "Batch"))
		}
		return err
	}))
	require.NotEmpty(t, actions)
	actions = append(actions, more...)
	slices.Sort(actions)
	return slices.Compact(actions)
}

func TestRolesMayDoWhatTheServicesCallAndNothingElse(t *testing.T) {
	state := calls(t, "../cluster-state-service")
	scheduler := calls(t, "../daemon-scheduler", "ecs:TagResource", "iam:PassRole") // which StartTask needs
	resources := template(t, "aws/blox-aws.yml")["Resources"]
	assert.Equal(t, state, allowed(at(resources, "StateRole")))
	assert.Equal(t, scheduler, allowed(at(resources, "SchedulerRole")))
	user := append(slices.Clone(state), scheduler...)
	slices.Sort(user)
	assert.Equal(t, slices.Compact(user), allowed(template(t, "docker/blox-local-user.yml")["Resources"]))
	for _, path := range []string{"aws/blox-aws.yml", "docker/blox-local-user.yml"} {
		passes := 0
		each(template(t, path), func(m map[string]any) {
			if m["Action"] == "iam:PassRole" {
				passes++
				assert.Equal(t, map[string]any{"!Ref": "DaemonRoleArns"}, m["Resource"])
			}
		})
		assert.Equal(t, 1, passes, path)
	}
}

func TestOnlyTheRuleSendsEvents(t *testing.T) {
	for _, path := range []string{"aws/blox-aws.yml", "docker/blox-local.yml"} {
		rule := map[string]any{"aws:SourceArn": map[string]any{"!GetAtt": "Rule.Arn"}}
		statements := list(at(template(t, path), "Resources", "OnlyTheRuleSends", "Properties", "PolicyDocument", "Statement"))
		require.Len(t, statements, 2)
		assert.Equal(t, []any{"Allow", rule}, []any{at(statements[0], "Effect"), at(statements[0], "Condition", "ArnEquals")}, path)
		assert.Equal(t, []any{"Deny", "*", rule}, []any{at(statements[1], "Effect"), at(statements[1], "Principal"), at(statements[1], "Condition", "ArnNotEquals")}, path)
	}
}

func TestTheStackIsNotOpenToTheWorld(t *testing.T) {
	routes, ways := 0, 0
	for name, resource := range at(template(t, "aws/blox-aws.yml"), "Resources").(map[string]any) {
		properties := at(resource, "Properties")
		switch kind := at(resource, "Type"); kind {
		case "AWS::ApiGatewayV2::Route":
			routes++
			assert.Equal(t, "AWS_IAM", at(properties, "AuthorizationType"), name)
		case "AWS::ElasticLoadBalancingV2::LoadBalancer":
			assert.Equal(t, "internal", at(properties, "Scheme"), name)
		case "AWS::ECS::TaskDefinition":
			for _, container := range list(at(properties, "ContainerDefinitions")) {
				if at(container, "MountPoints") == nil { // which etcd has, and writes to
					assert.Equal(t, "true", at(container, "ReadonlyRootFilesystem"), name)
				}
			}
		}
		if strings.Contains(fmt.Sprint(at(resource, "Type")), "SecurityGroup") {
			each(at(resource), func(m map[string]any) {
				if m["IpProtocol"] != nil {
					ways++
					assert.NotNil(t, m["SourceSecurityGroupId"], "%s: %v", name, m)
				}
			})
		}
	}
	assert.Positive(t, routes)
	assert.Positive(t, ways)
}

func TestComposeServesThisMachineOnly(t *testing.T) {
	files, err := filepath.Glob("docker/*.yml")
	require.NoError(t, err)
	published := 0
	for _, path := range append(files, "../docker-compose.yml") {
		services, _ := template(t, path)["services"].(map[string]any)
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

package environment

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestSpec_ValidateListsEveryProblem(t *testing.T) {
	double := 200
	vpc := &AwsVpcConfiguration{Subnets: []string{"s"}}
	bridge, awsvpc := TaskDefinition{
		Containers: []string{"main"},
	}, TaskDefinition{
		NetworkMode: "awsvpc",
		Containers:  []string{"main"},
	}
	canary := func(c Canary) Spec { return Spec{DeploymentConfiguration: DeploymentConfiguration{Canary: &c}} }
	tags := func(tags ...Tag) Spec { return Spec{TaskSettings: TaskSettings{Tags: tags}} }
	named := func(name, value string) Spec {
		return Spec{
			TaskSettings: TaskSettings{
				Overrides: &TaskOverride{
					ContainerOverrides: []ContainerOverride{{Name: name, Environment: []KeyValue{{"a", value}}}},
				},
			},
		}
	}
	for name, tc := range map[string]struct {
		spec Spec
		of   TaskDefinition
		want string
	}{
		"no settings": {Spec{}, bridge, ""},
		"valid settings": {
			Spec{Query: "attribute:a exists", TaskSettings: TaskSettings{Network: vpc, Tags: []Tag{{"a b", "ü@x"}, {"b", ""}}}},
			awsvpc, "",
		},
		"an invalid query": {
			Spec{Query: "zone == a"}, bridge,
			`instanceGroup.query in body is invalid: column 1: "zone" is not a subject: ` +
				`attribute:<name>, ec2InstanceId, agentConnected, agentVersion, capacityProviderName or registeredAt`,
		},
		"an invalid canary query": {
			canary(Canary{Query: "attribute:a"}), bridge,
			"deploymentConfiguration.canary.query in body is invalid: column 12: " +
				"the query ends where an operator: ==, !=, =~, !~, in, not_in, exists or !exists is expected",
		},
		"an empty canary": {
			canary(Canary{}), bridge, "deploymentConfiguration.canary in body should have either percent, query or steps",
		},
		"a canary with percent and query": {
			canary(Canary{Percent: 5, Query: "attribute:a exists"}), bridge,
			"deploymentConfiguration.canary in body should have either percent, query or steps",
		},
		"canary steps": {
			canary(Canary{Steps: []CanaryStep{
				{Query: "attribute:a exists"}, {Percent: 5}, {Count: 3, PauseMinutes: new(int)}, {Percent: 6},
			}}), bridge, "",
		},
		"a canary with percent and steps": {
			canary(Canary{Percent: 5, Steps: []CanaryStep{{Percent: 7}}}), bridge,
			"deploymentConfiguration.canary in body should have either percent, query or steps",
		},
		"an empty canary step": {
			canary(Canary{Steps: []CanaryStep{{Percent: 5}, {}}}), bridge,
			"deploymentConfiguration.canary.steps.1 in body should have either percent, count or query",
		},
		"a canary step that is smaller than an earlier one": {
			canary(Canary{Steps: []CanaryStep{{Percent: 5}, {Count: 9}, {Percent: 5}}}), bridge,
			"deploymentConfiguration.canary.steps.2.percent in body should be greater than 5, that of an earlier step",
		},
		"an invalid query of a canary step": {
			canary(Canary{Steps: []CanaryStep{{Query: "zone"}}}), bridge,
			`deploymentConfiguration.canary.steps.0.query in body is invalid: column 1: "zone" is not a subject: ` +
				`attribute:<name>, ec2InstanceId, agentConnected, agentVersion, capacityProviderName or registeredAt`,
		},
		"start before stop, static ports": {
			Spec{DeploymentConfiguration: DeploymentConfiguration{MaximumPercent: &double}},
			TaskDefinition{StaticPorts: true},
			"deploymentConfiguration.maximumPercent in body should be 100, " +
				"as tasks with static host ports cannot run side by side",
		},
		"start before stop, no static ports": {
			Spec{DeploymentConfiguration: DeploymentConfiguration{MaximumPercent: &double}}, bridge, "",
		},
		"a reserved readiness attribute": {
			Spec{ReadinessAttribute: "ecs.ready"}, bridge,
			"readinessAttribute in body should not begin with ecs. or com.amazonaws., which are ECS's own",
		},
		"no network": {
			Spec{}, awsvpc,
			"taskSettings.networkConfiguration in body is required by the task definition's network mode awsvpc",
		},
		"a network without awsvpc": {
			Spec{TaskSettings: TaskSettings{Network: vpc}}, bridge,
			"taskSettings.networkConfiguration in body is only for task definitions with the network mode awsvpc",
		},
		"an override of an unknown container": {
			named("side", ""), bridge,
			"taskSettings.overrides.containerOverrides.0.name in body is not a container of the task definition",
		},
		"long overrides": {
			named("main", strings.Repeat("x", 8192)), bridge,
			"taskSettings.overrides in body should be at most 8192 characters",
		},
		"a repeated tag": {tags(Tag{"a", ""}, Tag{"a", "b"}), bridge, "taskSettings.tags.1.key in body is repeated"},
		"a reserved tag": {tags(Tag{"AWS:a", ""}), bridge, "taskSettings.tags.0.key in body should not begin with aws:"},
		"invalid characters in a tag's key and value": {
			tags(Tag{"a!", "b?"}), bridge,
			"taskSettings.tags.0.key in body should have letters, digits, spaces and _.:/=+-@ only\n" +
				"taskSettings.tags.0.value in body should have letters, digits, spaces and _.:/=+-@ only",
		},
		"a body that is too large": {
			Spec{Attributes: make([]Attribute, 6000)}, bridge, "the body as a whole should be at most 65536 bytes",
		},
	} {
		assert.Equal(t, tc.want, strings.Join(tc.spec.Validate(&tc.of), "\n"), name)
	}
}

package ecssim

import (
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestTaskDefinitions_RegisterDescribeDeregister(t *testing.T) {
	w := newFixture(t, Config{})
	registered, err := w.ecs.RegisterTaskDefinition(w.ctx, &ecs.RegisterTaskDefinitionInput{
		Family: aws.String("agent"), Volumes: []types.Volume{{Name: aws.String("v")}},
		Tags: []types.Tag{{Key: aws.String("k"), Value: aws.String("v")}},
		ContainerDefinitions: []types.ContainerDefinition{{
			Name: aws.String("agent"), Image: aws.String("agent:1"), Memory: aws.Int32(64), Privileged: aws.Bool(true),
			PortMappings:     []types.PortMapping{{ContainerPort: aws.Int32(8125), Protocol: types.TransportProtocolUdp}},
			Environment:      []types.KeyValuePair{{Name: aws.String("A"), Value: aws.String("1")}},
			LogConfiguration: &types.LogConfiguration{LogDriver: types.LogDriverAwslogs},
		}},
	})
	require.NoError(t, err)
	first := *registered.TaskDefinition.TaskDefinitionArn
	assert.Equal(t, "arn:aws:ecs:us-east-1:123456789012:task-definition/agent:1", first)
	second := w.RegisterTaskDefinition("agent", WithCPU(64), WithMemory(32))

	for ref, want := range map[string]string{"agent": second, "agent:1": first, "agent:2": second, first: first} {
		out, err := w.ecs.DescribeTaskDefinition(w.ctx, &ecs.DescribeTaskDefinitionInput{TaskDefinition: &ref})
		require.NoError(t, err, ref)
		assert.Equal(t, want, *out.TaskDefinition.TaskDefinitionArn, ref)
	}
	out, err := w.ecs.DescribeTaskDefinition(w.ctx, &ecs.DescribeTaskDefinitionInput{
		TaskDefinition: &first, Include: []types.TaskDefinitionField{types.TaskDefinitionFieldTags},
	})
	require.NoError(t, err)
	container := out.TaskDefinition.ContainerDefinitions[0]
	assert.Equal(t, types.NetworkModeBridge, out.TaskDefinition.NetworkMode)
	assert.Equal(t, "1", *container.Environment[0].Value, "registered fields are returned")
	assert.True(t, *container.Essential, "ECS adds defaults")
	assert.Equal(t, "v", *out.TaskDefinition.Volumes[0].Name)
	assert.Len(t, out.Tags, 1)
	assert.Len(t, out.TaskDefinition.RequiresAttributes, 2)
	assert.False(t, out.TaskDefinition.RegisteredAt.IsZero())

	deregistered, err := w.ecs.DeregisterTaskDefinition(w.ctx, &ecs.DeregisterTaskDefinitionInput{TaskDefinition: &second})
	require.NoError(t, err)
	assert.Equal(t, types.TaskDefinitionStatusInactive, deregistered.TaskDefinition.Status)
	out, err = w.ecs.DescribeTaskDefinition(w.ctx, &ecs.DescribeTaskDefinitionInput{TaskDefinition: aws.String("agent")})
	require.NoError(t, err)
	assert.Equal(t, first, *out.TaskDefinition.TaskDefinitionArn, "the latest ACTIVE revision")
	out, err = w.ecs.DescribeTaskDefinition(w.ctx, &ecs.DescribeTaskDefinitionInput{TaskDefinition: &second})
	require.NoError(t, err)
	assert.Equal(t, types.TaskDefinitionStatusInactive, out.TaskDefinition.Status)

	w.RegisterTaskDefinition("other")
	list, err := w.ecs.ListTaskDefinitions(w.ctx, &ecs.ListTaskDefinitionsInput{FamilyPrefix: aws.String("agent")})
	require.NoError(t, err)
	assert.Equal(t, []string{first}, list.TaskDefinitionArns)
	list, err = w.ecs.ListTaskDefinitions(w.ctx, &ecs.ListTaskDefinitionsInput{
		Status: types.TaskDefinitionStatusInactive, Sort: types.SortOrderDesc,
	})
	require.NoError(t, err)
	assert.Equal(t, []string{second}, list.TaskDefinitionArns)
	families, err := w.ecs.ListTaskDefinitionFamilies(w.ctx, &ecs.ListTaskDefinitionFamiliesInput{})
	require.NoError(t, err)
	assert.Equal(t, []string{"agent", "other"}, families.Families)
}

func TestTaskDefinitions_RejectInvalidInput(t *testing.T) {
	w := newFixture(t, Config{})
	w.RegisterTaskDefinition("agent")
	for _, ref := range []string{
		"", "nope", "agent:2", "agent:0", "agent:-1", "agent:x", "arn:aws:ecs:eu-west-1:123456789012:task-definition/agent:1",
		"arn:",
	} {
		_, err := w.ecs.DescribeTaskDefinition(w.ctx, &ecs.DescribeTaskDefinitionInput{TaskDefinition: &ref})
		assert.ErrorAs(t, err, new(*types.ClientException), "%q", ref)
	}
	_, err := w.ecs.DeregisterTaskDefinition(w.ctx, &ecs.DeregisterTaskDefinitionInput{
		TaskDefinition: aws.String("agent"),
	})
	assert.ErrorAs(t, err, new(*types.InvalidParameterException), "without a revision")

	one := func(name string, memory int32) []types.ContainerDefinition {
		return []types.ContainerDefinition{{Name: &name, Image: aws.String("i"), Memory: &memory}}
	}
	twice := append(one("a", 64), one("a", 64)...)
	badPort := one("a", 64)
	badPort[0].PortMappings = []types.PortMapping{{ContainerPort: aws.Int32(80), HostPort: aws.Int32(70000)}}
	for name, in := range map[string]*ecs.RegisterTaskDefinitionInput{
		"a family with a space":      {Family: aws.String("a b"), ContainerDefinitions: one("a", 64)},
		"no containers":              {Family: aws.String("a"), ContainerDefinitions: []types.ContainerDefinition{}},
		"a container without a name": {Family: aws.String("a"), ContainerDefinitions: one("", 64)},
		"no memory":                  {Family: aws.String("a"), ContainerDefinitions: one("a", 0)},
		"negative memory":            {Family: aws.String("a"), ContainerDefinitions: one("a", -1)},
		"two containers of one name": {Family: aws.String("a"), ContainerDefinitions: twice},
		"a port out of range":        {Family: aws.String("a"), ContainerDefinitions: badPort},
		"an unknown network mode":    {Family: aws.String("a"), ContainerDefinitions: one("a", 64), NetworkMode: "pigeon"},
		"CPU that is no number": {
			Family: aws.String("a"), ContainerDefinitions: one("a", 64), Cpu: aws.String("much"),
		},
		"task memory that is no number": {
			Family: aws.String("a"), ContainerDefinitions: one("a", 64), Memory: aws.String("-1"),
		},
	} {
		_, err := w.ecs.RegisterTaskDefinition(w.ctx, in)
		assert.ErrorAs(t, err, new(*types.ClientException), name)
	}
	assert.Empty(t, w.Sim.RegisterTaskDefinition("a b"))
	assert.Empty(t, w.StartFargateTask("default", "a b"))
}

package reconcile

import (
	"encoding/json"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
	"github.com/go-openapi/swag/conv"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/blox/blox/cluster-state-service/state"
	"github.com/blox/blox/internal/testenv"
)

// The output of Describe and the event of the same moment decode to the same task.
func TestEncode_ProducesTheFormOfEvents(t *testing.T) {
	want, err := state.DecodeTask(testenv.Event(t, "task-ec2-stopped.json"))
	require.NoError(t, err)
	container := want.Containers[0]
	described := types.Task{
		TaskArn: &want.ARN, ClusterArn: &want.ClusterARN, ContainerInstanceArn: &want.ContainerInstanceARN,
		TaskDefinitionArn: &want.TaskDefinitionARN, LastStatus: &want.LastStatus, DesiredStatus: &want.DesiredStatus,
		StartedBy: &want.StartedBy, LaunchType: types.LaunchTypeEc2, Version: 6,
		CreatedAt: at(t, "2026-03-04T10:15:20.902Z"), StartedAt: at(t, "2026-03-04T10:15:29.44Z"),
		StoppedAt: at(t, "2026-03-04T11:00:02.5Z"), StoppingAt: at(t, "2026-03-04T10:59:51.003Z"),
		PullStartedAt: at(t, "2026-03-04T10:15:22.1Z"), PullStoppedAt: at(t, "2026-03-04T10:15:27.9Z"),
		ExecutionStoppedAt: at(t, "2026-03-04T11:00:01.9Z"), Connectivity: types.ConnectivityConnected,
		Cpu: conv.Pointer("128"), Memory: conv.Pointer("256"), AvailabilityZone: conv.Pointer("eu-west-1b"),
		Attributes: []types.Attribute{{Name: conv.Pointer("ecs.cpu-architecture"), Value: conv.Pointer("x86_64")}},
		Group:      &want.Group, StoppedReason: &want.StoppedReason, StopCode: types.TaskStopCodeEssentialContainerExited,
		Containers: []types.Container{{
			ContainerArn: &container.ARN, Name: &container.Name, LastStatus: &container.LastStatus,
			ExitCode: conv.Pointer[int32](0), Image: &container.Image, ImageDigest: &container.ImageDigest,
			RuntimeId: &container.RuntimeID, Cpu: conv.Pointer("128"), Memory: conv.Pointer("256"),
			NetworkBindings: []types.NetworkBinding{{
				BindIP: conv.Pointer("0.0.0.0"), ContainerPort: conv.Pointer[int32](8125),
				HostPort: conv.Pointer[int32](8125), Protocol: types.TransportProtocolUdp,
			}},
		}},
		Overrides: &types.TaskOverride{ContainerOverrides: []types.ContainerOverride{{
			Name:        conv.Pointer("agent"),
			Environment: []types.KeyValuePair{{Name: conv.Pointer("TIER"), Value: conv.Pointer("prod")}},
		}}},
	}
	body, err := encode("ECS Task State Change", want.ARN, described, nil, now)
	require.NoError(t, err)
	got, err := state.DecodeTask(body)
	require.NoError(t, err)
	assert.True(t, got.Equivalent(want), "%+v\n%+v", got, want)
	assert.Equal(t, int64(6), got.Version)
	assert.Equal(t, "2026-03-04T10:15:29.440Z", got.StartedAt)
	assert.Equal(t, now, got.LastChanged(), "the time of the Describe call")

	var envelope map[string]any
	require.NoError(t, json.Unmarshal(body, &envelope))
	assert.Equal(t, "aws.ecs", envelope["source"])
	assert.Equal(t, "123456789012", envelope["account"])
	assert.Equal(t, "eu-west-1", envelope["region"])
	assert.Equal(t, []any{want.ARN}, envelope["resources"])
	stopCode := envelope["detail"].(map[string]any)["stopCode"]
	assert.Equal(t, "EssentialContainerExited", stopCode, "members that Blox does not read are kept")
	assert.NotContains(t, envelope["detail"], "healthStatus", "members that the API did not send are omitted")
}

func TestEncode_KeepsFalseAndZero(t *testing.T) {
	arn := "arn:aws:ecs:eu-west-1:123456789012:container-instance/prod/1"
	body, err := encode("ECS Container Instance State Change", arn, types.ContainerInstance{
		ContainerInstanceArn: &arn, Status: conv.Pointer("ACTIVE"), Version: 2,
		RegisteredResources: []types.Resource{{Name: conv.Pointer("CPU"), Type: conv.Pointer("INTEGER"), IntegerValue: 2048}},
		Attributes:          []types.Attribute{{Name: conv.Pointer("x")}},
	}, map[string]any{"clusterArn": "arn:aws:ecs:eu-west-1:123456789012:cluster/prod"}, now)
	require.NoError(t, err)
	assert.Contains(t, string(body), `"agentConnected":false`)
	instance, err := state.DecodeInstance(body)
	require.NoError(t, err)
	assert.Equal(t, "2048", instance.RegisteredResources[0].Value())
	assert.Equal(t, []state.Attribute{{Name: "x"}}, instance.Attributes)
}

package reconcile

import (
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
	"github.com/go-openapi/swag/conv"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/blox/blox/cluster-state-service/state"
)

const (
	fieldsCluster  = "arn:aws:ecs:eu-west-1:123456789012:cluster/prod"
	fieldsTask     = "arn:aws:ecs:eu-west-1:123456789012:task/prod/1"
	fieldsInstance = "arn:aws:ecs:eu-west-1:123456789012:container-instance/prod/1"
	taskEvent      = `{"time":"2026-03-04T10:15:31Z","detail":{"clusterArn":"` + fieldsCluster + `","taskArn":"` +
		fieldsTask + `","version":3,"updatedAt":"2026-03-04T10:15:30Z","launchType":"FARGATE",
		"capacityProviderName":"FARGATE_SPOT","stoppingAt":"2026-03-04T10:15:28.1Z",
		"executionStoppedAt":"2026-03-04T10:15:29Z","connectivity":"CONNECTED","cpu":"256","memory":"512",
		"availabilityZone":"eu-west-1a","platformVersion":"1.4.0","enableExecuteCommand":true,
		"ephemeralStorage":{"sizeInGiB":20},"attributes":[{"name":"ecs.cpu-architecture","value":"arm64"}],
		"attachments":[{"id":"e1","type":"eni","status":"ATTACHED","details":[{"name":"subnetId","value":"s-1"}]}],
		"containers":[{"containerArn":"c","name":"web","lastStatus":"RUNNING","image":"web:1","imageDigest":"sha256:7c",
		"runtimeId":"r-1","cpu":"null","gpuIds":["1","0"],
		"networkInterfaces":[{"attachmentId":"e1","privateIpv4Address":"10.0.0.9","ipv6Address":"::9"}],
		"networkBindings":[{"bindIP":"0.0.0.0","containerPortRange":"80-90","hostPortRange":"8080-8090","protocol":"tcp"}],
		"managedAgents":[{"name":"ExecuteCommandAgent","lastStatus":"RUNNING","lastStartedAt":"2026-03-04T10:14:00.5Z"}]}]}}`
	instanceEvent = `{"time":"2026-03-04T10:15:31Z","detail":{"clusterArn":"` + fieldsCluster +
		`","containerInstanceArn":"` + fieldsInstance + `","version":3,"updatedAt":"2026-03-04T10:15:30Z",
		"status":"ACTIVE","statusReason":"why","capacityProviderName":"cp","registeredAt":"2026-03-01T08:00:11.1Z",
		"attachments":[{"id":"e2","type":"eni","status":"ATTACHED","details":[]}]}}`
)

func at(t *testing.T, s string) *time.Time {
	at, err := time.Parse(time.RFC3339, s)
	require.NoError(t, err)
	return &at
}

// An event and the answer of Describe at the same moment decode to the same values. Otherwise each reconciliation would
// rewrite the records of events.
func TestEncode_TodaysTaskFieldsEqualThoseOfEvents(t *testing.T) {
	event, err := state.DecodeTask([]byte(taskEvent))
	require.NoError(t, err)
	s := conv.Pointer[string]
	body, err := encode("ECS Task State Change", fieldsTask, types.Task{
		ClusterArn: s(fieldsCluster), TaskArn: s(fieldsTask), Version: 3, LaunchType: types.LaunchTypeFargate,
		CapacityProviderName: s("FARGATE_SPOT"), StoppingAt: at(t, "2026-03-04T10:15:28.1Z"),
		ExecutionStoppedAt: at(t, "2026-03-04T10:15:29Z"), Connectivity: types.ConnectivityConnected,
		Cpu: s("256"), Memory: s("512"), AvailabilityZone: s("eu-west-1a"), PlatformVersion: s("1.4.0"),
		PlatformFamily: s("Linux"), EnableExecuteCommand: true, HealthStatus: types.HealthStatusUnknown,
		EphemeralStorage: &types.EphemeralStorage{SizeInGiB: 20},
		Attributes:       []types.Attribute{{Name: s("ecs.cpu-architecture"), Value: s("arm64")}},
		Attachments: []types.Attachment{{
			Id: s("e1"), Type: s("ElasticNetworkInterface"), Status: s("ATTACHED"),
			Details: []types.KeyValuePair{{Name: s("subnetId"), Value: s("s-1")}, {Name: s("privateDnsName"), Value: s("x")}},
		}},
		Containers: []types.Container{{
			ContainerArn: s("c"), Name: s("web"), LastStatus: s("RUNNING"), Image: s("web:1"), ImageDigest: s("sha256:7c"),
			RuntimeId: s("r-1"), Cpu: s("0"), GpuIds: []string{"0", "1"}, HealthStatus: types.HealthStatusUnknown,
			NetworkInterfaces: []types.NetworkInterface{{
				AttachmentId: s("e1"), PrivateIpv4Address: s("10.0.0.9"), Ipv6Address: s("::9"),
			}},
			NetworkBindings: []types.NetworkBinding{{
				BindIP: s("0.0.0.0"), ContainerPortRange: s("80-90"), HostPortRange: s("8080-8090"),
				Protocol: types.TransportProtocolTcp,
			}},
			ManagedAgents: []types.ManagedAgent{{
				Name: types.ManagedAgentNameExecuteCommandAgent, LastStatus: s("RUNNING"),
				LastStartedAt: at(t, "2026-03-04T10:14:00.5Z"),
			}},
		}},
	}, nil, now)
	require.NoError(t, err)
	described, err := state.DecodeTask(body)
	require.NoError(t, err)
	assert.True(t, described.Equivalent(event), "%+v\n%+v", described, event)
	assert.Equal(t, "Linux", described.PlatformFamily)

	for name, change := range map[string]func(*state.Task){
		"capacity provider": func(t *state.Task) { t.CapacityProviderName = "" },
		"storage":           func(t *state.Task) { t.EphemeralStorage = nil },
		"attachment":        func(t *state.Task) { t.Attachments = nil },
		"exec":              func(t *state.Task) { t.EnableExecuteCommand = false },
		"container's health": func(t *state.Task) {
			t.Containers = []state.Container{t.Containers[0]}
			t.Containers[0].HealthStatus = "UNHEALTHY"
		},
		"port range": func(t *state.Task) {
			t.Containers = []state.Container{t.Containers[0]}
			t.Containers[0].NetworkBindings = nil
		},
	} {
		changed := described
		change(&changed)
		assert.False(t, changed.Equivalent(event), name)
	}
}

func TestEncode_TodaysInstanceFieldsEqualThoseOfEvents(t *testing.T) {
	event, err := state.DecodeInstance([]byte(instanceEvent))
	require.NoError(t, err)
	s := conv.Pointer[string]
	body, err := encode("ECS Container Instance State Change", fieldsInstance, types.ContainerInstance{
		ContainerInstanceArn: s(fieldsInstance), Version: 3, Status: s("ACTIVE"), StatusReason: s("why"),
		CapacityProviderName: s("cp"), RegisteredAt: at(t, "2026-03-01T08:00:11.1Z"), RunningTasksCount: 4,
		Attachments:  []types.Attachment{{Id: s("e2"), Type: s("ElasticNetworkInterface"), Status: s("ATTACHED")}},
		HealthStatus: &types.ContainerInstanceHealthStatus{OverallStatus: types.InstanceHealthCheckStateOk},
	}, map[string]any{"clusterArn": fieldsCluster}, now)
	require.NoError(t, err)
	described, err := state.DecodeInstance(body)
	require.NoError(t, err)
	assert.True(t, described.Equivalent(event), "%+v\n%+v", described, event)
	assert.Equal(t, "OK", described.HealthStatus.OverallStatus)
	assert.Equal(t, int64(4), conv.Value(described.RunningTasksCount))
	require.NotNil(t, described.PendingTasksCount)

	described.HealthStatus.OverallStatus = "IMPAIRED"
	assert.False(t, described.Equivalent(event), "an impaired instance is corrected")
}

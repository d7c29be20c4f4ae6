package engine

import (
	"encoding/json"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/blox/blox/daemon-scheduler/environment"
)

func TestApplyTaskSettings_CopiesEveryField(t *testing.T) {
	cpu := int32(128)
	var input ecs.StartTaskInput
	applyTaskSettings(&input, environment.TaskSettings{
		Network: &environment.AwsVpcConfiguration{
			Subnets: []string{"s"}, SecurityGroups: []string{"g"}, AssignPublicIP: "DISABLED",
		},
		Overrides: &environment.TaskOverride{CPU: "256", Memory: "512", ExecutionRoleARN: "e", TaskRoleARN: "t",
			ContainerOverrides: []environment.ContainerOverride{{
				Name: "main", Command: []string{"run"}, CPU: &cpu, Memory: &cpu, MemoryReservation: &cpu,
				Environment:          []environment.KeyValue{{Name: "a", Value: "b"}},
				EnvironmentFiles:     []environment.EnvironmentFile{{Type: "s3", Value: "f"}},
				ResourceRequirements: []environment.ResourceRequirement{{Type: "GPU", Value: "1"}},
			}}},
		Tags: []environment.Tag{{Key: "k", Value: "v"}, {Key: "l"}}, PropagateTags: "TASK_DEFINITION",
		EnableECSManagedTags: true, EnableExecuteCommand: true, Group: "daemons",
		VolumeConfigurations: []environment.VolumeConfiguration{{
			Name: "data", ManagedEBSVolume: &environment.ManagedEBSVolume{
				RoleARN: "r", Encrypted: new(bool), FilesystemType: "xfs", IOPS: &cpu, KMSKeyID: "k", SizeInGiB: &cpu,
				SnapshotID: "snap", Throughput: &cpu, VolumeInitializationRate: &cpu, VolumeType: "gp3",
				TerminationPolicy: &environment.VolumeTerminationPolicy{DeleteOnTermination: true},
				TagSpecifications: []environment.EBSTagSpecification{{
					ResourceType: "volume", PropagateTags: "NONE", Tags: []environment.Tag{{Key: "k", Value: "v"}},
				}},
			}}},
	})
	var want ecs.StartTaskInput
	require.NoError(t, json.Unmarshal([]byte(`{"EnableECSManagedTags":true,"EnableExecuteCommand":true,"Group":"daemons",
		"NetworkConfiguration":{"AwsvpcConfiguration":{"Subnets":["s"],"AssignPublicIp":"DISABLED","SecurityGroups":["g"]}},
		"Overrides":{"ContainerOverrides":[{"Command":["run"],"Cpu":128,"Environment":[{"Name":"a","Value":"b"}],
		"EnvironmentFiles":[{"Type":"s3","Value":"f"}],"Memory":128,"MemoryReservation":128,"Name":"main",
		"ResourceRequirements":[{"Type":"GPU","Value":"1"}]}],"Cpu":"256","ExecutionRoleArn":"e","Memory":"512","TaskRoleArn":"t"},
		"VolumeConfigurations":[{"Name":"data","ManagedEBSVolume":{"RoleArn":"r","Encrypted":false,"FilesystemType":"xfs",
		"Iops":128,"KmsKeyId":"k","SizeInGiB":128,"SnapshotId":"snap","Throughput":128,"VolumeInitializationRate":128,
		"VolumeType":"gp3","TerminationPolicy":{"DeleteOnTermination":true},"TagSpecifications":[{"ResourceType":"volume",
		"PropagateTags":"NONE","Tags":[{"Key":"k","Value":"v"}]}]}}],
		"PropagateTags":"TASK_DEFINITION","Tags":[{"Key":"k","Value":"v"},{"Key":"l","Value":""}]}`), &want))
	assert.Equal(t, want, input)

	var none ecs.StartTaskInput
	applyTaskSettings(&none, environment.TaskSettings{})
	assert.Equal(t, ecs.StartTaskInput{}, none)
}

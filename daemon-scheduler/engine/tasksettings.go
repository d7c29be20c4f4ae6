package engine

import (
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/blox/blox/daemon-scheduler/environment"
)

// applyTaskSettings copies s to a call of StartTask. ECS has defaults for unset fields.
func applyTaskSettings(input *ecs.StartTaskInput, s environment.TaskSettings) {
	if n := s.Network; n != nil {
		input.NetworkConfiguration = &types.NetworkConfiguration{AwsvpcConfiguration: &types.AwsVpcConfiguration{
			Subnets: n.Subnets, SecurityGroups: n.SecurityGroups, AssignPublicIp: types.AssignPublicIp(n.AssignPublicIP),
		}}
	}
	input.Overrides = overrides(s.Overrides)
	input.Tags = tags(s.Tags)
	input.PropagateTags = types.PropagateTags(s.PropagateTags)
	input.EnableECSManagedTags, input.EnableExecuteCommand = s.EnableECSManagedTags, s.EnableExecuteCommand
	input.Group = nonEmpty(s.Group)
	for _, v := range s.VolumeConfigurations {
		input.VolumeConfigurations = append(input.VolumeConfigurations, types.TaskVolumeConfiguration{
			Name: &v.Name, ManagedEBSVolume: managedEBSVolume(v.ManagedEBSVolume),
		})
	}
}

func managedEBSVolume(v *environment.ManagedEBSVolume) *types.TaskManagedEBSVolumeConfiguration {
	if v == nil {
		return nil
	}
	volume := &types.TaskManagedEBSVolumeConfiguration{
		RoleArn: &v.RoleARN, Encrypted: v.Encrypted, FilesystemType: types.TaskFilesystemType(v.FilesystemType),
		Iops: v.IOPS, KmsKeyId: nonEmpty(v.KMSKeyID), SizeInGiB: v.SizeInGiB, SnapshotId: nonEmpty(v.SnapshotID),
		Throughput: v.Throughput, VolumeInitializationRate: v.VolumeInitializationRate, VolumeType: nonEmpty(v.VolumeType),
	}
	if p := v.TerminationPolicy; p != nil {
		volume.TerminationPolicy = &types.TaskManagedEBSVolumeTerminationPolicy{DeleteOnTermination: &p.DeleteOnTermination}
	}
	for _, s := range v.TagSpecifications {
		specification := types.EBSTagSpecification{
			ResourceType: types.EBSResourceType(s.ResourceType), PropagateTags: types.PropagateTags(s.PropagateTags),
			Tags: tags(s.Tags),
		}
		volume.TagSpecifications = append(volume.TagSpecifications, specification)
	}
	return volume
}

func tags(list []environment.Tag) (tags []types.Tag) {
	for _, tag := range list {
		tags = append(tags, types.Tag{Key: &tag.Key, Value: &tag.Value})
	}
	return tags
}

func overrides(o *environment.TaskOverride) *types.TaskOverride {
	if o == nil {
		return nil
	}
	task := &types.TaskOverride{
		Cpu: nonEmpty(o.CPU), Memory: nonEmpty(o.Memory),
		ExecutionRoleArn: nonEmpty(o.ExecutionRoleARN), TaskRoleArn: nonEmpty(o.TaskRoleARN),
	}
	for _, c := range o.ContainerOverrides {
		container := types.ContainerOverride{
			Name: &c.Name, Command: c.Command, Cpu: c.CPU, Memory: c.Memory, MemoryReservation: c.MemoryReservation,
		}
		for _, v := range c.Environment {
			container.Environment = append(container.Environment, types.KeyValuePair{Name: &v.Name, Value: &v.Value})
		}
		for _, f := range c.EnvironmentFiles {
			container.EnvironmentFiles = append(container.EnvironmentFiles, types.EnvironmentFile{
				Type: types.EnvironmentFileType(f.Type), Value: &f.Value,
			})
		}
		for _, r := range c.ResourceRequirements {
			container.ResourceRequirements = append(container.ResourceRequirements, types.ResourceRequirement{
				Type: types.ResourceType(r.Type), Value: &r.Value,
			})
		}
		task.ContainerOverrides = append(task.ContainerOverrides, container)
	}
	return task
}

// nonEmpty returns a pointer to s; nil if s is empty.
func nonEmpty(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

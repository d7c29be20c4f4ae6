package api

import (
	"encoding/json"
	"strconv"

	"github.com/go-openapi/swag/conv"

	"github.com/blox/blox/cluster-state-service/state"
	"github.com/blox/blox/swagger/cluster-state-service/v1/models"
)

// EncodeTask returns a task as the API shows it: one JSON object, without a newline.
func EncodeTask(t state.Task, revision int64) []byte {
	detail := &models.TaskDetail{
		Attachments:          each(t.Attachments, encodeAttachment),
		Attributes:           each(t.Attributes, encodeTaskAttribute),
		AvailabilityZone:     t.AvailabilityZone,
		CapacityProviderName: t.CapacityProviderName,
		ClusterARN:           &t.ClusterARN,
		Connectivity:         t.Connectivity,
		ContainerInstanceARN: &t.ContainerInstanceARN,
		Containers:           each(t.Containers, encodeContainer),
		CPU:                  state.Amount(t.CPU),
		CreatedAt:            &t.CreatedAt,
		DesiredStatus:        &t.DesiredStatus,
		EnableExecuteCommand: t.EnableExecuteCommand,
		ExecutionStoppedAt:   t.ExecutionStoppedAt,
		Group:                t.Group,
		LastStatus:           &t.LastStatus,
		LaunchType:           t.LaunchType,
		Memory:               state.Amount(t.Memory),
		Overrides: &models.TaskOverride{
			ContainerOverrides: each(t.Overrides.ContainerOverrides, encodeContainerOverride),
			TaskRoleArn:        t.Overrides.TaskRoleARN,
		},
		PlatformFamily:    t.PlatformFamily,
		PlatformVersion:   t.PlatformVersion,
		PullStartedAt:     t.PullStartedAt,
		PullStoppedAt:     t.PullStoppedAt,
		StartedAt:         t.StartedAt,
		StartedBy:         t.StartedBy,
		StopCode:          t.StopCode,
		StoppedAt:         t.StoppedAt,
		StoppedReason:     t.StoppedReason,
		StoppingAt:        t.StoppingAt,
		TaskARN:           &t.ARN,
		TaskDefinitionARN: &t.TaskDefinitionARN,
		UpdatedAt:         t.UpdatedAt,
		Version:           t.Version,
	}
	if t.EphemeralStorage != nil {
		detail.EphemeralStorage = &models.TaskEphemeralStorage{SizeInGiB: t.EphemeralStorage.SizeInGiB}
	}
	return encode(models.Task{Metadata: metadata(revision, false), Entity: detail})
}

func encodeContainer(c state.Container) *models.TaskContainer {
	return &models.TaskContainer{
		ContainerARN: &c.ARN, ExitCode: c.ExitCode, LastStatus: &c.LastStatus, Name: &c.Name, Reason: c.Reason,
		NetworkBindings: each(c.NetworkBindings, func(b state.NetworkBinding) *models.TaskNetworkBinding {
			return &models.TaskNetworkBinding{
				BindIP: &b.BindIP, ContainerPort: &b.ContainerPort, HostPort: &b.HostPort, Protocol: b.Protocol,
				ContainerPortRange: b.ContainerPortRange, HostPortRange: b.HostPortRange,
			}
		}),
		CPU: state.Amount(c.CPU), Memory: state.Amount(c.Memory), HealthStatus: state.KnownHealth(c.HealthStatus),
		Image: c.Image, ImageDigest: c.ImageDigest, RuntimeID: c.RuntimeID, GpuIds: c.GPUIDs,
		NetworkInterfaces: each(c.NetworkInterfaces, func(n state.NetworkInterface) *models.TaskNetworkInterface {
			return &models.TaskNetworkInterface{
				AttachmentID: n.AttachmentID, PrivateIPv4Address: n.PrivateIPv4Address, IPv6Address: n.IPv6Address,
			}
		}),
		ManagedAgents: each(c.ManagedAgents, func(a state.ManagedAgent) *models.TaskManagedAgent {
			return &models.TaskManagedAgent{
				Name: a.Name, LastStatus: a.LastStatus, Reason: a.Reason, LastStartedAt: a.LastStartedAt,
			}
		}),
	}
}

func encodeAttachment(a state.Attachment) *models.Attachment {
	return &models.Attachment{
		ID: a.ID, Type: a.Type, Status: a.Status,
		Details: each(a.Details, func(d state.AttachmentDetail) *models.AttachmentDetail {
			return &models.AttachmentDetail{Name: d.Name, Value: d.Value}
		}),
	}
}

func encodeTaskAttribute(a state.Attribute) *models.TaskAttribute {
	return &models.TaskAttribute{Name: a.Name, Value: a.Value}
}

func encodeContainerOverride(o state.ContainerOverride) *models.TaskContainerOverride {
	return &models.TaskContainerOverride{
		Name: &o.Name, Command: append([]string{}, o.Command...),
		Environment: each(o.Environment, func(e state.Environment) *models.TaskEnvironment {
			return &models.TaskEnvironment{Name: &e.Name, Value: &e.Value}
		}),
	}
}

// EncodeInstance returns a container instance as the API shows it: one JSON object, without a newline.
func EncodeInstance(i state.Instance, revision int64) []byte {
	return encode(models.ContainerInstance{Metadata: metadata(revision, false), Entity: &models.ContainerInstanceDetail{
		AgentConnected:    &i.AgentConnected,
		AgentUpdateStatus: i.AgentUpdateStatus,
		Attachments:       each(i.Attachments, encodeAttachment),
		Attributes: each(i.Attributes, func(a state.Attribute) *models.ContainerInstanceAttribute {
			return &models.ContainerInstanceAttribute{Name: &a.Name, Value: &a.Value}
		}),
		CapacityProviderName: i.CapacityProviderName,
		ClusterARN:           &i.ClusterARN,
		ContainerInstanceARN: &i.ARN,
		EC2InstanceID:        i.EC2InstanceID,
		HealthStatus:         i.HealthStatus.OverallStatus,
		PendingTasksCount:    i.PendingTasksCount,
		RegisteredAt:         i.RegisteredAt,
		RegisteredResources:  each(i.RegisteredResources, encodeResource),
		RemainingResources:   each(i.RemainingResources, encodeResource),
		RunningTasksCount:    i.RunningTasksCount,
		Status:               &i.Status,
		StatusReason:         i.StatusReason,
		VersionInfo: &models.ContainerInstanceVersionInfo{
			AgentHash:     i.VersionInfo.AgentHash,
			AgentVersion:  i.VersionInfo.AgentVersion,
			DockerVersion: i.VersionInfo.DockerVersion,
		},
	}})
}

func encodeResource(r state.Resource) *models.ContainerInstanceResource {
	return &models.ContainerInstanceResource{Name: &r.Name, Type: &r.Type, Value: conv.Pointer(r.Value())}
}

// EncodeDeleted returns the stream line of a deletion, without its newline.
func EncodeDeleted(key state.Key, revision int64) []byte { return encode(deletion(key, revision)) }

// deletion returns the content of a deletion's line. Its entity has the ARNs only.
func deletion(key state.Key, revision int64) any {
	cluster := key.ClusterARN()
	entity := map[string]string{"clusterARN": cluster, "taskARN": key.ARN}
	if key.Kind == state.KindInstance {
		entity = map[string]string{"clusterARN": cluster, "containerInstanceARN": key.ARN}
	}
	return map[string]any{"metadata": metadata(revision, true), "entity": entity}
}

func metadata(revision int64, deleted bool) *models.Metadata {
	return &models.Metadata{EntityVersion: conv.Pointer(strconv.FormatInt(revision, 10)), Deleted: deleted}
}

// each converts items. The result is never nil, so that clients receive [] instead of null.
func each[T, M any](items []T, convert func(T) *M) []*M {
	encoded := make([]*M, len(items))
	for i, item := range items {
		encoded[i] = convert(item)
	}
	return encoded
}

// encode returns v in JSON, followed by suffix. It cannot fail: the models hold strings, numbers and booleans only.
func encode(v any, suffix ...byte) []byte {
	body, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return append(body, suffix...)
}

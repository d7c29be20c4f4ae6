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
	return encode(models.Task{Metadata: metadata(revision, false), Entity: &models.TaskDetail{
		ClusterARN:           &t.ClusterARN,
		ContainerInstanceARN: &t.ContainerInstanceARN,
		Containers:           each(t.Containers, encodeContainer),
		CreatedAt:            &t.CreatedAt,
		DesiredStatus:        &t.DesiredStatus,
		Group:                t.Group,
		LastStatus:           &t.LastStatus,
		Overrides: &models.TaskOverride{
			ContainerOverrides: each(t.Overrides.ContainerOverrides, encodeContainerOverride),
			TaskRoleArn:        t.Overrides.TaskRoleARN,
		},
		StartedAt:         t.StartedAt,
		StartedBy:         t.StartedBy,
		StoppedAt:         t.StoppedAt,
		StoppedReason:     t.StoppedReason,
		StopCode:          t.StopCode,
		TaskARN:           &t.ARN,
		TaskDefinitionARN: &t.TaskDefinitionARN,
	}})
}

func encodeContainer(c state.Container) *models.TaskContainer {
	encoded := &models.TaskContainer{
		ContainerARN: &c.ARN, ExitCode: c.ExitCode, LastStatus: &c.LastStatus, Name: &c.Name, Reason: c.Reason,
	}
	for _, b := range c.NetworkBindings {
		encoded.NetworkBindings = append(encoded.NetworkBindings, &models.TaskNetworkBinding{
			BindIP: &b.BindIP, ContainerPort: &b.ContainerPort, HostPort: &b.HostPort, Protocol: b.Protocol,
		})
	}
	return encoded
}

func encodeContainerOverride(o state.ContainerOverride) *models.TaskContainerOverride {
	encoded := &models.TaskContainerOverride{Name: &o.Name, Command: o.Command}
	for _, e := range o.Environment {
		encoded.Environment = append(encoded.Environment, &models.TaskEnvironment{Name: &e.Name, Value: &e.Value})
	}
	return encoded
}

// EncodeInstance returns a container instance as the API shows it: one JSON object, without a newline.
func EncodeInstance(i state.Instance, revision int64) []byte {
	return encode(models.ContainerInstance{Metadata: metadata(revision, false), Entity: &models.ContainerInstanceDetail{
		AgentConnected:    &i.AgentConnected,
		AgentUpdateStatus: i.AgentUpdateStatus,
		Attributes: each(i.Attributes, func(a state.Attribute) *models.ContainerInstanceAttribute {
			return &models.ContainerInstanceAttribute{Name: &a.Name, Value: &a.Value}
		}),
		ClusterARN:           &i.ClusterARN,
		ContainerInstanceARN: &i.ARN,
		EC2InstanceID:        i.EC2InstanceID,
		RegisteredResources:  each(i.RegisteredResources, encodeResource),
		RemainingResources:   each(i.RemainingResources, encodeResource),
		Status:               &i.Status,
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

// EncodeDeleted returns the stream line of a deletion. Its entity has the ARNs only.
func EncodeDeleted(key state.Key, revision int64) []byte {
	cluster := key.ClusterARN()
	entity := map[string]string{"clusterARN": cluster, "taskARN": key.ARN}
	if key.Kind == state.KindInstance {
		entity = map[string]string{"clusterARN": cluster, "containerInstanceARN": key.ARN}
	}
	return encode(map[string]any{"metadata": metadata(revision, true), "entity": entity})
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

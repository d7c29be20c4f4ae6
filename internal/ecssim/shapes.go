package ecssim

import (
	"cmp"
	"encoding/json"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/blox/blox/internal/arn"
)

// Responses and events show the same objects, but encode times differently: as epoch seconds in responses, as ISO 8601
// in events. The shapes are generic over the encoding.
type (
	epoch     time.Time
	iso       time.Time
	timestamp interface{ epoch | iso }
)

func (e epoch) MarshalJSON() ([]byte, error) {
	return strconv.AppendFloat(nil, float64(time.Time(e).UnixMilli())/1000, 'f', 3, 64), nil
}

func (i iso) MarshalJSON() ([]byte, error) {
	return json.Marshal(time.Time(i).UTC().Format("2006-01-02T15:04:05.999Z07:00"))
}

// optionalTime returns t, or nil if t is zero, so that JSON omits the field.
func optionalTime[T timestamp](t time.Time) *T {
	if t.IsZero() {
		return nil
	}
	stamped := T(t)
	return &stamped
}

// copyOf returns a copy that JSON encodes as an empty list, never as null.
func copyOf[T any](all []T) []T { return append([]T{}, all...) }

type nameValue struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

type versionInfo struct {
	AgentHash     string `json:"agentHash,omitempty"`
	AgentVersion  string `json:"agentVersion,omitempty"`
	DockerVersion string `json:"dockerVersion,omitempty"`
}

// failure is an entry of a response's failures: the call succeeded for other resources.
type failure struct {
	ARN    string `json:"arn,omitempty"`
	Reason string `json:"reason"`
	Detail string `json:"detail,omitempty"`
}

// instanceShape holds what responses and events show of a container instance.
type instanceShape[T timestamp] struct {
	AgentConnected       bool        `json:"agentConnected"`
	Attributes           []attribute `json:"attributes"`
	ContainerInstanceARN string      `json:"containerInstanceArn"`
	EC2InstanceID        string      `json:"ec2InstanceId"`
	RegisteredResources  []resource  `json:"registeredResources"`
	RemainingResources   []resource  `json:"remainingResources"`
	Status               string      `json:"status"`
	Version              int64       `json:"version"`
	VersionInfo          versionInfo `json:"versionInfo"`
	RegisteredAt         *T          `json:"registeredAt,omitempty"`
	ClusterARN           string      `json:"clusterArn,omitempty"` // in events only
	CapacityProviderName string      `json:"capacityProviderName,omitempty"`
}

type instanceDetail struct {
	instanceShape[iso]
	UpdatedAt iso `json:"updatedAt"`
}

type instanceResponse struct {
	instanceShape[epoch]
	RunningTasksCount int               `json:"runningTasksCount"`
	PendingTasksCount int               `json:"pendingTasksCount"`
	Attachments       []json.RawMessage `json:"attachments"`
	Tags              []tag             `json:"tags"`
	HealthStatus      *instanceHealth   `json:"healthStatus,omitempty"`
}

func shapeInstance[T timestamp](i *instance) instanceShape[T] {
	return instanceShape[T]{
		AgentConnected: i.connected, Attributes: copyOf(i.attributes), ClusterARN: i.cluster.arn, ContainerInstanceARN: i.arn,
		EC2InstanceID:       i.ec2ID,
		RegisteredResources: i.registered.shape(), RemainingResources: i.remaining.shape(), Status: i.status,
		Version:     i.version,
		VersionInfo: i.versions, RegisteredAt: optionalTime[T](i.registeredAt), CapacityProviderName: i.providerName(),
	}
}

func newInstanceResponse(i *instance) instanceResponse {
	a := instanceResponse{shapeInstance[epoch](i), i.running, i.pending, []json.RawMessage{}, copyOf(i.tags), nil}
	a.ClusterARN = ""
	return a
}

type networkBinding struct {
	BindIP        string `json:"bindIP"`
	ContainerPort int    `json:"containerPort"`
	HostPort      int    `json:"hostPort"`
	Protocol      string `json:"protocol"`
}

// networkInterface is the network interface of an awsvpc task.
type networkInterface struct {
	attachmentID, eni, subnet, mac, ip string
}

func newNetworkInterface(subnet string) *networkInterface {
	id := uuid.New()
	hex := strings.ReplaceAll(id.String(), "-", "")
	return &networkInterface{
		attachmentID: id.String(), eni: "eni-0" + hex[:16], subnet: cmp.Or(subnet, "subnet-0a1b2c3d4e5f60718"),
		mac: "0a:98:eb:a7:29:ba",
		ip:  "10.0." + strconv.Itoa(int(id[0])) + "." + strconv.Itoa(int(id[1])),
	}
}

type attachment struct {
	ID      string      `json:"id"`
	Type    string      `json:"type"`
	Status  string      `json:"status"`
	Details []nameValue `json:"details"`
}

type interfaceShape struct {
	AttachmentID string `json:"attachmentId"`
	IPv4         string `json:"privateIpv4Address"`
}

type containerShape struct {
	ContainerARN      string           `json:"containerArn"`
	TaskARN           string           `json:"taskArn"`
	Name              string           `json:"name"`
	Image             string           `json:"image,omitempty"`
	ImageDigest       string           `json:"imageDigest,omitempty"`
	RuntimeID         string           `json:"runtimeId,omitempty"`
	LastStatus        string           `json:"lastStatus"`
	ExitCode          *int             `json:"exitCode,omitempty"`
	Reason            string           `json:"reason,omitempty"`
	NetworkBindings   []networkBinding `json:"networkBindings"`
	NetworkInterfaces []interfaceShape `json:"networkInterfaces"`
	CPU               string           `json:"cpu"`
	Memory            string           `json:"memory,omitempty"`
	MemoryReservation string           `json:"memoryReservation,omitempty"`
	GPUIDs            []string         `json:"gpuIds,omitempty"`
	HealthStatus      string           `json:"healthStatus,omitempty"` // in responses only
}

// taskShape holds what responses and events show of a task.
type taskShape[T timestamp] struct {
	Attachments          []attachment     `json:"attachments"`
	Attributes           []attribute      `json:"attributes"`
	AvailabilityZone     string           `json:"availabilityZone"`
	CapacityProviderName string           `json:"capacityProviderName,omitempty"`
	ClusterARN           string           `json:"clusterArn"`
	Connectivity         string           `json:"connectivity,omitempty"`
	ConnectivityAt       *T               `json:"connectivityAt,omitempty"`
	ContainerInstanceARN string           `json:"containerInstanceArn,omitempty"` // none on Fargate
	Containers           []containerShape `json:"containers"`
	CPU                  string           `json:"cpu"`
	CreatedAt            *T               `json:"createdAt"`
	DesiredStatus        string           `json:"desiredStatus"`
	EnableExecuteCommand bool             `json:"enableExecuteCommand"`
	EphemeralStorage     *ephemeral       `json:"ephemeralStorage,omitempty"`
	ExecutionStoppedAt   *T               `json:"executionStoppedAt,omitempty"`
	Group                string           `json:"group"`
	LaunchType           string           `json:"launchType"`
	LastStatus           string           `json:"lastStatus"`
	Memory               string           `json:"memory"`
	Overrides            overrides        `json:"overrides"`
	PlatformVersion      string           `json:"platformVersion,omitempty"`
	PullStartedAt        *T               `json:"pullStartedAt,omitempty"`
	PullStoppedAt        *T               `json:"pullStoppedAt,omitempty"`
	StartedAt            *T               `json:"startedAt,omitempty"`
	StartedBy            string           `json:"startedBy,omitempty"`
	StopCode             string           `json:"stopCode,omitempty"`
	StoppedAt            *T               `json:"stoppedAt,omitempty"`
	StoppedReason        string           `json:"stoppedReason,omitempty"`
	StoppingAt           *T               `json:"stoppingAt,omitempty"`
	TaskARN              string           `json:"taskArn"`
	TaskDefinitionARN    string           `json:"taskDefinitionArn"`
	Version              int64            `json:"version"`
}

type ephemeral struct {
	SizeInGiB int `json:"sizeInGiB"`
}

type taskDetail struct {
	taskShape[iso]
	UpdatedAt iso `json:"updatedAt"`
}

type taskResponse struct {
	taskShape[epoch]
	HealthStatus          string            `json:"healthStatus"`
	InferenceAccelerators []json.RawMessage `json:"inferenceAccelerators"`
	Tags                  []tag             `json:"tags"`
}

func newTaskResponse(t *task, withTags bool) taskResponse {
	a := taskResponse{shapeTask[epoch](t, true), t.health(), []json.RawMessage{}, []tag{}}
	if withTags {
		a.Tags = append(a.Tags, t.tags...)
	}
	return a
}

// shapeTask returns the shape of a task; responses include the health status and name types of attachments differently.
func shapeTask[T timestamp](t *task, response bool) taskShape[T] {
	shape := taskShape[T]{
		Attachments: []attachment{}, Attributes: []attribute{{Name: "ecs.cpu-architecture", Value: new("x86_64")}},
		AvailabilityZone: t.zone, ClusterARN: t.cluster.arn, CPU: strconv.Itoa(t.reserved.cpu),
		Memory:    strconv.Itoa(t.reserved.memory),
		CreatedAt: optionalTime[T](t.createdAt), DesiredStatus: t.desiredStatus, EnableExecuteCommand: t.exec,
		ExecutionStoppedAt: optionalTime[T](t.executionEnd),
		Group:              t.group, LaunchType: t.launchType, LastStatus: t.lastStatus, Overrides: t.overrides,
		PullStartedAt: optionalTime[T](t.pullStartedAt),
		PullStoppedAt: optionalTime[T](t.pullStoppedAt), StartedAt: optionalTime[T](t.startedAt), StartedBy: t.startedBy,
		StopCode:  t.stopCode,
		StoppedAt: optionalTime[T](t.stoppedAt), StoppedReason: t.stoppedReason, StoppingAt: optionalTime[T](t.stoppingAt),
		TaskARN:           t.arn,
		TaskDefinitionARN: t.definition.arn, Version: t.version,
	}
	if !t.startedAt.IsZero() {
		shape.Connectivity, shape.ConnectivityAt = "CONNECTED", shape.StartedAt
	}
	if t.provider != nil {
		shape.CapacityProviderName = t.provider.name
	}
	if t.instance != nil {
		shape.ContainerInstanceARN = t.instance.arn
	} else {
		shape.PlatformVersion, shape.EphemeralStorage = "1.4.0", cmp.Or(t.overrides.EphemeralStorage, &ephemeral{20})
	}
	if t.eni != nil {
		shape.Attachments = append(shape.Attachments, t.eni.attachment(t.lastStatus, response))
	}
	for _, v := range t.volumes {
		shape.Attachments = append(shape.Attachments, v.attachment(t.lastStatus))
	}
	for _, c := range t.containers {
		shape.Containers = append(shape.Containers, c.shape(t, response))
	}
	return shape
}

// attachmentStatus returns the status of what is attached to a task with a last status.
func attachmentStatus(taskStatus string) string {
	status := map[string]string{
		statusProvisioning: "PRECREATED", statusDeprovisioning: "DETACHING", statusStopped: "DELETED",
	}[taskStatus]
	return cmp.Or(status, "ATTACHED")
}

func (n *networkInterface) attachment(taskStatus string, response bool) attachment {
	kind := "eni"
	if response {
		kind = "ElasticNetworkInterface"
	}
	return attachment{ID: n.attachmentID, Type: kind, Status: attachmentStatus(taskStatus), Details: []nameValue{
		{"subnetId", n.subnet}, {"networkInterfaceId", n.eni}, {"macAddress", n.mac}, {"privateIPv4Address", n.ip},
	}}
}

func (c *container) shape(t *task, health bool) containerShape {
	prefix, _, _ := strings.Cut(t.arn, ":task/")
	id := c.id
	if a, err := arn.Parse(t.arn); err == nil && a.Cluster != "" {
		id = a.Cluster + "/" + t.id + "/" + id
	}
	shape := containerShape{
		ContainerARN: prefix + ":container/" + id, TaskARN: t.arn, Name: c.input.Name, Image: c.input.Image,
		RuntimeID:  c.runtime,
		LastStatus: c.status, ExitCode: c.exitCode, Reason: c.reason, NetworkBindings: copyOf(c.bindings),
		NetworkInterfaces: []interfaceShape{}, CPU: strconv.Itoa(c.input.CPU), GPUIDs: c.gpus,
	}
	if c.runtime != "" {
		shape.ImageDigest = "sha256:7c1bb0e2d6d1c0f64dcb6ff7a3f1b6f3d3c0a9e8f7b6a5c4d3e2f10987654321"
	}
	if c.input.Memory > 0 {
		shape.Memory = strconv.Itoa(c.input.Memory)
	}
	if c.input.MemoryReservation > 0 {
		shape.MemoryReservation = strconv.Itoa(c.input.MemoryReservation)
	}
	if t.eni != nil && c.runtime != "" {
		shape.NetworkInterfaces = append(shape.NetworkInterfaces, interfaceShape{t.eni.attachmentID, t.eni.ip})
	}
	if health {
		shape.HealthStatus = c.health
	}
	return shape
}

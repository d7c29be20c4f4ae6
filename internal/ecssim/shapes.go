package ecssim

import (
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/blox/blox/internal/arn"
)

// Calls and events show the same objects with one difference: times are epoch seconds in answers and ISO 8601 in
// events. So the shapes are written once, for either kind of time.
type (
	epoch time.Time
	iso   time.Time
	stamp interface{ epoch | iso }
)

func (e epoch) MarshalJSON() ([]byte, error) {
	return strconv.AppendFloat(nil, float64(time.Time(e).UnixMilli())/1000, 'f', 3, 64), nil
}

func (i iso) MarshalJSON() ([]byte, error) {
	return json.Marshal(time.Time(i).UTC().Format("2006-01-02T15:04:05.999Z07:00"))
}

// at is t for a field that is left out while t is zero.
func at[T stamp](t time.Time) *T {
	if t.IsZero() {
		return nil
	}
	stamped := T(t)
	return &stamped
}

// listOf is a copy of all for JSON, where it is an empty list and never null.
func listOf[T any](all []T) []T { return append([]T{}, all...) }

type tag struct {
	Key   string `json:"key"`
	Value string `json:"value"`
}

type nameValue struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

type versionInfo struct {
	AgentHash     string `json:"agentHash,omitempty"`
	AgentVersion  string `json:"agentVersion,omitempty"`
	DockerVersion string `json:"dockerVersion,omitempty"`
}

// failure is one entry of the failures in an answer with partial success.
type failure struct {
	ARN    string `json:"arn,omitempty"`
	Reason string `json:"reason"`
	Detail string `json:"detail,omitempty"`
}

// instanceShape is what calls and events show of a container instance.
type instanceShape[T stamp] struct {
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
}

type instanceDetail struct {
	instanceShape[iso]
	UpdatedAt iso `json:"updatedAt"`
}

type instanceAnswer struct {
	instanceShape[epoch]
	RunningTasksCount int               `json:"runningTasksCount"`
	PendingTasksCount int               `json:"pendingTasksCount"`
	Attachments       []json.RawMessage `json:"attachments"`
	Tags              []tag             `json:"tags"`
}

func shapeInstance[T stamp](i *instance) instanceShape[T] {
	return instanceShape[T]{
		AgentConnected: i.connected, Attributes: listOf(i.attributes), ClusterARN: i.cluster.arn, ContainerInstanceARN: i.arn, EC2InstanceID: i.ec2ID,
		RegisteredResources: i.registered.shape(), RemainingResources: i.remaining.shape(), Status: i.status, Version: i.version,
		VersionInfo: i.versions, RegisteredAt: at[T](i.registeredAt),
	}
}

func answerInstance(i *instance) instanceAnswer {
	a := instanceAnswer{shapeInstance[epoch](i), i.running, i.pending, []json.RawMessage{}, listOf(i.tags)}
	a.ClusterARN = ""
	return a
}

type networkBinding struct {
	BindIP        string `json:"bindIP"`
	ContainerPort int    `json:"containerPort"`
	HostPort      int    `json:"hostPort"`
	Protocol      string `json:"protocol"`
}

// networkInterface is an awsvpc task's own.
type networkInterface struct {
	attachmentID, eni, subnet, mac, ip string
}

func newNetworkInterface() *networkInterface {
	id := uuid.New()
	hex := strings.ReplaceAll(id.String(), "-", "")
	return &networkInterface{
		attachmentID: id.String(), eni: "eni-0" + hex[:16], subnet: "subnet-0a1b2c3d4e5f60718", mac: "0a:98:eb:a7:29:ba",
		ip: "10.0." + strconv.Itoa(int(id[0])) + "." + strconv.Itoa(int(id[1])),
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
	HealthStatus      string           `json:"healthStatus,omitempty"` // in answers only
}

// taskShape is what calls and events show of a task.
type taskShape[T stamp] struct {
	Attachments          []attachment     `json:"attachments"`
	Attributes           []attribute      `json:"attributes"`
	AvailabilityZone     string           `json:"availabilityZone"`
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

type taskAnswer struct {
	taskShape[epoch]
	HealthStatus          string            `json:"healthStatus"`
	InferenceAccelerators []json.RawMessage `json:"inferenceAccelerators"`
	Tags                  []tag             `json:"tags"`
}

func answerTask(t *task, withTags bool) taskAnswer {
	a := taskAnswer{shapeTask[epoch](t, true), "UNKNOWN", []json.RawMessage{}, []tag{}}
	if withTags {
		a.Tags = append(a.Tags, t.tags...)
	}
	return a
}

// shapeTask shows a task; health is told in answers and not in events.
func shapeTask[T stamp](t *task, health bool) taskShape[T] {
	shape := taskShape[T]{
		Attachments: []attachment{}, Attributes: []attribute{{Name: "ecs.cpu-architecture", Value: new("x86_64")}},
		AvailabilityZone: t.zone, ClusterARN: t.cluster.arn, CPU: strconv.Itoa(t.taken.cpu), Memory: strconv.Itoa(t.taken.memory),
		CreatedAt: at[T](t.createdAt), DesiredStatus: t.desiredStatus, EnableExecuteCommand: t.exec, ExecutionStoppedAt: at[T](t.executionEnd),
		Group: t.group, LaunchType: t.launchType, LastStatus: t.lastStatus, Overrides: t.overrides, PullStartedAt: at[T](t.pullStartedAt),
		PullStoppedAt: at[T](t.pullStoppedAt), StartedAt: at[T](t.startedAt), StartedBy: t.startedBy, StopCode: t.stopCode,
		StoppedAt: at[T](t.stoppedAt), StoppedReason: t.stoppedReason, StoppingAt: at[T](t.stoppingAt), TaskARN: t.arn,
		TaskDefinitionARN: t.definition.arn, Version: t.version,
	}
	if !t.startedAt.IsZero() {
		shape.Connectivity, shape.ConnectivityAt = "CONNECTED", shape.StartedAt
	}
	if t.instance != nil {
		shape.ContainerInstanceARN = t.instance.arn
	} else {
		shape.PlatformVersion, shape.EphemeralStorage = "1.4.0", &ephemeral{20}
	}
	if t.eni != nil {
		shape.Attachments = append(shape.Attachments, t.eni.attachment(t.lastStatus))
	}
	for _, c := range t.containers {
		shape.Containers = append(shape.Containers, c.shape(t, health))
	}
	return shape
}

func (n *networkInterface) attachment(taskStatus string) attachment {
	status := map[string]string{statusProvisioning: "PRECREATED", statusDeprovisioning: "DETACHING", statusStopped: "DELETED"}[taskStatus]
	if status == "" {
		status = "ATTACHED"
	}
	return attachment{ID: n.attachmentID, Type: "eni", Status: status, Details: []nameValue{
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
		ContainerARN: prefix + ":container/" + id, TaskARN: t.arn, Name: c.input.Name, Image: c.input.Image, RuntimeID: c.runtime,
		LastStatus: c.status, ExitCode: c.exitCode, Reason: c.reason, NetworkBindings: listOf(c.bindings),
		NetworkInterfaces: []interfaceShape{}, CPU: strconv.Itoa(c.input.CPU),
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
		shape.HealthStatus = "UNKNOWN"
	}
	return shape
}

// overrides are a task's, as given to StartTask.
type overrides struct {
	ContainerOverrides []containerOverride `json:"containerOverrides"`
	CPU                string              `json:"cpu,omitempty"`
	Memory             string              `json:"memory,omitempty"`
	TaskRoleARN        string              `json:"taskRoleArn,omitempty"`
	ExecutionRoleARN   string              `json:"executionRoleArn,omitempty"`
}

type containerOverride struct {
	Name              string      `json:"name"`
	Command           []string    `json:"command,omitempty"`
	Environment       []nameValue `json:"environment,omitempty"`
	CPU               *int        `json:"cpu,omitempty"`
	Memory            *int        `json:"memory,omitempty"`
	MemoryReservation *int        `json:"memoryReservation,omitempty"`
}

// maxOverrides is ECS's bound on the overrides' JSON, in bytes.
const maxOverrides = 8192

func (o overrides) check(d *definition) error {
	for _, c := range o.ContainerOverrides {
		if !slices.ContainsFunc(d.input.ContainerDefinitions, func(in containerInput) bool { return in.Name == c.Name }) {
			return invalid("Override for container named %.300s is not a container in the TaskDefinition.", c.Name)
		}
	}
	if text, err := json.Marshal(o); err != nil || len(text) > maxOverrides {
		return invalid("Container Overrides length must be at most %d.", maxOverrides)
	}
	for _, text := range []string{o.CPU, o.Memory} {
		if _, ok := number(text); !ok {
			return invalid("Invalid cpu or memory override.")
		}
	}
	return nil
}

// filled has an entry for every container, as ECS shows overrides.
func (o overrides) filled(d *definition) overrides {
	given := o.ContainerOverrides
	o.ContainerOverrides = make([]containerOverride, 0, len(d.input.ContainerDefinitions))
	for _, in := range d.input.ContainerDefinitions {
		entry := containerOverride{Name: in.Name}
		for _, c := range given {
			if c.Name == in.Name {
				entry = c
			}
		}
		o.ContainerOverrides = append(o.ContainerOverrides, entry)
	}
	return o
}

// apply changes what a task needs.
func (o overrides) apply(need resources) resources {
	if cpu, _ := number(o.CPU); cpu > 0 {
		need.cpu = cpu
	}
	if memory, _ := number(o.Memory); memory > 0 {
		need.memory = memory
	}
	return need
}

package environment

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
)

// TaskSettings are parameters of StartTask, with ECS's names.
type TaskSettings struct {
	Network              *AwsVpcConfiguration  `json:",omitempty"`
	Overrides            *TaskOverride         `json:",omitempty"`
	Tags                 []Tag                 `json:",omitempty"`
	PropagateTags        string                `json:",omitempty"` // TASK_DEFINITION, NONE or empty
	EnableECSManagedTags bool                  `json:",omitempty"`
	EnableExecuteCommand bool                  `json:",omitempty"`
	Group                string                `json:",omitempty"`
	VolumeConfigurations []VolumeConfiguration `json:",omitempty"`
}

// hash returns a short text that differs for different settings. A field that a later version adds does not change the
// hash of settings without it.
func (s TaskSettings) hash() string {
	data, err := json.Marshal(s)
	if err != nil {
		return "" // then the record cannot be written either
	}
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:16])
}

// AwsVpcConfiguration configures the network of tasks with the network mode awsvpc.
type AwsVpcConfiguration struct {
	Subnets        []string
	SecurityGroups []string `json:",omitempty"`
	AssignPublicIP string   `json:",omitempty"` // DISABLED or empty
}

// TaskOverride overrides the task definition.
type TaskOverride struct {
	ContainerOverrides []ContainerOverride `json:",omitempty"`
	CPU                string              `json:",omitempty"`
	Memory             string              `json:",omitempty"`
	ExecutionRoleARN   string              `json:",omitempty"`
	TaskRoleARN        string              `json:",omitempty"`
}

// ContainerOverride overrides the named container's definition.
type ContainerOverride struct {
	Name                 string
	Command              []string              `json:",omitempty"`
	Environment          []KeyValue            `json:",omitempty"`
	EnvironmentFiles     []EnvironmentFile     `json:",omitempty"`
	CPU                  *int32                `json:",omitempty"`
	Memory               *int32                `json:",omitempty"` // MiB
	MemoryReservation    *int32                `json:",omitempty"` // MiB
	ResourceRequirements []ResourceRequirement `json:",omitempty"`
}

// KeyValue is an environment variable of a container.
type KeyValue struct {
	Name  string
	Value string `json:",omitempty"`
}

// EnvironmentFile is a file of environment variables.
type EnvironmentFile struct {
	Type  string // s3
	Value string // ARN
}

// ResourceRequirement is a resource that a container requires.
type ResourceRequirement struct {
	Type  string // GPU or InferenceAccelerator
	Value string
}

// VolumeConfiguration configures a volume that the task definition leaves to the launch.
type VolumeConfiguration struct {
	Name             string // of the volume in the task definition
	ManagedEBSVolume *ManagedEBSVolume
}

// ManagedEBSVolume is an EBS volume that ECS creates for each task.
type ManagedEBSVolume struct {
	RoleARN                  string
	Encrypted                *bool                    `json:",omitempty"`
	FilesystemType           string                   `json:",omitempty"`
	IOPS                     *int32                   `json:",omitempty"`
	KMSKeyID                 string                   `json:",omitempty"`
	SizeInGiB                *int32                   `json:",omitempty"`
	SnapshotID               string                   `json:",omitempty"`
	TagSpecifications        []EBSTagSpecification    `json:",omitempty"`
	TerminationPolicy        *VolumeTerminationPolicy `json:",omitempty"`
	Throughput               *int32                   `json:",omitempty"` // MiB per second
	VolumeInitializationRate *int32                   `json:",omitempty"` // MiB per second
	VolumeType               string                   `json:",omitempty"`
}

// EBSTagSpecification sets tags of a volume.
type EBSTagSpecification struct {
	ResourceType  string // volume
	PropagateTags string `json:",omitempty"` // TASK_DEFINITION, NONE or empty
	Tags          []Tag  `json:",omitempty"`
}

// VolumeTerminationPolicy says whether a volume is deleted when its task stops.
type VolumeTerminationPolicy struct {
	DeleteOnTermination bool
}

// Tag is a tag of a task.
type Tag struct {
	Key   string
	Value string `json:",omitempty"`
}

package ecssim

import (
	"encoding/json"
	"slices"
	"strconv"
	"strings"

	"github.com/google/uuid"
)

// volumeInput configures the EBS volume of a task that its task definition leaves to the launch.
type volumeInput struct {
	Name string     `json:"name"`
	EBS  *ebsVolume `json:"managedEBSVolume"`
}

// ebsVolume is validated, and shows as an attachment of the task. The simulator attaches no volume.
type ebsVolume struct {
	RoleARN            string          `json:"roleArn"`
	Encrypted          *bool           `json:"encrypted"`
	FilesystemType     string          `json:"filesystemType"`
	IOPS               *int            `json:"iops"`
	KMSKeyID           string          `json:"kmsKeyId"`
	SizeInGiB          *int            `json:"sizeInGiB"`
	SnapshotID         string          `json:"snapshotId"`
	TagSpecifications  []ebsTags       `json:"tagSpecifications"`
	Termination        *ebsTermination `json:"terminationPolicy"`
	Throughput         *int            `json:"throughput"`
	InitializationRate *int            `json:"volumeInitializationRate"`
	VolumeType         string          `json:"volumeType"`
}

type ebsTags struct {
	ResourceType  string `json:"resourceType"`
	PropagateTags string `json:"propagateTags"`
	Tags          []tag  `json:"tags"`
}

type ebsTermination struct {
	Delete bool `json:"deleteOnTermination"`
}

// ebsSizes are the sizes of each type of volume, in GiB, and ebsIOPS its numbers of operations per second. Source:
// TaskManagedEBSVolumeConfiguration in the Amazon ECS API Reference.
var (
	ebsSizes = map[string][2]int{
		"gp2": {1, 16384}, "gp3": {1, 16384}, "io1": {4, 16384}, "io2": {4, 16384}, "st1": {125, 16384},
		"sc1": {125, 16384}, "standard": {1, 1024},
	}
	ebsIOPS = map[string][2]int{"gp3": {3000, 16000}, "io1": {100, 64000}, "io2": {100, 256000}}
)

const (
	defaultVolume = "gp3"
	maxThroughput = 1000 // MiB/s
)

// validateVolumes checks that the volumes are those that the task definition leaves to the launch.
func validateVolumes(d *definition, volumes []volumeInput) error {
	for _, v := range volumes {
		if !slices.Contains(d.launchVolumes(), v.Name) {
			return invalid("The task definition has no volume %.300q that is configured at launch.", v.Name)
		}
		if v.EBS == nil {
			return invalid("The configuration of the volume %.300q has no managedEBSVolume.", v.Name)
		}
		if err := v.EBS.validate(); err != nil {
			return err
		}
	}
	if len(volumes) > 1 {
		return invalid("Only one volume can be configured at launch.")
	}
	if missing := len(d.launchVolumes()) - len(volumes); missing > 0 {
		return invalid("volumeConfigurations must configure the volume %.300q.", d.launchVolumes()[0])
	}
	return nil
}

// launchVolumes returns the names of the volumes that are configured at launch.
func (d *definition) launchVolumes() (names []string) {
	for _, v := range d.input.Volumes {
		if v.ConfiguredAtLaunch {
			names = append(names, v.Name)
		}
	}
	return names
}

func (v *ebsVolume) validate() error {
	kind := v.VolumeType
	if kind == "" {
		kind = defaultVolume
	}
	sizes, known := ebsSizes[kind]
	size, iops := deref(v.SizeInGiB), deref(v.IOPS)
	allowed, provisioned := ebsIOPS[kind]
	switch {
	case !strings.HasPrefix(v.RoleARN, "arn:"):
		return invalid("roleArn %.300q is not the ARN of a role.", v.RoleARN)
	case !known:
		return invalid("Invalid volumeType %.50q.", v.VolumeType)
	case v.SizeInGiB == nil && v.SnapshotID == "":
		return invalid("Specify sizeInGiB or snapshotId.")
	case v.SizeInGiB != nil && (size < sizes[0] || size > sizes[1]):
		return invalid("sizeInGiB %d of a volume of type %s must be from %d to %d.", size, kind, sizes[0], sizes[1])
	case v.IOPS == nil && strings.HasPrefix(kind, "io"):
		return invalid("iops is required for a volume of type %s.", kind)
	case v.IOPS != nil && (!provisioned || iops < allowed[0] || iops > allowed[1]):
		return invalid("iops %d is not supported for a volume of type %s.", iops, kind)
	case v.Throughput != nil && (kind != defaultVolume || *v.Throughput > maxThroughput):
		return invalid("throughput is supported for volumes of type gp3, up to %d.", maxThroughput)
	case v.InitializationRate != nil && v.SnapshotID == "":
		return invalid("volumeInitializationRate needs a snapshotId.")
	case !slices.Contains([]string{"", "ext3", "ext4", "xfs", "ntfs"}, v.FilesystemType):
		return invalid("Invalid filesystemType %.50q.", v.FilesystemType)
	}
	return v.validateTags()
}

func (v *ebsVolume) validateTags() error {
	for _, t := range v.TagSpecifications {
		if t.ResourceType != "volume" || t.PropagateTags == "SERVICE" {
			return invalid("Tag specifications of a task's volume have the resource type volume, and propagate no SERVICE.")
		}
		if err := validateTags(t.Tags); err != nil {
			return err
		}
	}
	return nil
}

// volume is an EBS volume of a task.
type volume struct {
	attachmentID, id, name, role string
	deleted                      bool // with the task
}

func newVolume(in volumeInput) *volume {
	return &volume{
		attachmentID: uuid.NewString(), id: "vol-0" + strings.ReplaceAll(uuid.NewString(), "-", "")[:16],
		name: in.Name, role: in.EBS.RoleARN, deleted: in.EBS.Termination == nil || in.EBS.Termination.Delete,
	}
}

func (v *volume) attachment(taskStatus string) attachment {
	return attachment{
		ID: v.attachmentID, Type: "AmazonElasticBlockStorage", Status: attachmentStatus(taskStatus),
		Details: []nameValue{
			{"roleArn", v.role}, {"volumeName", v.name}, {"volumeId", v.id},
			{"deleteOnTermination", strconv.FormatBool(v.deleted)},
		},
	}
}

// definitionVolume is a volume of a task definition; the rest of it is kept and shown.
type definitionVolume struct {
	Name               string `json:"name"`
	ConfiguredAtLaunch bool   `json:"configuredAtLaunch"`
}

// unknownMember returns a member of a task definition that the simulator does not keep, or "".
func unknownMember(raw map[string]json.RawMessage) string {
	for name := range raw {
		if name != "tags" && !slices.Contains(definitionFields, name) {
			return name
		}
	}
	return ""
}

package ecssim

import (
	"encoding/json"
	"slices"
	"strconv"
	"strings"
)

// overrides holds the overrides of StartTask and RunTask.
type overrides struct {
	ContainerOverrides            []containerOverride   `json:"containerOverrides"`
	CPU                           string                `json:"cpu,omitempty"`
	Memory                        string                `json:"memory,omitempty"`
	TaskRoleARN                   string                `json:"taskRoleArn,omitempty"`
	ExecutionRoleARN              string                `json:"executionRoleArn,omitempty"`
	EphemeralStorage              *ephemeral            `json:"ephemeralStorage,omitempty"`
	InferenceAcceleratorOverrides []acceleratorOverride `json:"inferenceAcceleratorOverrides,omitempty"`
}

type acceleratorOverride struct {
	DeviceName string `json:"deviceName"`
	DeviceType string `json:"deviceType"`
}

type containerOverride struct {
	Name                 string                `json:"name"`
	Command              []string              `json:"command,omitempty"`
	Environment          []nameValue           `json:"environment,omitempty"`
	EnvironmentFiles     []environmentFile     `json:"environmentFiles,omitempty"`
	CPU                  *int                  `json:"cpu,omitempty"`
	Memory               *int                  `json:"memory,omitempty"`
	MemoryReservation    *int                  `json:"memoryReservation,omitempty"`
	ResourceRequirements []resourceRequirement `json:"resourceRequirements,omitempty"`
}

// environmentFile is an object in S3 with environment variables.
type environmentFile struct {
	Value string `json:"value"`
	Type  string `json:"type"`
}

type resourceRequirement struct {
	Value string `json:"value"`
	Type  string `json:"type"`
}

// allGPUs is a number of GPUs that stands for all that an instance has.
const allGPUs = "ALL"

const (
	// maxOverrides is ECS's limit on the JSON of the overrides, in bytes.
	maxOverrides = 8192
	// maxEnvironmentFiles is the most files of a container. Source: "Pass environment variables to an Amazon ECS
	// container" in the Amazon ECS Developer Guide.
	maxEnvironmentFiles = 10
	// minStorage and maxStorage limit the ephemeral storage of a task on Fargate, in GiB.
	minStorage, maxStorage = 21, 200
)

func (o overrides) validate(d *definition) error {
	for _, c := range o.ContainerOverrides {
		if !slices.ContainsFunc(d.input.ContainerDefinitions, func(in containerInput) bool { return in.Name == c.Name }) {
			return invalid("Override for container named %.300s is not a container in the TaskDefinition.", c.Name)
		}
		if err := c.validate(); err != nil {
			return err
		}
	}
	if text, err := json.Marshal(o); err != nil || len(text) > maxOverrides {
		return invalid("Container Overrides length must be at most %d.", maxOverrides)
	}
	for _, text := range []string{o.CPU, o.Memory} {
		if _, ok := parseUnits(text); !ok {
			return invalid("Invalid cpu or memory override.")
		}
	}
	if size := o.EphemeralStorage; size != nil && (size.SizeInGiB < minStorage || size.SizeInGiB > maxStorage) {
		return invalid("Ephemeral storage of %d GiB must be from %d to %d GiB.", size.SizeInGiB, minStorage, maxStorage)
	}
	return nil
}

func (c containerOverride) validate() error {
	for _, number := range []*int{c.CPU, c.Memory, c.MemoryReservation} {
		if deref(number) < 0 {
			return invalid("Invalid override for container '%s'. CPU and memory are not negative.", c.Name)
		}
	}
	if err := validateEnvironmentFiles(c.Name, c.EnvironmentFiles); err != nil {
		return err
	}
	return validateRequirements(c.Name, c.ResourceRequirements)
}

func validateEnvironmentFiles(container string, files []environmentFile) error {
	if len(files) > maxEnvironmentFiles {
		return invalid("Container '%s' has %d environment files; at most %d are allowed.", container, len(files),
			maxEnvironmentFiles)
	}
	for _, f := range files {
		s3 := strings.HasPrefix(f.Value, "arn:") && strings.Contains(f.Value, ":s3:::") && strings.HasSuffix(f.Value, ".env")
		if f.Type != "s3" || !s3 {
			return invalid("Environment file %.300q of type %.50q for container '%s' must have the type s3, and the ARN of an "+
				"object in Amazon S3 whose name ends in .env.", f.Value, f.Type, container)
		}
	}
	return nil
}

// resourceGPU is the type of a requirement whose value is a number of GPUs.
const resourceGPU = "GPU"

func validateRequirements(container string, all []resourceRequirement) error {
	for _, r := range all {
		n, err := strconv.Atoi(r.Value)
		switch {
		case r.Type == resourceGPU && r.Value != allGPUs && (err != nil || n < 1):
			return invalid("Invalid GPU count %.100q for container '%s': it must be a number from 1, or ALL.", r.Value,
				container)
		case r.Type != resourceGPU && (r.Type != "InferenceAccelerator" || r.Value == ""):
			return invalid("Invalid resource requirement %.100q of type %.100q for container '%s'.", r.Value, r.Type, container)
		}
	}
	return nil
}

// wantsAllGPUs reports whether the container reserves all GPUs of its instance.
func (c containerInput) wantsAllGPUs() bool {
	return slices.ContainsFunc(c.ResourceRequirements, func(r resourceRequirement) bool {
		return r.Type == resourceGPU && r.Value == allGPUs
	})
}

// gpuCount returns the number of GPUs that the container reserves, unless it reserves all.
func (c containerInput) gpuCount() (count int) {
	for _, r := range c.ResourceRequirements {
		if n, err := strconv.Atoi(r.Value); err == nil && r.Type == resourceGPU {
			count += n
		}
	}
	return count
}

// forAllContainers returns the overrides with an entry for every container, as ECS shows them.
func (o overrides) forAllContainers(d *definition) overrides {
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

// containers returns the containers of a task with the overrides applied.
func (o overrides) containers(d *definition) []containerInput {
	all := slices.Clone(d.input.ContainerDefinitions)
	for n, c := range o.forAllContainers(d).ContainerOverrides {
		for _, pair := range []struct{ to, from *int }{
			{&all[n].CPU, c.CPU}, {&all[n].Memory, c.Memory}, {&all[n].MemoryReservation, c.MemoryReservation},
		} {
			if pair.from != nil {
				*pair.to = *pair.from
			}
		}
		if c.ResourceRequirements != nil {
			all[n].ResourceRequirements = c.ResourceRequirements
		}
	}
	return all
}

// required returns what a task with the overrides reserves.
func (o overrides) required(d *definition) resources {
	need := d.requiredResources(o.containers(d))
	if cpu, _ := parseUnits(o.CPU); cpu > 0 {
		need.cpu = cpu
	}
	if memory, _ := parseUnits(o.Memory); memory > 0 {
		need.memory = memory
	}
	return need
}

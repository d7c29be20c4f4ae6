package ecssim

import (
	"encoding/json"
	"slices"
)

// overrides holds the overrides of StartTask and RunTask.
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

// maxOverrides is ECS's limit on the JSON of the overrides, in bytes.
const maxOverrides = 8192

func (o overrides) validate(d *definition) error {
	for _, c := range o.ContainerOverrides {
		if !slices.ContainsFunc(d.input.ContainerDefinitions, func(in containerInput) bool { return in.Name == c.Name }) {
			return invalid("Override for container named %.300s is not a container in the TaskDefinition.", c.Name)
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
	return nil
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

// apply returns need with the task-level overrides.
func (o overrides) apply(need resources) resources {
	if cpu, _ := parseUnits(o.CPU); cpu > 0 {
		need.cpu = cpu
	}
	if memory, _ := parseUnits(o.Memory); memory > 0 {
		need.memory = memory
	}
	return need
}

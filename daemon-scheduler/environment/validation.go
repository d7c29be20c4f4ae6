package environment

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"
)

// TaskDefinition has the parts of an ECS task definition that limit a Spec.
type TaskDefinition struct {
	ARN         string // with its revision
	NetworkMode string // awsvpc, bridge, host, none or empty
	StaticPorts bool   // its tasks have static host ports, so two of them cannot run on one instance
	Containers  []string
	// LaunchVolumes are the names of the volumes that the task definition leaves to the launch.
	LaunchVolumes []string
}

const (
	maxSpecBytes     = 64 << 10
	maxOverrideChars = 8192 // ECS's limit
)

const tagCharacters = "letters, digits, spaces and _.:/=+-@ only"

var tagPattern = regexp.MustCompile(`^[\p{L}\p{Z}\p{N}_.:/=+\-@]*$`)

// Validate returns the problems of the spec that the schema of a request does not cover, one line for each: the
// field, "in body", and the problem. D is the spec's task definition; nil validates what does not depend on it.
func (s Spec) Validate(d *TaskDefinition) (problems []string) {
	add := func(wrong bool, format string, args ...any) {
		if wrong {
			problems = append(problems, fmt.Sprintf(format, args...))
		}
	}
	problems = s.DeploymentConfiguration.validate(d)
	_, err := s.Selector()
	add(err != nil, "instanceGroup.%v", inBody(err))
	add(isECSAttribute(s.ReadinessAttribute),
		"readinessAttribute in body should not begin with ecs. or com.amazonaws., which are ECS's own")
	problems = append(problems, s.TaskSettings.validate(d)...)
	data, err := json.Marshal(s)
	add(err != nil || len(data) > maxSpecBytes, "the body as a whole should be at most %d bytes", maxSpecBytes)
	return problems
}

// inBody returns the text of a query's error in the form of Validate.
func inBody(err error) string {
	if err == nil {
		return ""
	}
	return strings.Replace(err.Error(), "query: ", "query in body is invalid: ", 1)
}

func (s TaskSettings) validate(d *TaskDefinition) (problems []string) {
	add := func(wrong bool, format string, args ...any) {
		if wrong {
			problems = append(problems, "taskSettings."+fmt.Sprintf(format, args...))
		}
	}
	awsvpc := d != nil && d.NetworkMode == "awsvpc"
	add(s.Network == nil && awsvpc,
		"networkConfiguration in body is required by the task definition's network mode awsvpc")
	add(s.Network != nil && d != nil && !awsvpc,
		"networkConfiguration in body is only for task definitions with the network mode awsvpc")
	if o := s.Overrides; o != nil {
		data, err := json.Marshal(o)
		tooLong := err != nil || utf8.RuneCount(data) > maxOverrideChars
		add(tooLong, "overrides in body should be at most %d characters", maxOverrideChars)
		for i, c := range o.ContainerOverrides {
			add(d != nil && !slices.Contains(d.Containers, c.Name),
				"overrides.containerOverrides.%d.name in body is not a container of the task definition", i)
		}
	}
	problems = append(problems, s.validateVolumes(d)...)
	seen := map[string]bool{}
	for i, tag := range s.Tags {
		add(seen[tag.Key], "tags.%d.key in body is repeated", i)
		seen[tag.Key] = true
		add(strings.HasPrefix(strings.ToLower(tag.Key), "aws:"), "tags.%d.key in body should not begin with aws:", i)
		add(!tagPattern.MatchString(tag.Key), "tags.%d.key in body should have "+tagCharacters, i)
		add(!tagPattern.MatchString(tag.Value), "tags.%d.value in body should have "+tagCharacters, i)
	}
	return problems
}

// validateVolumes returns a problem for each volume that is configured here or in the task definition only: ECS would
// refuse every start.
func (s TaskSettings) validateVolumes(d *TaskDefinition) (problems []string) {
	const field = "taskSettings.volumeConfigurations"
	configured := map[string]bool{}
	for i, v := range s.VolumeConfigurations {
		switch {
		case configured[v.Name]:
			problems = append(problems, fmt.Sprintf("%s.%d.name in body is repeated", field, i))
		case d != nil && !slices.Contains(d.LaunchVolumes, v.Name):
			problems = append(problems, fmt.Sprintf(
				"%s.%d.name in body is not a volume that the task definition configures at launch", field, i))
		}
		configured[v.Name] = true
		if e := v.ManagedEBSVolume; e != nil && e.SizeInGiB == nil && e.SnapshotID == "" {
			problems = append(problems, fmt.Sprintf(
				"%s.%d.managedEBSVolume in body should have sizeInGiB or snapshotId", field, i))
		}
	}
	if d == nil {
		return problems
	}
	for _, name := range d.LaunchVolumes {
		if !configured[name] {
			problems = append(problems, fmt.Sprintf(
				"%s in body is required for volume %s, which the task definition configures at launch", field, name))
		}
	}
	return problems
}

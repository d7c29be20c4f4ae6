package environment

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"
)

// TaskDefinition is what is known of a task definition.
type TaskDefinition struct {
	ARN         string // with its revision
	NetworkMode string // awsvpc, bridge, host, none or empty
	StaticPorts bool   // two of its tasks cannot run on one instance, as both would need the same port
	Containers  []string
}

const (
	maxSpecBytes     = 64 << 10
	maxOverrideChars = 8192 // ECS's limit
)

var tagPattern = regexp.MustCompile(`^[\p{L}\p{Z}\p{N}_.:/=+\-@]*$`)

// Validate is what is wrong with spec beyond what the form of a request tells, a line for each: the field, "in body", and
// what about it. D is its task definition.
func (s Spec) Validate(d TaskDefinition) (problems []string) {
	add := func(wrong bool, format string, args ...any) {
		if wrong {
			problems = append(problems, fmt.Sprintf(format, args...))
		}
	}
	c := s.DeploymentConfiguration
	if c.Canary != nil {
		add((c.Canary.Percent == 0) == (c.Canary.Query == ""), "deploymentConfiguration.canary in body should have either percent or query")
		_, err := c.Canary.Selector()
		add(err != nil, "deploymentConfiguration.canary.%v", inBody(err))
	}
	add(c.Maximum() > 100 && d.StaticPorts, "deploymentConfiguration.maximumPercent in body should be 100, as tasks with static host ports cannot run side by side")
	_, err := s.Selector()
	add(err != nil, "instanceGroup.%v", inBody(err))
	reserved := strings.HasPrefix(s.ReadinessAttribute, "ecs.") || strings.HasPrefix(s.ReadinessAttribute, "com.amazonaws.")
	add(reserved, "readinessAttribute in body should not begin with ecs. or com.amazonaws., which are ECS's own")
	problems = append(problems, s.TaskSettings.validate(d)...)
	data, err := json.Marshal(s)
	add(err != nil || len(data) > maxSpecBytes, "the body as a whole should be at most %d bytes", maxSpecBytes)
	return problems
}

// inBody is an error of a query in the form of Problems.
func inBody(err error) string {
	if err == nil {
		return ""
	}
	return strings.Replace(err.Error(), "query: ", "query in body is no query: ", 1)
}

func (s TaskSettings) validate(d TaskDefinition) (problems []string) {
	add := func(wrong bool, format string, args ...any) {
		if wrong {
			problems = append(problems, "taskSettings."+fmt.Sprintf(format, args...))
		}
	}
	add(s.Network == nil && d.NetworkMode == "awsvpc", "networkConfiguration in body is required by the task definition's network mode awsvpc")
	add(s.Network != nil && d.NetworkMode != "awsvpc", "networkConfiguration in body is only for task definitions with the network mode awsvpc")
	if o := s.Overrides; o != nil {
		data, err := json.Marshal(o)
		add(err != nil || utf8.RuneCount(data) > maxOverrideChars, "overrides in body should be at most %d characters", maxOverrideChars)
		for i, c := range o.ContainerOverrides {
			add(!slices.Contains(d.Containers, c.Name), "overrides.containerOverrides.%d.name in body is no container of the task definition", i)
		}
	}
	seen := map[string]bool{}
	for i, tag := range s.Tags {
		add(seen[tag.Key], "tags.%d.key in body is there twice", i)
		seen[tag.Key] = true
		add(strings.HasPrefix(strings.ToLower(tag.Key), "aws:"), "tags.%d.key in body should not begin with aws:", i)
		add(!tagPattern.MatchString(tag.Key), "tags.%d.key in body should have letters, digits, spaces and _.:/=+-@ only", i)
		add(!tagPattern.MatchString(tag.Value), "tags.%d.value in body should have letters, digits, spaces and _.:/=+-@ only", i)
	}
	return problems
}

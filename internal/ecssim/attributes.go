package ecssim

import (
	"regexp"
	"slices"
)

// attribute is an ECS attribute; Value is optional.
type attribute struct {
	Name       string  `json:"name"`
	Value      *string `json:"value,omitempty"`
	TargetID   string  `json:"targetId,omitempty"`
	TargetType string  `json:"targetType,omitempty"`
}

// capabilities lists the attributes that the ECS agent on an ordinary Linux instance registers.
var capabilities = []string{
	"privileged-container", "docker-remote-api.1.17", "docker-remote-api.1.18", "docker-remote-api.1.19",
	"docker-remote-api.1.44",
	"logging-driver.json-file", "logging-driver.syslog", "logging-driver.awslogs", "ecr-auth", "task-iam-role",
	"task-iam-role-network-host",
}

func builtinAttributes(zone string) []attribute {
	var all []attribute
	for _, name := range capabilities {
		all = append(all, attribute{Name: "com.amazonaws.ecs.capability." + name})
	}
	all = append(all, attribute{Name: "ecs.capability.task-eni"}, attribute{Name: "ecs.capability.execution-role-awslogs"})
	for _, pair := range [][2]string{
		{"ecs.ami-id", "ami-0a1b2c3d4e5f60718"}, {"ecs.availability-zone", zone}, {"ecs.cpu-architecture", "x86_64"},
		{"ecs.instance-type", "m5.large"}, {"ecs.os-type", "linux"}, {"ecs.os-family", "LINUX"},
	} {
		all = append(all, attribute{Name: pair[0], Value: &pair[1]})
	}
	return all
}

func (i *instance) setAttribute(a attribute) {
	a.TargetID, a.TargetType = "", ""
	if at := slices.IndexFunc(i.attributes, func(b attribute) bool { return a.Name == b.Name }); at >= 0 {
		i.attributes[at] = a
		return
	}
	i.attributes = append(i.attributes, a)
}

func (i *instance) hasAttribute(attributeName string) bool {
	return slices.ContainsFunc(i.attributes, func(a attribute) bool { return a.Name == attributeName })
}

// Names and values of attributes. Source: Attribute in the Amazon ECS API Reference.
var (
	attributeName  = regexp.MustCompile(`^[a-zA-Z0-9_./\\-]{1,128}$`)
	attributeValue = regexp.MustCompile(`^[a-zA-Z0-9_.@/\\:-]([a-zA-Z0-9_.@/\\: -]{0,126}[a-zA-Z0-9_.@/\\:-])?$`)
)

func (a attribute) validate() error {
	if !attributeName.MatchString(a.Name) {
		return invalid("Attribute name %.200q must have 1 to 128 letters, digits, hyphens, underscores, slashes, "+
			"backslashes and periods.", a.Name)
	}
	if a.Value != nil && !attributeValue.MatchString(*a.Value) {
		return invalid("Attribute value %.200q must have 1 to 128 letters, digits, spaces and - _ . @ / \\ :. "+
			"It must not start or end with a space.", *a.Value)
	}
	return nil
}

package ecssim

import (
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/blox/blox/internal/arn"
)

// definition is one revision of a task definition.
type definition struct {
	family             string
	revision           int
	arn                string
	status             string // ACTIVE or INACTIVE
	input              definitionInput
	raw                map[string]json.RawMessage // as registered, with ECS's defaults, for Describe calls
	registeredBy       string
	requiredAttributes []string // attributes of eligible instances
	registeredAt       time.Time
	deregistered       time.Time
	tags               []tag
}

// definitionInput holds the fields of a task definition that the simulator uses.
type definitionInput struct {
	Family                  string                `json:"family"`
	NetworkMode             string                `json:"networkMode"`
	CPU                     string                `json:"cpu"`
	Memory                  string                `json:"memory"`
	TaskRoleARN             string                `json:"taskRoleArn"`
	RequiresCompatibilities []string              `json:"requiresCompatibilities"`
	ContainerDefinitions    []containerInput      `json:"containerDefinitions"`
	Tags                    []tag                 `json:"tags"`
	PlacementConstraints    []placementConstraint `json:"placementConstraints"`
	Volumes                 []definitionVolume    `json:"volumes"`
}

type containerInput struct {
	Name              string `json:"name"`
	Image             string `json:"image"`
	CPU               int    `json:"cpu"`
	Memory            int    `json:"memory"`
	MemoryReservation int    `json:"memoryReservation"`
	Essential         *bool  `json:"essential"`
	Privileged        bool   `json:"privileged"`
	PortMappings      []struct {
		ContainerPort int    `json:"containerPort"`
		HostPort      int    `json:"hostPort"`
		Protocol      string `json:"protocol"`
	} `json:"portMappings"`
	LogConfiguration *struct {
		LogDriver string `json:"logDriver"`
	} `json:"logConfiguration"`
	HealthCheck *struct {
		Command []string `json:"command"`
	} `json:"healthCheck"`
	EnvironmentFiles     []environmentFile     `json:"environmentFiles"`
	ResourceRequirements []resourceRequirement `json:"resourceRequirements"`
}

var (
	familyName    = regexp.MustCompile(`^[a-zA-Z0-9_-]{1,255}$`)
	containerName = familyName
)

// definitionFields lists the request fields that are part of the task definition.
var definitionFields = []string{
	"family", "taskRoleArn", "executionRoleArn", "networkMode", "containerDefinitions", "volumes", "placementConstraints",
	"requiresCompatibilities", "cpu", "memory", "pidMode", "ipcMode", "proxyConfiguration", "inferenceAccelerators",
	"ephemeralStorage", "runtimePlatform", "enableFaultInjection",
}

// DefinitionOption customizes the task definition that RegisterTaskDefinition registers.
type DefinitionOption func(definition map[string]any, container map[string]any)

// WithCPU sets the container's CPU units; the default is 128.
func WithCPU(units int) DefinitionOption {
	return func(_, container map[string]any) { container["cpu"] = units }
}

// WithMemory sets the container's memory in MiB; the default is 256.
func WithMemory(mib int) DefinitionOption {
	return func(_, container map[string]any) { container["memory"] = mib }
}

// WithHostPort adds a static "tcp" or "udp" host port; an instance has room for one task with it.
func WithHostPort(port int, protocol string) DefinitionOption {
	return func(_, container map[string]any) {
		ports, _ := container["portMappings"].([]any)
		container["portMappings"] = append(ports, map[string]any{
			"containerPort": port, "hostPort": port, "protocol": protocol,
		})
	}
}

// WithHealthCheck adds a container health check.
func WithHealthCheck() DefinitionOption {
	return func(_, container map[string]any) {
		container["healthCheck"] = map[string]any{"command": []string{"CMD-SHELL", "true"}}
	}
}

// WithNetworkMode sets bridge, host, awsvpc or none; the default is bridge.
func WithNetworkMode(mode string) DefinitionOption {
	return func(definition, _ map[string]any) { definition["networkMode"] = mode }
}

// WithLogDriver makes the container require the log driver's capability on the instance.
func WithLogDriver(driver string) DefinitionOption {
	return func(_, container map[string]any) {
		container["logConfiguration"] = map[string]any{"logDriver": driver}
	}
}

// RegisterTaskDefinition registers the next revision of a family and returns its ARN. The revision has one essential
// container, named like the family. It returns "" if ECS would reject the definition.
func (s *Sim) RegisterTaskDefinition(family string, opts ...DefinitionOption) string {
	container := map[string]any{
		"name": family, "image": "public.ecr.aws/example/" + family + ":latest", "cpu": 128, "memory": 256,
	}
	input := map[string]any{"family": family}
	for _, opt := range opts {
		opt(input, container)
	}
	input["containerDefinitions"] = []any{container}
	body, err := json.Marshal(input)
	if err != nil {
		return ""
	}
	s.lock()
	defer s.unlock()
	d, err := s.registerDefinition(body)
	if err != nil {
		return ""
	}
	return d.arn
}

func (s *Sim) registerDefinition(body []byte) (*definition, error) {
	d := &definition{status: statusActive, registeredAt: now()}
	if json.Unmarshal(body, &d.input) != nil || json.Unmarshal(body, &d.raw) != nil {
		return nil, errSerialization
	}
	if name := unknownMember(d.raw); name != "" {
		return nil, errUnsupported(serviceECS, strconv.Quote(name))
	}
	if err := d.input.validate(); err != nil {
		return nil, err
	}
	if err := validateTags(d.input.Tags); err != nil {
		return nil, err
	}
	d.tags, d.family = d.input.Tags, d.input.Family
	if d.input.NetworkMode == "" {
		d.input.NetworkMode = "bridge"
		if slices.Contains(d.input.RequiresCompatibilities, "FARGATE") {
			d.input.NetworkMode = "awsvpc"
		}
	}
	d.fillRaw(body)
	d.registeredBy = "arn:" + s.cfg.Partition + ":iam::" + s.cfg.Account + ":user/simulated"
	d.requiredAttributes = d.input.requiredAttributes()
	d.revision = len(s.definitions[d.family]) + 1
	d.arn = s.arn(arn.TaskDefinition, "", fmt.Sprintf("%s:%d", d.family, d.revision))
	s.definitions[d.family] = append(s.definitions[d.family], d)
	return d, nil
}

func (in *definitionInput) validate() error {
	if !familyName.MatchString(in.Family) {
		return clientError("Family should not be null or empty, and contain only letters, digits, hyphens and underscores.")
	}
	if !slices.Contains([]string{"", "bridge", "host", "awsvpc", "none"}, in.NetworkMode) {
		return clientError("Network mode %.300q is not one of bridge, host, awsvpc, none.", in.NetworkMode)
	}
	if len(in.ContainerDefinitions) == 0 {
		return clientError("Container definitions should not be null or empty.")
	}
	if _, ok := parseUnits(in.CPU); !ok {
		return clientError("Invalid 'cpu' setting for task.")
	}
	if _, ok := parseUnits(in.Memory); !ok {
		return clientError("Invalid 'memory' setting for task.")
	}
	names := map[string]bool{}
	for _, c := range in.ContainerDefinitions {
		if !containerName.MatchString(c.Name) || c.Image == "" || names[c.Name] {
			return clientError("Container.name and Container.image should not be null or empty, and names be distinct.")
		}
		names[c.Name] = true
		if c.Memory == 0 && c.MemoryReservation == 0 && in.Memory == "" {
			return clientError(
				"Invalid setting for container '%s'. At least one of 'memory' or 'memoryReservation' must be specified.", c.Name,
			)
		}
		if c.Memory < 0 || c.MemoryReservation < 0 || c.CPU < 0 {
			return clientError("Invalid setting for container '%s'. CPU and memory are not negative.", c.Name)
		}
		if c.HealthCheck != nil && len(c.HealthCheck.Command) == 0 {
			return clientError("Invalid health check for container '%s'. The command is empty.", c.Name)
		}
		if err := errors.Join(validateEnvironmentFiles(c.Name, c.EnvironmentFiles),
			validateRequirements(c.Name, c.ResourceRequirements)); err != nil {
			return clientError("Invalid setting for container '%s'. %v", c.Name, err)
		}
		for _, p := range c.PortMappings {
			inRange := p.ContainerPort >= 0 && p.ContainerPort <= 65535 && p.HostPort >= 0 && p.HostPort <= 65535
			if !inRange || !slices.Contains([]string{"", "tcp", "udp"}, p.Protocol) {
				return clientError("Invalid port mapping for container '%s'.", c.Name)
			}
			if p.HostPort != 0 && p.HostPort != p.ContainerPort && (in.NetworkMode == "awsvpc" || in.NetworkMode == "host") {
				return clientError(
					"When networkMode=%s, the host ports and container ports in port mappings must match.", in.NetworkMode,
				)
			}
		}
	}
	return nil
}

// parseUnits parses a task-level cpu or memory, which ECS represents as a string; "" is 0.
func parseUnits(text string) (int, bool) {
	if text == "" {
		return 0, true
	}
	n, err := strconv.Atoi(text)
	return n, err == nil && n >= 0
}

// fillRaw keeps the fields of the task definition and adds ECS's defaults.
func (d *definition) fillRaw(body []byte) {
	for name, value := range d.raw {
		if !slices.Contains(definitionFields, name) || string(value) == "null" {
			delete(d.raw, name)
		}
	}
	for _, name := range []string{"volumes", "placementConstraints"} {
		if d.raw[name] == nil {
			d.raw[name] = json.RawMessage("[]")
		}
	}
	d.raw["networkMode"], _ = json.Marshal(d.input.NetworkMode)
	var containers struct {
		ContainerDefinitions []map[string]any `json:"containerDefinitions"`
	}
	_ = json.Unmarshal(body, &containers) // registerDefinition has parsed it
	none := []any{}
	defaults := map[string]any{
		"cpu": 0, "essential": true, "environment": none, "mountPoints": none, "volumesFrom": none, "portMappings": none,
	}
	for _, c := range containers.ContainerDefinitions {
		for name, value := range defaults {
			if c[name] == nil {
				c[name] = value
			}
		}
		for name, value := range c {
			if value == nil {
				delete(c, name)
			}
		}
	}
	d.raw["containerDefinitions"], _ = json.Marshal(containers.ContainerDefinitions)
}

// definition returns a task definition by family (the latest ACTIVE revision), family:revision or ARN, or nil.
func (s *Sim) definition(ref string) *definition {
	if strings.HasPrefix(ref, "arn:") {
		a, err := arn.ParseKind(ref, arn.TaskDefinition)
		if err != nil || s.arn(arn.TaskDefinition, "", a.ID) != ref {
			return nil
		}
		ref = a.ID
	}
	family, revision, exact := strings.Cut(ref, ":")
	all := s.definitions[family]
	if exact {
		n, err := strconv.Atoi(revision)
		if err != nil || n < 1 || n > len(all) {
			return nil
		}
		return all[n-1]
	}
	for _, d := range slices.Backward(all) {
		if d.status == statusActive {
			return d
		}
	}
	return nil
}

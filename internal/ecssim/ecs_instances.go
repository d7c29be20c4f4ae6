package ecssim

import (
	"encoding/json"
	"slices"
	"strconv"
	"strings"

	"github.com/blox/blox/daemon-scheduler/query"
	"github.com/blox/blox/internal/arn"
)

type listInstancesInput struct {
	clusterInput
	pageInput
	Filter string `json:"filter"`
	Status string `json:"status"`
}

func (s *Sim) listContainerInstances(c *cluster, in listInstancesInput) (any, error) {
	filter, err := query.Parse(in.Filter)
	if err != nil {
		return nil, invalid("Invalid filter %.300q: %v", in.Filter, err)
	}
	if !slices.Contains(
		[]string{"", statusActive, statusDraining, "REGISTERING", "DEREGISTERING", "REGISTRATION_FAILED"}, in.Status,
	) {
		return nil, invalid("Invalid status: %.100q", in.Status)
	}
	seq := func(i *instance) int64 { return i.seq }
	return listPage("containerInstanceArns", in.pageInput, c.instances, seq, func(i *instance) (string, bool) {
		return i.arn, i.status != statusInactive && (in.Status == "" || in.Status == i.status) &&
			!s.notYetVisible(i.registeredAt) && i.meets([]query.Query{filter})
	})
}

type instancesInput struct {
	clusterInput
	ContainerInstances []string `json:"containerInstances"`
}

type describeInstancesInput struct {
	instancesInput
	Include []string `json:"include"`
}

func (s *Sim) describeContainerInstances(c *cluster, in describeInstancesInput) (any, error) {
	out, err := s.forEachInstance(c, in.instancesInput, maxDescribe, func(*instance) string { return "" })
	if err != nil {
		return nil, err
	}
	for n := range out.ContainerInstances {
		shown := &out.ContainerInstances[n]
		if !includes(in.Include, "TAGS") {
			shown.Tags = []tag{}
		}
		if includes(in.Include, "CONTAINER_INSTANCE_HEALTH") {
			shown.HealthStatus = s.findInstance(shown.ContainerInstanceARN).shapeHealth()
		}
	}
	return out, nil
}

// includes reports whether a list of what to include has an item. ECS ignores the case.
func includes(list []string, item string) bool {
	return slices.ContainsFunc(list, func(listed string) bool { return strings.EqualFold(listed, item) })
}

type updateInstancesInput struct {
	instancesInput
	Status string `json:"status"`
}

type instancesOutput struct {
	ContainerInstances []instanceResponse `json:"containerInstances"`
	Failures           []failure          `json:"failures"`
}

// maxInstancesPerCall is the most instances that one call can change or start a task on.
const maxInstancesPerCall = 10

func (s *Sim) updateContainerInstancesState(c *cluster, in updateInstancesInput) (any, error) {
	if in.Status != statusActive && in.Status != statusDraining {
		return nil, invalid("Container instance status should be one of [ACTIVE,DRAINING].")
	}
	return s.forEachInstance(c, in.instancesInput, maxInstancesPerCall, func(i *instance) string {
		if i.status == statusInactive {
			return statusInactive
		}
		s.setStatus(i, in.Status)
		return ""
	})
}

// forEachInstance applies do to each instance. It returns the instances, and a failure for each reason that do
// returned.
func (s *Sim) forEachInstance(
	c *cluster, in instancesInput, limit int, do func(*instance) string,
) (*instancesOutput, error) {
	if len(in.ContainerInstances) == 0 || len(in.ContainerInstances) > limit {
		return nil, invalid("Container instances must have 1 to %d elements.", limit)
	}
	found, failures := []instanceResponse{}, []failure{}
	for _, ref := range in.ContainerInstances {
		i := s.instanceIn(c, ref)
		if i == nil {
			failures = append(failures, s.missingFailure(arn.ContainerInstance, c, ref))
		} else if reason := do(i); reason != "" {
			failures = append(failures, failure{ARN: i.arn, Reason: reason})
		} else {
			found = append(found, newInstanceResponse(i))
		}
	}
	return &instancesOutput{found, failures}, nil
}

type registerInput struct {
	clusterInput
	ContainerInstanceARN     string      `json:"containerInstanceArn"`
	InstanceIdentityDocument string      `json:"instanceIdentityDocument"`
	TotalResources           []resource  `json:"totalResources"`
	Attributes               []attribute `json:"attributes"`
	VersionInfo              versionInfo `json:"versionInfo"`
	Tags                     []tag       `json:"tags"`
	Signature                ignored     `json:"instanceIdentityDocumentSignature" why:"the simulator trusts documents"`
	PlatformDevices          ignored     `json:"platformDevices" why:"the GPUs are those of totalResources"`
}

func (s *Sim) registerContainerInstance(c *cluster, in registerInput) (any, error) {
	if in.ContainerInstanceARN != "" { // an ECS agent reconnects
		i := s.instanceIn(c, in.ContainerInstanceARN)
		if i == nil || i.status == statusInactive {
			return nil, clientError("The container instance %.300q is not registered.", in.ContainerInstanceARN)
		}
		s.setConnected(i, true)
		return map[string]any{"containerInstance": newInstanceResponse(i)}, nil
	}
	var document struct {
		InstanceID string `json:"instanceId"`
	}
	if in.InstanceIdentityDocument != "" && json.Unmarshal([]byte(in.InstanceIdentityDocument), &document) != nil {
		return nil, clientError("Unable to parse the instance identity document.")
	}
	for _, a := range in.Attributes {
		if err := a.validate(); err != nil {
			return nil, err
		}
	}
	if err := validateTags(in.Tags); err != nil {
		return nil, err
	}
	r := registration{ec2ID: document.InstanceID, attributes: in.Attributes, versions: in.VersionInfo, tags: in.Tags}
	if len(in.TotalResources) > 0 {
		capacity, err := readResources(in.TotalResources)
		if err != nil {
			return nil, err
		}
		r.capacity = capacity
	}
	return map[string]any{"containerInstance": newInstanceResponse(s.register(c, r))}, nil
}

// readResources parses the resources that an ECS agent registers.
func readResources(all []resource) (resources, error) {
	r := resources{tcp: map[int]bool{}, udp: map[int]bool{}}
	for _, one := range all {
		ports := map[int]bool{}
		for _, text := range deref(one.StringSetValue) {
			if one.Name == "GPU" {
				continue
			}
			port, err := strconv.Atoi(text)
			if err != nil || port < 1 || port > 65535 {
				return r, clientError("Invalid port %.100q in the resource %.100q.", text, one.Name)
			}
			ports[port] = true
		}
		switch one.Name {
		case "CPU":
			r.cpu = one.IntegerValue
		case "MEMORY":
			r.memory = one.IntegerValue
		case "PORTS":
			r.tcp = ports
		case "PORTS_UDP":
			r.udp = ports
		case "GPU":
			r.gpus, r.hasGPUs = slices.Sorted(slices.Values(deref(one.StringSetValue))), true
			r.totalGPUs = len(r.gpus)
		}
	}
	return r, nil
}

type deregisterInput struct {
	clusterInput
	ContainerInstance string `json:"containerInstance"`
	Force             bool   `json:"force"`
}

func (s *Sim) deregisterContainerInstance(c *cluster, in deregisterInput) (any, error) {
	i := s.instanceIn(c, in.ContainerInstance)
	if i == nil || i.status == statusInactive {
		return nil, invalid("Referenced container instance %.300s not found.", in.ContainerInstance)
	}
	if len(i.tasks) > 0 && !in.Force {
		return nil, invalid("Found running tasks on the instance.")
	}
	s.deregister(i, "The container instance was deregistered by force.")
	return map[string]any{"containerInstance": newInstanceResponse(i)}, nil
}

type attributesInput struct {
	clusterInput
	Attributes []attribute `json:"attributes"`
}

// maxAttributes is the most custom attributes of an instance.
const maxAttributes = 10

// putAttributes sets attributes without a new version and without an event, as ECS does.
func (s *Sim) putAttributes(c *cluster, in attributesInput) (any, error) {
	return s.forEachAttribute(c, in, func(i *instance, a attribute) error {
		custom := 0
		for _, present := range i.attributes {
			if !strings.HasPrefix(present.Name, "ecs.") && !strings.HasPrefix(present.Name, "com.amazonaws.ecs.") {
				custom++
			}
		}
		if custom >= maxAttributes && !i.hasAttribute(a.Name) {
			return &apiError{code: "AttributeLimitExceededException", message: "The container instance has too many attributes."}
		}
		i.setAttribute(a)
		s.scheduleServices(c)
		return nil
	})
}

func (s *Sim) deleteAttributes(c *cluster, in attributesInput) (any, error) {
	return s.forEachAttribute(c, in, func(i *instance, a attribute) error {
		i.attributes = slices.DeleteFunc(slices.Clone(i.attributes), func(b attribute) bool {
			return a.Name == b.Name && (a.Value == nil || deref(a.Value) == deref(b.Value))
		})
		s.scheduleServices(c)
		return nil
	})
}

// forEachAttribute applies do to each attribute and its target. It changes nothing if a target is unknown.
func (s *Sim) forEachAttribute(c *cluster, in attributesInput, do func(*instance, attribute) error) (any, error) {
	if len(in.Attributes) == 0 || len(in.Attributes) > maxInstancesPerCall {
		return nil, invalid("Attributes must have 1 to %d elements.", maxInstancesPerCall)
	}
	targets := make([]*instance, len(in.Attributes))
	for at, a := range in.Attributes {
		if err := a.validate(); err != nil {
			return nil, err
		}
		if a.TargetType != "" && a.TargetType != "container-instance" {
			return nil, invalid("Unsupported target type %.100q.", a.TargetType)
		}
		if targets[at] = s.instanceIn(c, a.TargetID); targets[at] == nil || targets[at].status == statusInactive {
			return nil, &apiError{code: "TargetNotFoundException", message: "The specified target wasn't found."}
		}
	}
	for at, a := range in.Attributes {
		if err := do(targets[at], a); err != nil {
			return nil, err
		}
		in.Attributes[at].TargetID, in.Attributes[at].TargetType = targets[at].arn, "container-instance"
	}
	return map[string]any{"attributes": in.Attributes}, nil
}

type listAttributesInput struct {
	clusterInput
	pageInput
	TargetType     string `json:"targetType"`
	AttributeName  string `json:"attributeName"`
	AttributeValue string `json:"attributeValue"`
}

func (s *Sim) listAttributes(c *cluster, in listAttributesInput) (any, error) {
	if in.TargetType != "container-instance" {
		return nil, invalid("Unsupported target type %.100q.", in.TargetType)
	}
	var all []attribute
	for _, i := range c.instances {
		if i.status == statusInactive {
			continue
		}
		for _, a := range i.attributes {
			a.TargetID, a.TargetType = i.arn, "container-instance"
			all = append(all, a)
		}
	}
	return listPageByIndex("attributes", in.pageInput, all, func(a attribute) (attribute, bool) {
		return a, (in.AttributeName == "" || in.AttributeName == a.Name) &&
			(in.AttributeValue == "" || in.AttributeValue == deref(a.Value))
	})
}

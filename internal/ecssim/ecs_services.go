package ecssim

import (
	"cmp"
	"encoding/json"
	"slices"

	"github.com/blox/blox/internal/arn"
)

var (
	errServiceNotFound  = &apiError{code: "ServiceNotFoundException", message: "Service not found."}
	errServiceNotActive = &apiError{code: "ServiceNotActiveException", message: "Service was not ACTIVE."}
)

// serviceSettings are the parameters that CreateService and UpdateService share.
type serviceSettings struct {
	clusterInput
	TaskDefinition       string                `json:"taskDefinition"`
	DesiredCount         *int                  `json:"desiredCount"`
	PlacementConstraints []placementConstraint `json:"placementConstraints"`
	NetworkConfiguration json.RawMessage       `json:"networkConfiguration"`
	EnableManagedTags    *bool                 `json:"enableECSManagedTags"`
	PropagateTags        string                `json:"propagateTags"`
}

type createServiceInput struct {
	serviceSettings
	ServiceName          string `json:"serviceName"`
	SchedulingStrategy   string `json:"schedulingStrategy"`
	LaunchType           string `json:"launchType"`
	DeploymentController struct {
		Type string `json:"type"`
	} `json:"deploymentController"`
	Tags []tag `json:"tags"`
}

func (s *Sim) createService(c *cluster, in createServiceInput) (any, error) {
	v := &service{
		name: in.ServiceName, arn: s.serviceARN(c, in.ServiceName), cluster: c, status: statusActive,
		strategy: cmp.Or(in.SchedulingStrategy, strategyReplica), controller: cmp.Or(in.DeploymentController.Type, "ECS"),
		desired: deref(in.DesiredCount), createdAt: now(), tags: in.Tags,
		propagateTags: "NONE", launchType: cmp.Or(in.LaunchType, launchEC2),
	}
	switch existing := s.serviceIn(c, in.ServiceName); {
	case !arn.IsClusterName(in.ServiceName): // the rule is the same
		return nil, invalid("Service name must have 1 to 255 letters, digits, hyphens and underscores.")
	case existing != nil && existing.status != statusInactive:
		return nil, invalid("Creation of service was not idempotent.")
	case v.strategy != strategyDaemon && v.strategy != strategyReplica:
		return nil, invalid("Invalid scheduling strategy %.100q.", v.strategy)
	case v.strategy == strategyDaemon && (v.controller != "ECS" || in.LaunchType == launchFargate):
		return nil, invalid("The daemon scheduling strategy is not supported with this launch type or controller.")
	case v.strategy == strategyDaemon && in.DesiredCount != nil:
		return nil, invalid("The daemon scheduling strategy does not support a desired count for services.")
	}
	if err := validateTags(in.Tags); err != nil {
		return nil, err
	}
	if in.TaskDefinition == "" && v.controller != "EXTERNAL" {
		return nil, clientError("TaskDefinition can not be blank.")
	}
	if err := s.change(v, in.serviceSettings, false); err != nil {
		return nil, err
	}
	v.seq = s.nextSeq()
	c.services = append(c.services, v)
	s.scheduleServices(c)
	return map[string]any{"service": shapeService(v, true)}, nil
}

// change applies settings that are given. It begins a deployment if the task definition or the network changes.
func (s *Sim) change(v *service, in serviceSettings, force bool) error {
	d, network := v.definition, v.network
	if in.TaskDefinition != "" {
		if d = s.definition(in.TaskDefinition); d == nil {
			return clientError("TaskDefinition not found.")
		}
		if d.status != statusActive {
			return clientError("TaskDefinition is inactive")
		}
	}
	if len(in.NetworkConfiguration) > 0 && string(in.NetworkConfiguration) != "null" {
		network = in.NetworkConfiguration
	}
	if d != nil && (d.input.NetworkMode == "awsvpc") != (network != nil) {
		return invalid("Network Configuration is required with, and only valid with, networkMode 'awsvpc'.")
	}
	propagate := cmp.Or(in.PropagateTags, v.propagateTags)
	if !slices.Contains([]string{"TASK_DEFINITION", "SERVICE", "NONE"}, propagate) {
		return invalid("Invalid propagateTags %.100q: must be TASK_DEFINITION, SERVICE or NONE.", in.PropagateTags)
	}
	if in.PlacementConstraints != nil {
		if err := v.constrain(in.PlacementConstraints); err != nil {
			return err
		}
	}
	if v.propagateTags = propagate; in.EnableManagedTags != nil {
		v.managedTags = *in.EnableManagedTags
	}
	if force || d != v.definition || string(network) != string(v.network) || v.deployment == "" {
		v.network = network
		v.deploy(d)
	}
	return nil
}

type updateServiceInput struct {
	serviceSettings
	Service            string `json:"service"`
	ForceNewDeployment bool   `json:"forceNewDeployment"`
}

func (s *Sim) updateService(c *cluster, in updateServiceInput) (any, error) {
	v := s.serviceIn(c, in.Service)
	switch {
	case v == nil:
		return nil, errServiceNotFound
	case v.status != statusActive:
		return nil, errServiceNotActive
	case v.strategy == strategyDaemon && in.DesiredCount != nil:
		return nil, invalid("The daemon scheduling strategy does not support a desired count for services.")
	}
	if err := s.change(v, in.serviceSettings, in.ForceNewDeployment); err != nil {
		return nil, err
	}
	if in.DesiredCount != nil {
		v.desired = *in.DesiredCount
	}
	s.scheduleServices(c)
	return map[string]any{"service": shapeService(v, true)}, nil
}

type deleteServiceInput struct {
	clusterInput
	Service string `json:"service"`
	Force   bool   `json:"force"`
}

// deleteService stops the tasks of a service. ECS requires force only of a REPLICA service that is to have tasks.
func (s *Sim) deleteService(c *cluster, in deleteServiceInput) (any, error) {
	v := s.serviceIn(c, in.Service)
	switch {
	case v == nil:
		return nil, errServiceNotFound
	case v.status == statusInactive:
		return nil, errServiceNotActive
	case v.strategy == strategyReplica && v.desired > 0 && !in.Force:
		return nil, invalid("The service cannot be stopped while it is scaled above 0.")
	}
	v.status = statusDraining
	if v.strategy == strategyReplica {
		v.status = statusInactive // the simulator has started none of its tasks
	}
	s.scheduleServices(c)
	return map[string]any{"service": shapeService(v, true)}, nil
}

type listServicesInput struct {
	clusterInput
	pageInput
	SchedulingStrategy string `json:"schedulingStrategy"`
	LaunchType         string `json:"launchType"`
}

// listServices lists 10 services a page by default, as ECS does.
func (s *Sim) listServices(c *cluster, in listServicesInput) (any, error) {
	if in.MaxResults == nil {
		in.MaxResults = new(maxServices)
	}
	seq := func(v *service) int64 { return v.seq }
	return listPage("serviceArns", in.pageInput, c.services, seq, func(v *service) (string, bool) {
		return v.arn, v.status == statusActive && (in.SchedulingStrategy == "" || in.SchedulingStrategy == v.strategy) &&
			(in.LaunchType == "" || in.LaunchType == v.launchType)
	})
}

// maxServices is the most services of a DescribeServices request.
const maxServices = 10

type describeServicesInput struct {
	clusterInput
	Services []string `json:"services"`
	Include  []string `json:"include"`
}

func (s *Sim) describeServices(c *cluster, in describeServicesInput) (any, error) {
	if len(in.Services) == 0 || len(in.Services) > maxServices {
		return nil, invalid("Services must have 1 to %d elements.", maxServices)
	}
	withTags := includes(in.Include, "TAGS")
	found, failures := []serviceShape{}, []failure{}
	for _, ref := range in.Services {
		if v := s.serviceIn(c, ref); v != nil {
			found = append(found, shapeService(v, withTags))
		} else {
			failures = append(failures, s.missingFailure(arn.Service, c, ref))
		}
	}
	return map[string]any{"services": found, "failures": failures}, nil
}

type serviceShape struct {
	ServiceARN              string                `json:"serviceArn"`
	ServiceName             string                `json:"serviceName"`
	ClusterARN              string                `json:"clusterArn"`
	Status                  string                `json:"status"`
	SchedulingStrategy      string                `json:"schedulingStrategy"`
	LaunchType              string                `json:"launchType"`
	TaskDefinition          string                `json:"taskDefinition,omitempty"`
	DesiredCount            int                   `json:"desiredCount"`
	RunningCount            int                   `json:"runningCount"`
	PendingCount            int                   `json:"pendingCount"`
	PlacementConstraints    []placementConstraint `json:"placementConstraints"`
	PlacementStrategy       []nameValue           `json:"placementStrategy"`
	NetworkConfiguration    json.RawMessage       `json:"networkConfiguration,omitempty"`
	DeploymentController    map[string]string     `json:"deploymentController"`
	DeploymentConfiguration map[string]int        `json:"deploymentConfiguration"`
	Deployments             []serviceDeployment   `json:"deployments"`
	LoadBalancers           []nameValue           `json:"loadBalancers"`
	ServiceRegistries       []nameValue           `json:"serviceRegistries"`
	Events                  []nameValue           `json:"events"`
	CreatedAt               epoch                 `json:"createdAt"`
	EnableECSManagedTags    bool                  `json:"enableECSManagedTags"`
	PropagateTags           string                `json:"propagateTags"`
	Tags                    []tag                 `json:"tags,omitempty"`
}

type serviceDeployment struct {
	ID             string `json:"id"`
	Status         string `json:"status"`
	TaskDefinition string `json:"taskDefinition,omitempty"`
	DesiredCount   int    `json:"desiredCount"`
	RunningCount   int    `json:"runningCount"`
	PendingCount   int    `json:"pendingCount"`
	RolloutState   string `json:"rolloutState"`
	CreatedAt      epoch  `json:"createdAt"`
	UpdatedAt      epoch  `json:"updatedAt"`
}

func shapeService(v *service, withTags bool) serviceShape {
	shape := serviceShape{
		ServiceARN: v.arn, ServiceName: v.name, ClusterARN: v.cluster.arn, Status: v.status,
		SchedulingStrategy: v.strategy, LaunchType: v.launchType, DesiredCount: v.desired, NetworkConfiguration: v.network,
		PlacementConstraints: copyOf(v.constraints), PlacementStrategy: []nameValue{},
		DeploymentController:    map[string]string{"type": v.controller},
		DeploymentConfiguration: map[string]int{"maximumPercent": 100, "minimumHealthyPercent": 0},
		LoadBalancers:           []nameValue{}, ServiceRegistries: []nameValue{}, Events: []nameValue{},
		CreatedAt: epoch(v.createdAt), EnableECSManagedTags: v.managedTags, PropagateTags: v.propagateTags,
	}
	if withTags {
		shape.Tags = copyOf(v.tags)
	}
	if v.definition != nil {
		shape.TaskDefinition = v.definition.arn
	}
	primary := serviceDeployment{
		ID: v.deployment, Status: "PRIMARY", TaskDefinition: shape.TaskDefinition, RolloutState: "COMPLETED",
		CreatedAt: epoch(v.deployedAt), UpdatedAt: epoch(v.deployedAt),
	}
	for _, i := range v.cluster.instances {
		if v.strategy == strategyDaemon && v.allows(i) {
			shape.DesiredCount++
		}
		for t := range i.tasks {
			switch {
			case t.service != v:
			case t.lastStatus == statusRunning:
				shape.RunningCount++
			case t.starting():
				shape.PendingCount++
			}
		}
	}
	primary.DesiredCount, primary.RunningCount = shape.DesiredCount, shape.RunningCount
	primary.PendingCount = shape.PendingCount
	shape.Deployments = []serviceDeployment{primary}
	return shape
}

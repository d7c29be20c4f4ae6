package api

import (
	"encoding/json"
	"time"

	"github.com/go-openapi/strfmt"
	"github.com/go-openapi/swag/conv"

	"github.com/blox/blox/daemon-scheduler/environment"
	"github.com/blox/blox/swagger/daemon-scheduler/v1/models"
)

// specFromRequest returns the spec in a request. Requests to create have the same fields as requests to update.
func specFromRequest(request *models.UpdateEnvironmentRequest) environment.Spec {
	s := environment.Spec{
		TaskDefinition:          request.TaskDefinition,
		ReadinessAttribute:      request.ReadinessAttribute,
		DrainOrder:              int(conv.Value(request.DrainOrder)),
		ScaleInAfterMinutes:     int(conv.Value(request.ScaleInAfterMinutes)),
		UnhealthyPolicy:         environment.UnhealthyPolicy(request.UnhealthyPolicy),
		Role:                    environment.Role{ARN: request.Role, ExternalID: request.RoleExternalID},
		DeploymentConfiguration: readConfiguration(request.DeploymentConfiguration),
		TaskSettings:            readSettings(request.TaskSettings),
	}
	if g := request.InstanceGroup; g != nil {
		s.Query = g.Query
		for _, a := range g.Attributes {
			s.Attributes = append(s.Attributes, environment.Attribute{Name: conv.Value(a.Name), Value: a.Value})
		}
	}
	return s
}

func readConfiguration(m *models.DeploymentConfiguration) (c environment.DeploymentConfiguration) {
	if m == nil {
		return c
	}
	c.MinimumHealthyPercent = intPointer(m.MinimumHealthyPercent)
	c.MaximumPercent = intPointer(m.MaximumPercent)
	c.MaxUnavailableCount = int(conv.Value(m.MaxUnavailable))
	c.MaxSurgeCount = intPointer(m.MaxSurge)
	c.BakeTimeInMinutes = int(conv.Value(m.BakeTimeInMinutes))
	c.ProgressDeadlineMinutes = int(conv.Value(m.ProgressDeadlineMinutes))
	c.MinimumHealthySeconds = int(conv.Value(m.MinimumHealthySeconds))
	c.SlowStart = m.SlowStart
	c.SpreadBy = m.SpreadBy
	if b := m.DeploymentCircuitBreaker; b != nil {
		c.CircuitBreaker = readCircuitBreaker(b)
	}
	if a := m.Alarms; a != nil {
		c.Alarms = &environment.Alarms{
			Names: a.AlarmNames, Enable: a.Enable == nil || *a.Enable, Rollback: a.Rollback,
		}
	}
	if m.Canary != nil {
		c.Canary = readCanary(m.Canary)
	}
	return c
}

// showConfiguration includes the defaults of fields that are not configured.
func showConfiguration(c environment.DeploymentConfiguration) *models.DeploymentConfiguration {
	m := configuredFields(c)
	if c.MaxUnavailableCount == 0 {
		m.MinimumHealthyPercent = conv.Pointer(int64(c.MinimumHealthy()))
	}
	if c.MaxSurgeCount == nil {
		m.MaximumPercent = conv.Pointer(int64(c.Maximum()))
	}
	m.SlowStart = conv.Pointer(c.StartsSlowly())
	return m
}

// configuredFields omits the defaults of fields that are not configured.
func configuredFields(c environment.DeploymentConfiguration) *models.DeploymentConfiguration {
	m := &models.DeploymentConfiguration{
		MinimumHealthyPercent:    int64Pointer(c.MinimumHealthyPercent),
		MaximumPercent:           int64Pointer(c.MaximumPercent),
		MaxUnavailable:           nonZero(c.MaxUnavailableCount),
		MaxSurge:                 int64Pointer(c.MaxSurgeCount),
		BakeTimeInMinutes:        conv.Pointer(int64(c.BakeTimeInMinutes)),
		ProgressDeadlineMinutes:  nonZero(c.ProgressDeadlineMinutes),
		MinimumHealthySeconds:    nonZero(c.MinimumHealthySeconds),
		SlowStart:                c.SlowStart,
		SpreadBy:                 c.SpreadBy,
		DeploymentCircuitBreaker: showCircuitBreaker(c.CircuitBreaker),
	}
	if a := c.Alarms; a != nil {
		m.Alarms = &models.DeploymentAlarms{AlarmNames: a.Names, Enable: &a.Enable, Rollback: a.Rollback}
	}
	if c.Canary != nil {
		m.Canary = showCanary(*c.Canary)
	}
	return m
}

func readCircuitBreaker(m *models.CircuitBreaker) environment.CircuitBreaker {
	b := environment.CircuitBreaker{
		Enable: m.Enable, Rollback: m.Rollback, Threshold: int(conv.Value(m.Threshold)),
		ResetOnHealthyTask: m.ResetOnHealthyTask,
	}
	if t := m.ThresholdConfiguration; t != nil {
		b.ThresholdConfiguration = &environment.FailureThreshold{
			Type: environment.ThresholdType(conv.Value(t.Type)), Value: int(conv.Value(t.Value)),
		}
	}
	return b
}

func showCircuitBreaker(b environment.CircuitBreaker) *models.CircuitBreaker {
	m := &models.CircuitBreaker{
		Enable: b.Enable, Rollback: b.Rollback, Threshold: nonZero(b.Threshold), ResetOnHealthyTask: b.ResetOnHealthyTask,
	}
	if t := b.ThresholdConfiguration; t != nil {
		m.ThresholdConfiguration = &models.CircuitBreakerThreshold{
			Type: conv.Pointer(string(t.Type)), Value: conv.Pointer(int64(t.Value)),
		}
	}
	return m
}

func readSettings(m *models.TaskSettings) (s environment.TaskSettings) {
	if m == nil {
		return s
	}
	s = environment.TaskSettings{
		PropagateTags:        m.PropagateTags,
		EnableECSManagedTags: m.EnableECSManagedTags,
		EnableExecuteCommand: m.EnableExecuteCommand,
		Group:                m.Group,
	}
	if n := m.NetworkConfiguration; n != nil {
		s.Network = &environment.AwsVpcConfiguration{
			Subnets:        n.AwsvpcConfiguration.Subnets,
			SecurityGroups: n.AwsvpcConfiguration.SecurityGroups,
			AssignPublicIP: n.AwsvpcConfiguration.AssignPublicIP,
		}
	}
	convert(m.Overrides, &s.Overrides)
	convert(m.Tags, &s.Tags)
	convert(m.VolumeConfigurations, &s.VolumeConfigurations)
	return s
}

func showSettings(s environment.TaskSettings) *models.TaskSettings {
	m := &models.TaskSettings{
		PropagateTags:        s.PropagateTags,
		EnableECSManagedTags: s.EnableECSManagedTags,
		EnableExecuteCommand: s.EnableExecuteCommand,
		Group:                s.Group,
	}
	if n := s.Network; n != nil {
		m.NetworkConfiguration = &models.NetworkConfiguration{AwsvpcConfiguration: &models.AwsVpcConfiguration{
			Subnets: n.Subnets, SecurityGroups: n.SecurityGroups, AssignPublicIP: n.AssignPublicIP,
		}}
	}
	convert(s.Overrides, &m.Overrides)
	convert(s.Tags, &m.Tags)
	convert(s.VolumeConfigurations, &m.VolumeConfigurations)
	return m
}

// showSettingsIfAny returns nil if no setting is set.
func showSettingsIfAny(s environment.TaskSettings) *models.TaskSettings {
	m := showSettings(s)
	if data, err := json.Marshal(m); err == nil && string(data) == "{}" {
		return nil
	}
	return m
}

// convert copies from to the value that the pointer to refers to. Their field names in JSON differ in case only.
// TestSpecFromRequest_RestoresEveryField verifies that.
func convert(from, to any) {
	data, err := json.Marshal(from)
	if err == nil {
		err = json.Unmarshal(data, to)
	}
	if err != nil { // a bug: both types have the same fields
		panic(err)
	}
}

// editableSpec returns e's newest revision in the form that clients edit.
func editableSpec(e environment.Environment) *models.UpdateEnvironmentRequest {
	spec := e.LatestRevision().Spec
	return &models.UpdateEnvironmentRequest{
		TaskDefinition: spec.TaskDefinition,
		InstanceGroup: &models.InstanceGroupUpdate{
			Cluster: e.Cluster, Query: spec.Query, Attributes: showAttributes(spec),
		},
		ReadinessAttribute:      spec.ReadinessAttribute,
		DeploymentConfiguration: configuredFields(spec.DeploymentConfiguration),
		TaskSettings:            showSettings(spec.TaskSettings),
		DrainOrder:              nonZero(spec.DrainOrder),
		ScaleInAfterMinutes:     nonZero(spec.ScaleInAfterMinutes),
		UnhealthyPolicy:         string(spec.UnhealthyPolicy),
		Role:                    spec.Role.ARN,
		RoleExternalID:          spec.Role.ExternalID,
	}
}

func showAttributes(spec environment.Spec) (shown []*models.Attribute) {
	for _, a := range spec.Attributes {
		shown = append(shown, &models.Attribute{Name: &a.Name, Value: a.Value})
	}
	return shown
}

func showGroup(cluster string, spec environment.Spec) *models.InstanceGroup {
	return &models.InstanceGroup{Cluster: cluster, Query: spec.Query, Attributes: showAttributes(spec)}
}

// intPointer keeps nil, which stands for the default.
func intPointer(n *int64) *int {
	if n == nil {
		return nil
	}
	return conv.Pointer(int(*n))
}

// int64Pointer is the inverse of intPointer.
func int64Pointer(n *int) *int64 {
	if n == nil {
		return nil
	}
	return conv.Pointer(int64(*n))
}

// timePointer returns nil, which JSON omits, for the zero time.
func timePointer(t time.Time) *strfmt.DateTime {
	if t.IsZero() {
		return nil
	}
	return conv.Pointer(strfmt.DateTime(t.UTC()))
}

// nonZero returns nil, which JSON omits, for 0.
func nonZero(n int) *int64 {
	if n == 0 {
		return nil
	}
	return conv.Pointer(int64(n))
}

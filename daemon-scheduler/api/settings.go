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
	c.BakeTimeInMinutes = int(conv.Value(m.BakeTimeInMinutes))
	c.ProgressDeadlineMinutes = int(conv.Value(m.ProgressDeadlineMinutes))
	if b := m.DeploymentCircuitBreaker; b != nil {
		c.CircuitBreaker = environment.CircuitBreaker{
			Enable: b.Enable, Rollback: b.Rollback, Threshold: int(conv.Value(b.Threshold)),
		}
	}
	if m.Canary != nil {
		c.Canary = &environment.Canary{Percent: int(conv.Value(m.Canary.Percent)), Query: m.Canary.Query}
	}
	return c
}

// showConfiguration includes the defaults of fields that are not configured.
func showConfiguration(c environment.DeploymentConfiguration) *models.DeploymentConfiguration {
	m := &models.DeploymentConfiguration{
		MinimumHealthyPercent:   conv.Pointer(int64(c.MinimumHealthy())),
		MaximumPercent:          conv.Pointer(int64(c.Maximum())),
		BakeTimeInMinutes:       conv.Pointer(int64(c.BakeTimeInMinutes)),
		ProgressDeadlineMinutes: nonZero(c.ProgressDeadlineMinutes),
		DeploymentCircuitBreaker: &models.CircuitBreaker{
			Enable:    c.CircuitBreaker.Enable,
			Rollback:  c.CircuitBreaker.Rollback,
			Threshold: nonZero(c.CircuitBreaker.Threshold),
		},
	}
	if c.Canary != nil {
		m.Canary = &models.Canary{Query: c.Canary.Query, Percent: nonZero(c.Canary.Percent)}
	}
	return m
}

// configuredFields omits the defaults of fields that are not configured.
func configuredFields(c environment.DeploymentConfiguration) *models.DeploymentConfiguration {
	m := showConfiguration(c)
	if c.MinimumHealthyPercent == nil {
		m.MinimumHealthyPercent = nil
	}
	if c.MaximumPercent == nil {
		m.MaximumPercent = nil
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
	}
}

func showAttributes(spec environment.Spec) (shown []*models.Attribute) {
	for _, a := range spec.Attributes {
		shown = append(shown, &models.Attribute{Name: &a.Name, Value: a.Value})
	}
	return shown
}

func showGroup(cluster string, spec environment.Spec) *models.InstanceGroup {
	return &models.InstanceGroup{Cluster: &cluster, Query: spec.Query, Attributes: showAttributes(spec)}
}

// intPointer keeps nil, which stands for the default.
func intPointer(n *int64) *int {
	if n == nil {
		return nil
	}
	return conv.Pointer(int(*n))
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

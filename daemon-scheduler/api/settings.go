package api

import (
	"encoding/json"
	"time"

	"github.com/go-openapi/strfmt"

	"github.com/blox/blox/daemon-scheduler/environment"
	"github.com/blox/blox/swagger/daemon-scheduler/v1/models"
)

// wants is what of a request is a spec; a request to create has the same fields as one to update.
func wants(asked *models.UpdateEnvironmentRequest) environment.Spec {
	s := environment.Spec{
		TaskDefinition: asked.TaskDefinition, ReadinessAttribute: asked.ReadinessAttribute,
		DrainOrder: int(value(asked.DrainOrder)), ScaleInAfterMinutes: int(value(asked.ScaleInAfterMinutes)),
		DeploymentConfiguration: readConfiguration(asked.DeploymentConfiguration), TaskSettings: readSettings(asked.TaskSettings),
	}
	if g := asked.InstanceGroup; g != nil {
		s.Query = g.Query
		for _, a := range g.Attributes {
			s.Attributes = append(s.Attributes, environment.Attribute{Name: value(a.Name), Value: a.Value})
		}
	}
	return s
}

func readConfiguration(m *models.DeploymentConfiguration) (c environment.DeploymentConfiguration) {
	if m == nil {
		return c
	}
	c.MinimumHealthyPercent, c.MaximumPercent = whole(m.MinimumHealthyPercent), whole(m.MaximumPercent)
	c.BakeTimeInMinutes = int(value(m.BakeTimeInMinutes))
	if b := m.DeploymentCircuitBreaker; b != nil {
		c.CircuitBreaker = environment.CircuitBreaker{Enable: b.Enable, Rollback: b.Rollback, Threshold: int(value(b.Threshold))}
	}
	if m.Canary != nil {
		c.Canary = &environment.Canary{Percent: int(value(m.Canary.Percent)), Query: m.Canary.Query}
	}
	return c
}

// showConfiguration shows the defaults too, so that nobody has to know them.
func showConfiguration(c environment.DeploymentConfiguration) *models.DeploymentConfiguration {
	m := &models.DeploymentConfiguration{
		MinimumHealthyPercent: count(c.MinimumHealthy()), MaximumPercent: count(c.Maximum()), BakeTimeInMinutes: count(c.BakeTimeInMinutes),
		DeploymentCircuitBreaker: &models.CircuitBreaker{Enable: c.CircuitBreaker.Enable, Rollback: c.CircuitBreaker.Rollback},
	}
	m.DeploymentCircuitBreaker.Threshold = notZero(c.CircuitBreaker.Threshold)
	if c.Canary != nil {
		m.Canary = &models.Canary{Query: c.Canary.Query, Percent: notZero(c.Canary.Percent)}
	}
	return m
}

func readSettings(m *models.TaskSettings) (s environment.TaskSettings) {
	if m == nil {
		return s
	}
	s = environment.TaskSettings{
		PropagateTags: m.PropagateTags, EnableECSManagedTags: m.EnableECSManagedTags, EnableExecuteCommand: m.EnableExecuteCommand, Group: m.Group,
	}
	if n := m.NetworkConfiguration; n != nil {
		s.Network = &environment.AwsVpcConfiguration{
			Subnets: n.AwsvpcConfiguration.Subnets, SecurityGroups: n.AwsvpcConfiguration.SecurityGroups,
			AssignPublicIP: n.AwsvpcConfiguration.AssignPublicIP,
		}
	}
	recast(m.Overrides, &s.Overrides)
	recast(m.Tags, &s.Tags)
	return s
}

func showSettings(s environment.TaskSettings) *models.TaskSettings {
	m := &models.TaskSettings{
		PropagateTags: s.PropagateTags, EnableECSManagedTags: s.EnableECSManagedTags, EnableExecuteCommand: s.EnableExecuteCommand, Group: s.Group,
	}
	if n := s.Network; n != nil {
		m.NetworkConfiguration = &models.NetworkConfiguration{AwsvpcConfiguration: &models.AwsVpcConfiguration{
			Subnets: n.Subnets, SecurityGroups: n.SecurityGroups, AssignPublicIP: n.AssignPublicIP,
		}}
	}
	recast(s.Overrides, &m.Overrides)
	recast(s.Tags, &m.Tags)
	return m
}

// recast fills to, a pointer, with what from is: the names are the same but for their case, which JSON does not mind.
// TestSettingsSurvive sees to it that they stay so.
func recast(from, to any) {
	data, err := json.Marshal(from)
	if err == nil {
		err = json.Unmarshal(data, to)
	}
	if err != nil { // a mistake in the program
		panic(err)
	}
}

// edit is e's newest revision as a client sees and edits it.
func edit(e environment.Environment) *models.UpdateEnvironmentRequest {
	spec := e.LatestRevision().Spec
	return &models.UpdateEnvironmentRequest{
		TaskDefinition: spec.TaskDefinition, InstanceGroup: &models.InstanceGroupUpdate{Cluster: e.Cluster, Query: spec.Query, Attributes: showAttributes(spec)},
		ReadinessAttribute: spec.ReadinessAttribute, DeploymentConfiguration: asGiven(spec.DeploymentConfiguration), TaskSettings: showSettings(spec.TaskSettings),
		DrainOrder: notZero(spec.DrainOrder), ScaleInAfterMinutes: notZero(spec.ScaleInAfterMinutes),
	}
}

// asGiven leaves out what was left to the defaults.
func asGiven(c environment.DeploymentConfiguration) *models.DeploymentConfiguration {
	m := showConfiguration(c)
	if c.MinimumHealthyPercent == nil {
		m.MinimumHealthyPercent = nil
	}
	if c.MaximumPercent == nil {
		m.MaximumPercent = nil
	}
	return m
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

// shownSettings leaves out settings of which there are none.
func shownSettings(s environment.TaskSettings) *models.TaskSettings {
	m := showSettings(s)
	if data, err := json.Marshal(m); err == nil && string(data) == "{}" {
		return nil
	}
	return m
}

func value[V any](p *V) (v V) {
	if p != nil {
		v = *p
	}
	return v
}

func count(n int) *int64 {
	v := int64(n)
	return &v
}

func whole(n *int64) *int {
	if n == nil {
		return nil
	}
	v := int(*n)
	return &v
}

// when is nil for what has not happened.
func when(t time.Time) *strfmt.DateTime {
	if t.IsZero() {
		return nil
	}
	at := strfmt.DateTime(t.UTC())
	return &at
}

// notZero is nil for 0, which is then left out.
func notZero(n int) *int64 {
	if n == 0 {
		return nil
	}
	return count(n)
}

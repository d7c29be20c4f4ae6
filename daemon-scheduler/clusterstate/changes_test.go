package clusterstate

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/blox/blox/daemon-scheduler/environment"
	"github.com/blox/blox/swagger/cluster-state-service/v1/models"
)

// what an instance is, changed as a row of the test says.
func instance(changes ...func(*models.ContainerInstanceDetail)) *models.ContainerInstance {
	text := func(s string) *string { return &s }
	connected := true
	i := &models.ContainerInstanceDetail{
		Status: text("ACTIVE"), AgentConnected: &connected,
		Attributes: []*models.ContainerInstanceAttribute{
			{Name: text("a"), Value: text("1")}, {Name: text("b"), Value: text("")},
		},
		RemainingResources: []*models.ContainerInstanceResource{
			{Name: text("CPU"), Type: text("INTEGER"), Value: text("1024")},
			{Name: text("MEMORY"), Type: text("INTEGER"), Value: text("900")},
			{Name: text("PORTS"), Type: text("STRINGSET"), Value: text("22,8080")},
		},
	}
	for _, change := range changes {
		change(i)
	}
	return &models.ContainerInstance{Entity: i}
}

func TestCompare_ReportsWhatAnInstanceChangeMeans(t *testing.T) {
	free := func(n int, value string) func(*models.ContainerInstanceDetail) {
		return func(i *models.ContainerInstanceDetail) { i.RemainingResources[n].Value = &value }
	}
	status := func(s string) func(*models.ContainerInstanceDetail) {
		return func(i *models.ContainerInstanceDetail) { i.Status = &s }
	}
	away := func(i *models.ContainerInstanceDetail) { i.AgentConnected = new(bool) }
	swapped := func(i *models.ContainerInstanceDetail) {
		i.Attributes[0], i.Attributes[1] = i.Attributes[1], i.Attributes[0]
	}
	version := func(v string) func(*models.ContainerInstanceDetail) {
		return func(i *models.ContainerInstanceDetail) {
			i.VersionInfo = &models.ContainerInstanceVersionInfo{AgentVersion: v}
		}
	}
	provider := func(i *models.ContainerInstanceDetail) { i.CapacityProviderName = "spot" }
	registered := func(i *models.ContainerInstanceDetail) { i.RegisteredAt = "2026-01-31T12:00:00Z" }
	another := func(i *models.ContainerInstanceDetail) { i.Attributes = i.Attributes[:1] }
	for name, tc := range map[string]struct {
		was, is               *models.ContainerInstance
		joined, altered, good bool
	}{
		"nothing":                    {instance(), instance(), false, false, false},
		"new":                        {nil, instance(), true, true, true},
		"new, without its ECS agent": {nil, instance(away), false, true, true},
		"gone":                       {instance(), nil, false, true, false},
		"never there":                {nil, nil, false, false, false},
		"its ECS agent goes":         {instance(), instance(away), false, true, false},
		"its ECS agent returns":      {instance(away), instance(), true, true, true},
		"drained":                    {instance(), instance(status("DRAINING")), false, true, false},
		"active again":               {instance(status("DRAINING")), instance(), true, true, true},
		"attributes in new order":    {instance(), instance(swapped), false, false, false},
		"attributes changed":         {instance(), instance(another), false, true, true},
		"ECS agent updated":          {instance(), instance(version("1.87.0")), false, true, false},
		"another capacity provider":  {instance(), instance(provider), false, true, false},
		"its registration is known":  {instance(), instance(registered), false, true, false},
		"less memory":                {instance(), instance(free(1, "800")), false, false, false},
		"more memory":                {instance(), instance(free(1, "1000")), false, false, true},
		"less, and more":             {instance(), instance(free(0, "1"), free(1, "1000")), false, false, true},
		"a port taken":               {instance(), instance(free(2, "22,80,8080")), false, false, false},
		"a port given back":          {instance(), instance(free(2, "22")), false, false, true},
		"all ports given back":       {instance(), instance(free(2, "")), false, false, true},
		"not a number":               {instance(), instance(free(1, "lots")), false, false, false},
	} {
		t.Run(name, func(t *testing.T) {
			meaning, matters := compare(tc.was, tc.is)
			assert.Equal(t, environment.InstanceChange{Joined: tc.joined, Changed: tc.altered, Improved: tc.good}, meaning)
			assert.Equal(t, tc.altered || tc.good, matters)
		})
	}
}

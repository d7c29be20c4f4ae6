package environment

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/blox/blox/daemon-scheduler/query"
)

func TestGrouping_ReturnsTheValueOfAnInstance(t *testing.T) {
	i := Instance{
		AgentVersion: "1.86.2", CapacityProvider: "spot",
		Attributes: query.Map{"ecs.availability-zone": "us-east-1a", "ecs.capability.x": ""},
	}
	for text, want := range map[string]string{
		"": "", "attribute:ecs.availability-zone": "us-east-1a", "attribute:ecs.capability.x": "", "attribute:stack": "",
		"agentVersion": "1.86.2", "capacityProviderName": "spot",
	} {
		g, err := ParseGrouping(text)
		require.NoError(t, err, text)
		assert.Equal(t, want, g.ValueFor(i), text)
		assert.Empty(t, g.ValueFor(Instance{}), "of an instance without properties")
	}
	for _, text := range []string{"attribute:", "zone", "attribute:a b", "attribute:" + strings.Repeat("x", 129), "agentversion"} {
		_, err := ParseGrouping(text)
		assert.ErrorContains(t, err, "must be attribute:NAME, agentVersion or capacityProviderName", text)
	}
}

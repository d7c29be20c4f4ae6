package environment

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/blox/blox/daemon-scheduler/query"
)

func TestSelector_Matches(t *testing.T) {
	zoneA, zoneB := []Attribute{{"zone", "a"}}, []Attribute{{"zone", "b"}}
	i := Instance{EC2InstanceID: "i-1", Attributes: query.Map{"zone": "a", "gpu": ""}}
	for name, tc := range map[string]struct {
		spec Spec
		want bool
	}{
		"no selector":                        {Spec{}, true},
		"all attributes":                     {Spec{Attributes: []Attribute{{"zone", "a"}, {"gpu", ""}}}, true},
		"one attribute of two":               {Spec{Attributes: []Attribute{{"zone", "a"}, {"disk", ""}}}, false},
		"another value":                      {Spec{Attributes: zoneB}, false},
		"any value":                          {Spec{Attributes: []Attribute{{"zone", ""}}}, true},
		"a query":                            {Spec{Query: "ec2InstanceId == i-1"}, true},
		"a query matches, attributes do not": {Spec{Query: "ec2InstanceId == i-1", Attributes: zoneB}, false},
		"attributes match, a query does not": {Spec{Query: "agentConnected == true", Attributes: zoneA}, false},
	} {
		group, err := tc.spec.Selector()
		require.NoError(t, err, name)
		assert.Equal(t, tc.want, group.Matches(i), name)
	}
	_, err := Spec{Query: "zone"}.Selector()
	assert.ErrorContains(t, err, "query: column 1: ")
	canaries, err := Canary{Query: "attribute:zone == a"}.Selector()
	require.NoError(t, err)
	assert.True(t, canaries.Matches(i))
}

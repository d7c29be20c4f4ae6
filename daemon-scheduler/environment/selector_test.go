package environment

import (
	"testing"
	"time"

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
	canaries, err := CanaryStep{Query: "attribute:zone == a"}.Selector()
	require.NoError(t, err)
	assert.True(t, canaries.Matches(i))
}

func TestAttributesInUse_AreTheCustomOnesOfSpecsInEffect(t *testing.T) {
	deployed := func(s Spec, changes ...func(*Environment)) Environment {
		e := New("logs", "arn:cluster/prod", "agent:1", "token")
		e.Revisions = []Revision{{Number: 1, Spec: s}}
		e.Deployments["d"] = Deployment{ID: "d", Status: Completed, Revision: 1}
		for _, change := range changes {
			change(&e)
		}
		return e
	}
	selecting := Spec{
		Attributes: []Attribute{{"zone", "a"}, {"ecs.os-type", "linux"}}, ReadinessAttribute: "ready",
		Query:                   "attribute:stack == x and attribute:ecs.instance-type =~ c5.* or attribute:zone exists",
		DeploymentConfiguration: DeploymentConfiguration{Canary: &Canary{Query: "attribute:canary exists"}},
	}
	for name, row := range map[string]struct {
		environment Environment
		want        []string
	}{
		"all places": {deployed(selecting), []string{"canary", "ready", "stack", "zone"}},
		"none":       {deployed(Spec{Query: "agentConnected == true"}), nil},
		"nothing is deployed": {
			deployed(selecting, func(e *Environment) { e.Deployments = nil }), nil,
		},
		"it is being deleted": {
			deployed(selecting, func(e *Environment) { e.DeletingSince = time.Unix(1, 0) }), nil,
		},
		"an unreadable query": {deployed(Spec{Query: "attribute:zone", ReadinessAttribute: "ready"}), []string{"ready"}},
	} {
		t.Run(name, func(t *testing.T) { assert.Equal(t, row.want, row.environment.AttributesInUse()) })
	}
}

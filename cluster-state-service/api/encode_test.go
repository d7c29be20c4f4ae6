package api

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/blox/blox/cluster-state-service/state"
)

// v0.3 sends [] for empty lists, and clients index them without a check.
func TestEncodeTask_SendsEmptyLists(t *testing.T) {
	task := state.Task{
		Containers: []state.Container{{Name: "agent"}},
		Overrides:  state.Overrides{ContainerOverrides: []state.ContainerOverride{{Name: "agent"}}},
	}
	encoded := string(EncodeTask(task, 7))
	assert.Contains(t, encoded, `"networkBindings":[]`)
	assert.Contains(t, encoded, `{"command":[],"environment":[],"name":"agent"}`)
	assert.NotContains(t, encoded, "exitCode")

	empty := string(EncodeTask(state.Task{}, 7))
	assert.Contains(t, empty, `"containers":[]`)
	assert.Contains(t, empty, `"containerOverrides":[]`)
}

func TestEncodeInstance_SendsEmptyListsAndValues(t *testing.T) {
	encoded := string(EncodeInstance(state.Instance{
		RegisteredResources: []state.Resource{{Name: "GPU", Type: "INTEGER"}},
	}, 7))
	assert.Contains(t, encoded, `"attributes":[]`)
	assert.Contains(t, encoded, `"remainingResources":[]`)
	assert.Contains(t, encoded, `{"name":"GPU","type":"INTEGER","value":""}`)
}

// Fields that v0.3 did not have are left out when ECS sends no value, so that records of v0.3 look as they did.
func TestEncode_OmitsTodaysFieldsWithoutValue(t *testing.T) {
	task, err := state.DecodeTask([]byte(`{"detail":{"clusterArn":"arn:aws:ecs:eu-west-1:123456789012:cluster/prod",
		"taskArn":"arn:aws:ecs:eu-west-1:123456789012:task/1","cpu":"null","memory":"512",
		"containers":[{"cpu":"null","healthStatus":"UNKNOWN","image":"agent:1"}]}}`))
	assert.NoError(t, err)
	assert.JSONEq(t, `{"metadata":{"entityVersion":"7"},"entity":{
		"clusterARN":"arn:aws:ecs:eu-west-1:123456789012:cluster/prod","containerInstanceARN":"","createdAt":"",
		"containers":[{"containerARN":"","image":"agent:1","lastStatus":"","name":"","networkBindings":[]}],
		"desiredStatus":"","lastStatus":"","memory":"512","overrides":{"containerOverrides":[]},
		"taskARN":"arn:aws:ecs:eu-west-1:123456789012:task/1","taskDefinitionARN":""}}`, string(EncodeTask(task, 7)))
}

func TestParseVersion_AcceptsInt64Only(t *testing.T) {
	version, err := parseVersion("9223372036854775807")
	assert.NoError(t, err)
	assert.Equal(t, int64(9223372036854775807), version)
	for _, s := range []string{"9223372036854775808", "99999999999999999999999", "-1", "+1", "1.5", "x"} {
		_, err := parseVersion(s)
		assert.ErrorIs(t, err, state.ErrInvalidVersion, s)
	}
}

package environment

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Both ways to decode a record agree: the fast one, and the one for records with unknown fields.
func TestDecodeRecord_IgnoresUnknownFieldsOnly(t *testing.T) {
	launch := Launch{
		Deployment: "d", TaskDefinition: "arn:aws:ecs:us-east-1:1:task-definition/agent:1", State: LaunchFailed,
		NotAfter: time.Date(2026, 3, 4, 10, 15, 30, 5, time.UTC), Task: "t", Attempts: 2, Failures: 1,
		Reason: "RESOURCE:CPU", Detail: "é \u2028 <>", HadNoTask: true, Settled: Settled{Deployment: "d", Task: "t"},
	}
	record, err := json.Marshal(launch)
	require.NoError(t, err)
	var known, later Launch
	require.NoError(t, json.Unmarshal(record, &known))
	assert.Equal(t, launch, known)
	require.NoError(t, json.Unmarshal(append(record[:len(record)-1:len(record)-1], `,"Later":1}`...), &later))
	assert.Equal(t, unknownFields{"Later": json.RawMessage("1")}, later.unknown)
	later.unknown = nil
	assert.Equal(t, launch, later)
	for _, accepted := range []string{`{"state":"open","STATE":"failed"}`, `{"state":null}`, `{}`, `null`} {
		var fast, slow Launch
		require.NoError(t, fast.UnmarshalJSON([]byte(accepted)), accepted)
		type plain Launch
		require.NoError(t, json.Unmarshal([]byte(accepted), (*plain)(&slow)), accepted)
		assert.Equal(t, slow, fast, accepted)
	}
	for _, rejected := range []string{``, `{`, `{} {}`, `[]`, `{"attempts":"1"}`} {
		require.Error(t, known.UnmarshalJSON([]byte(rejected)), rejected)
	}
}

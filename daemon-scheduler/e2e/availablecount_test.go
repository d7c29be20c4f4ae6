package e2e

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/blox/blox/internal/testenv"
	"github.com/blox/blox/swagger/daemon-scheduler/v1/models"
)

// The first read of an environment counts instances as available as the leader does, although it has observed nothing
// of the rollout before.
func TestAvailableCount_IsTheLeadersAtTheFirstRead(t *testing.T) {
	t.Parallel()
	f := newRollout(t, 2, `{}`)
	f.deployPatch(`{"taskDefinition":"agent:2",` +
		`"deploymentConfiguration":{"minimumHealthyPercent":50,"minimumHealthySeconds":2,"canary":{"percent":50}}}`)
	shown := func(state string) float64 { return f.metric("blox_ds_environment_instances", `state="`+state+`"`) }
	testenv.Eventually(t, func() bool {
		return shown("updated") == 1 && shown("available") == 2
	}, "the canary is not available")

	var read models.Environment
	f.mustSend("GET", "/v1/environments/logs", "", &read)
	require.NotNil(t, read.AvailableCount)
	assert.Equal(t, int64(2), *read.AvailableCount)
}

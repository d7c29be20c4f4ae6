package e2e

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/blox/blox/internal/testenv"
	"github.com/blox/blox/swagger/daemon-scheduler/v1/models"
)

func TestRollout_StartsWithCanary(t *testing.T) {
	t.Parallel()
	const n = 10
	for name, tc := range map[string]struct {
		canary   string
		canaries func(f *rollout) []string
	}{
		"percent": {`{"percent":20}`, func(f *rollout) (instances []string) {
			for instance := range f.liveTasks(f.newestDeployment()) {
				instances = append(instances, instance)
			}
			return instances
		}},
		"query": {`{"query":"attribute:stage == canary"}`, func(f *rollout) []string { return f.instances[3:5] }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newRollout(t, n, `{}`)
			for _, i := range f.instances[3:5] {
				f.setAttribute(i, "stage", "canary")
				require.NoError(t, f.sim.SetAgentConnected(i, false)) // the event carries the attribute
				require.NoError(t, f.sim.SetAgentConnected(i, true))
			}
			before := f.taskByInstance(f.first)
			id := f.deployPatch(`{"taskDefinition":"agent:2","deploymentConfiguration":{"minimumHealthyPercent":50,"canary":` +
				tc.canary + `}}`)
			testenv.Eventually(t, func() bool {
				return f.runningTasks(id) == 2 && f.runningTasks(f.first) == n-2
			}, "the canary tasks do not run")
			canaries := tc.canaries(f)
			f.awaitOneTaskEach(id, canaries...)
			testenv.Eventually(t, func() bool {
				waiting := 0
				for _, status := range f.instanceStatuses("logs") {
					if status == "outdated: The deployment is waiting for promotion." {
						waiting++
					}
				}
				return waiting == n-2
			}, "the other instances do not wait for promotion")

			assert.Positive(t, f.metric("blox_ds_deployment_phase_start_timestamp_seconds", `environment="logs"`, `phase="canary"`))
			assert.Equal(t, 1.0, f.metric("blox_ds_environment_condition_active", `type="WaitingForPromotion"`))

			// One plan then starts tasks of both deployments.
			f.mustSend("POST", "/v1/environments/logs/pause", "", nil)
			joined := f.sim.AddInstances("prod", 1)[0]
			f.instances = append(f.instances, joined)
			require.NoError(t, f.sim.KillTask(f.taskByInstance(id)[canaries[0]], 1))
			testenv.Eventually(t, func() bool {
				statuses := f.instanceStatuses("logs")
				return strings.HasPrefix(statuses[joined], "missing") && strings.HasPrefix(statuses[canaries[0]], "missing")
			})
			f.mustSend("POST", "/v1/environments/logs/resume", "", nil)
			f.awaitOneTaskEach(id, canaries...)
			testenv.Eventually(t, func() bool {
				return f.runningTasks(f.first) == n-1
			}, "the new instance does not run the last completed revision")
			for _, task := range f.liveTasks(f.first)[joined] {
				assert.Equal(t, f.agent, task.TaskDefinitionARN)
			}
			for _, task := range f.liveTasks(id)[canaries[0]] {
				assert.NotEqual(t, f.agent, task.TaskDefinitionARN)
			}
			assert.Equal(t, "WAITING_FOR_PROMOTION", f.getDeployment("logs", id).RolloutState)
			for instance, task := range f.taskByInstance(f.first) {
				if instance != joined {
					assert.Equal(t, before[instance], task)
				}
			}
			for range 2 { // promoting is idempotent
				var promoted models.Deployment
				f.mustSend("POST", "/v1/environments/logs/deployments/"+id+"/promote", "", &promoted)
				assert.True(t, promoted.Promoted)
			}
			f.awaitState(id, "COMPLETED")
			f.awaitOneTaskEach(id, f.instances...)
			f.assertLimits(n-n/2, 0)
		})
	}
}

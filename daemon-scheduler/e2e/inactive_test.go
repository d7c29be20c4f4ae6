package e2e

import (
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/blox/blox/internal/ecssim"
)

func (w *system) deregister(definition string) {
	w.t.Helper()
	_, err := w.ecs().DeregisterTaskDefinition(w.t.Context(),
		&ecs.DeregisterTaskDefinitionInput{TaskDefinition: &definition})
	require.NoError(w.t, err)
}

// record returns an environment's record in etcd.
func (w *system) record(name string) string {
	w.t.Helper()
	got, err := w.client.Get(w.t.Context(), "ecs/environment/"+name)
	require.NoError(w.t, err)
	require.Len(w.t, got.Kvs, 1)
	return string(got.Kvs[0].Value)
}

// ECS starts no task of an INACTIVE task definition, so a deployment of it would stop tasks and never recover.
func TestDeployment_IsRefusedForInactiveTaskDefinition(t *testing.T) {
	t.Parallel()
	w := newSystem(t)
	second := w.sim.RegisterTaskDefinition("agent")
	d := w.startScheduler(unusedAddress)
	begin := func(name string) (path, id string) { // a deployment of agent:2 in progress, after one of agent:1
		w.putRecord("ecs/environment/"+name, strings.Replace(completedRecord(name, "prod", w.agent), `"Token":"`+usedToken+
			`","Name"`, `"Token":"`+unusedToken+`","Name"`, 1))
		return "/v1/environments/" + name, d.deploy(d.patch(name, `{"taskDefinition":"agent:2"}`))
	}
	back, _ := begin("back")
	stopped, id := begin("stopped")
	undeployed := d.createEnvironment("undeployed")
	deployments := "/v1/environments/undeployed/deployments?deploymentToken=" + undeployed.DeploymentToken
	w.deregister(w.agent)
	w.deregister(second)

	for name, tc := range map[string]struct{ environment, path, definition, revision string }{
		"a rollback":                    {"back", back + "/rollback", w.agent, "1"},
		"a deployment that is stopped":  {"stopped", stopped + "/deployments/" + id + "/stop", w.agent, "1"},
		"the newest revision":           {"undeployed", deployments, second, "1"},
		"a dry run of a new deployment": {"undeployed", deployments + "&dryRun=true", second, "1"},
	} {
		t.Run(name, func(t *testing.T) {
			before := w.record(tc.environment)
			d.mustReject(404, "TaskDefinition is inactive: revision "+tc.revision+" of environment "+tc.environment+
				" has "+tc.definition, "POST", tc.path, "")
			assert.Equal(t, before, w.record(tc.environment), "a refused request changes nothing")
		})
	}
	d.mustSend("POST", stopped+"/deployments/"+id+"/stop?type=ABORT", "", nil)
	assert.Equal(t, "STOPPED", d.getDeployment("stopped", id).RolloutState)
}

func TestCircuitBreaker_RollsBackToAnActiveTaskDefinition(t *testing.T) {
	t.Parallel()
	const n = 4
	fail := func(t *testing.T, inactive ...string) (f *rollout, id string) {
		t.Helper()
		f = newRollout(t, n, `{"minimumHealthyPercent":50,"deploymentCircuitBreaker":{"enable":true,"rollback":true}}`)
		f.awaitCompleted("logs", f.deployPatch(`{"taskDefinition":"agent:2"}`))
		f.sim.SetFaults(ecssim.Faults{FailToRun: map[string]float64{"never-runs": 1}})
		require.NotEmpty(t, f.sim.RegisterTaskDefinition("never-runs"))
		for _, definition := range inactive {
			f.deregister(definition)
		}
		id = f.deployPatch(`{"taskDefinition":"never-runs"}`)
		f.awaitState(id, "FAILED")
		return f, id
	}
	t.Run("the newest completed deployment is inactive", func(t *testing.T) {
		t.Parallel()
		f, id := fail(t, "agent:2")
		back := f.newestDeployment()
		shown := f.awaitState(back, "COMPLETED")
		assert.Equal(t, id, shown.RollbackOf)
		assert.Equal(t, f.agent, *shown.TaskDefinition)
	})
	t.Run("no completed deployment is active", func(t *testing.T) {
		t.Parallel()
		f, id := fail(t, "agent:1", "agent:2")
		assert.Equal(t, id, f.newestDeployment(), "nothing rolls back")
		assert.Equal(t, "paused", f.getEnvironment("logs").Status)
		assert.Contains(t, f.getDeployment("logs", id).RolloutStateReason, "Blox cannot roll back")
	})
}

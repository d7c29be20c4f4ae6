package e2e

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/blox/blox/internal/ecssim"
	"github.com/blox/blox/internal/testenv"
	"github.com/blox/blox/swagger/daemon-scheduler/v1/models"
)

// redeploy creates a deployment with more parameters and the present token.
func (d *scheduler) redeploy(name, parameters string) (made models.Deployment) {
	d.t.Helper()
	d.mustSend("POST", "/v1/environments/"+name+"/deployments?deploymentToken="+
		d.getEnvironment(name).DeploymentToken+"&"+parameters, "", &made)
	return made
}

func TestRevision_IsDeployedAndRolledBackToByNumber(t *testing.T) {
	t.Parallel()
	w := newSystem(t)
	instances := w.sim.AddInstances("prod", 3)
	d := w.startServices()
	made := d.createEnvironment("logs") // revision 1 has agent:1, and so on
	d.awaitCompleted("logs", d.deploy(made))
	for range 2 {
		w.sim.RegisterTaskDefinition("agent", ecssim.WithCPU(32), ecssim.WithMemory(64))
		d.awaitCompleted("logs", d.deploy(d.patch("logs", `{"taskDefinition":"agent"}`)))
	}
	const path = "/v1/environments/logs"
	assertRuns := func(id string, revision int) {
		t.Helper()
		d.awaitCompleted("logs", id)
		w.awaitOneTaskEach(id, instances...)
		for _, tasks := range w.liveTasks(id) {
			assert.True(t, strings.HasSuffix(tasks[0].TaskDefinitionARN, fmt.Sprintf("/agent:%d", revision)))
		}
	}

	token := d.getEnvironment("logs").DeploymentToken
	named := d.redeploy("logs", "revision=1")
	assert.EqualValues(t, 1, named.Revision)
	assert.Empty(t, named.RollbackOf)
	assertRuns(*named.ID, 1)
	d.mustReject(400, "Token '"+token+"' is outdated", "POST", path+"/deployments?revision=1&deploymentToken="+token, "")
	assert.EqualValues(t, 3, d.getEnvironment("logs").Revision, "the desired revision stays")

	var back models.Deployment
	d.mustSend("POST", path+"/rollback?revision=2", "", &back)
	assert.Equal(t, *named.ID, back.RollbackOf)
	assertRuns(*back.ID, 2)
	d.mustSend("POST", path+"/rollback?revision=2", "", &back)
	assert.Equal(t, "COMPLETED", back.RolloutState, "it is in effect already")
	assert.Equal(t, *back.ID, *d.listDeployments("logs")[0].ID)

	newest := d.deploy(d.getEnvironment("logs"))
	assertRuns(newest, 3)

	var revision models.Revision
	d.mustSend("GET", path+"/revisions/2", "", &revision)
	assert.EqualValues(t, 2, *revision.Revision)
	assert.True(t, strings.HasSuffix(*revision.TaskDefinition, "/agent:2"))

	before := w.record("logs")
	token = d.getEnvironment("logs").DeploymentToken
	const missing = "Revision 9 does not exist for environment logs"
	d.mustReject(404, missing, "GET", path+"/revisions/9", "")
	d.mustReject(404, missing, "POST", path+"/rollback?revision=9", "")
	d.mustReject(404, missing, "POST", path+"/deployments?revision=9&deploymentToken="+token, "")
	d.mustReject(400, `Invalid revision "x": must be a whole number of 1 or more`, "POST", path+"/rollback?revision=x", "")
	d.mustReject(400, `Unknown query parameter "revison"; accepted: revision, dryRun`, "POST",
		path+"/rollback?revison=1", "")
	d.mustReject(400, "validation failure list:\nrevision in body is a forbidden property", "POST", path+"/rollback",
		`{"revision":1}`)
	d.mustReject(400, `Unknown query parameter "x"; none is accepted`, "GET", path+"/revisions/2?x=1", "")
	assert.Equal(t, before, w.record("logs"))
	w.assertNoDuplicates()
}

// A deployment restarts tasks only if ECS would start other ones.
func TestDeployment_AdoptsEqualTasks(t *testing.T) {
	t.Parallel()
	w := newSystem(t)
	instances := w.sim.AddInstances("prod", 4)
	d := w.startServices()
	first := d.deploy(d.createEnvironment("logs"))
	d.awaitCompleted("logs", first)
	w.awaitOneTaskEach(first, instances...)
	w.sim.ResetCounters()

	made := d.getEnvironment("logs")
	same := d.patch("logs", `{"taskDefinition":"agent","drainOrder":null}`)
	assert.Equal(t, made.DeploymentToken, same.DeploymentToken, "a PATCH without a difference changes nothing")
	assert.EqualValues(t, 1, same.Revision)

	for revision, patch := range []string{
		`{"drainOrder":3}`, `{"instanceGroup":{"query":"agentConnected == true"}}`,
		`{"deploymentConfiguration":{"minimumHealthyPercent":50,"canary":{"percent":50}}}`,
	} {
		updated := d.patch("logs", patch)
		assert.EqualValues(t, 2+revision, updated.Revision)
		assert.Empty(t, d.dryRun(updated), "a dry run shows the same")
		id := d.deploy(updated)
		if strings.Contains(patch, "canary") {
			d.mustSend("POST", "/v1/environments/logs/deployments/"+id+"/promote", "", nil)
		}
		d.awaitCompleted("logs", id)
		testenv.Eventually(t, func() bool {
			e := d.getEnvironment("logs")
			return e.RunningCount != nil && *e.RunningCount == 4 && *e.OutdatedCount == 0
		})
		assert.EqualValues(t, 4, *d.getDeployment("logs", id).RunningCount)
		testenv.Eventually(t, func() bool { return d.metric("blox_ds_daemons_missing", `environment="logs"`) == 0 })
	}
	w.awaitOneTaskEach(first, instances...)
	assert.Zero(t, w.sim.Calls("StopTask"), "nothing restarts")
	assert.Zero(t, w.sim.Calls("StartTask"), "nothing restarts")

	joined := w.sim.AddInstances("prod", 1)
	current := *d.listDeployments("logs")[0].ID
	w.awaitOneTaskEach(current, joined...)

	forced := d.redeploy("logs", "forceNewDeployment=true")
	assert.True(t, forced.ForceNewDeployment)
	d.mustSend("POST", "/v1/environments/logs/deployments/"+*forced.ID+"/promote", "", nil)
	d.awaitCompleted("logs", *forced.ID)
	w.awaitOneTaskEach(*forced.ID, append(joined, instances...)...)

	grouped := d.deploy(d.patch("logs", `{"taskSettings":{"group":"daemons"},"deploymentConfiguration":{"canary":null}}`))
	d.awaitCompleted("logs", grouped)
	w.awaitOneTaskEach(grouped, append(joined, instances...)...)
	w.assertNoDuplicates()
}

// After a rollback, every surface names the revision that runs.
func TestEnvironment_ShowsTheEffectiveRevision(t *testing.T) {
	t.Parallel()
	w := newSystem(t)
	w.sim.AddInstances("prod", 2)
	second := w.sim.RegisterTaskDefinition("agent", ecssim.WithCPU(32), ecssim.WithMemory(64))
	d := w.startServices()
	var made models.Environment
	d.mustSend("POST", "/v1/environments", `{"name":"logs","instanceGroup":{"cluster":"prod"},"taskDefinition":"agent:1"}`,
		&made)
	assert.Zero(t, made.EffectiveRevision, "nothing is deployed")
	d.awaitCompleted("logs", d.deploy(made))
	d.awaitCompleted("logs", d.deploy(d.patch("logs", `{"taskDefinition":"agent:2"}`)))
	e := d.getEnvironment("logs")
	assert.Equal(t, second, e.EffectiveTaskDefinition)
	assert.EqualValues(t, 2, e.EffectiveRevision)
	assert.Empty(t, e.Conditions)

	var back models.Deployment
	d.mustSend("POST", "/v1/environments/logs/rollback", "", &back)
	assertRolledBack := func(effective string, revision int64, conditions []*models.Condition) {
		t.Helper()
		assert.Equal(t, w.agent, effective)
		assert.EqualValues(t, 1, revision)
		if assert.Len(t, conditions, 1) {
			assert.Equal(t, "RolledBack", *conditions[0].Type)
			assert.Equal(t, "True", *conditions[0].Status)
			assert.Equal(t, "RollbackRequested", *conditions[0].Reason)
			assert.NotNil(t, conditions[0].LastTransitionTime)
		}
	}
	d.awaitCompleted("logs", *back.ID)
	e = d.getEnvironment("logs")
	assert.Equal(t, second, e.TaskDefinition, "the desired one stays")
	assertRolledBack(e.EffectiveTaskDefinition, e.EffectiveRevision, e.Conditions)
	var list models.Environments
	d.mustSend("GET", "/v1/environments", "", &list)
	assertRolledBack(list.Items[0].EffectiveTaskDefinition, list.Items[0].EffectiveRevision, list.Items[0].Conditions)

	d.mustSend("POST", "/v1/environments/logs/pause", "", &e)
	assert.Len(t, e.Conditions, 2)
	assert.Equal(t, "Paused", *e.Conditions[1].Type)
}

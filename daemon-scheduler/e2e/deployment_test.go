package e2e

import (
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/blox/blox/internal/ecssim"
	"github.com/blox/blox/internal/testenv"
	"github.com/blox/blox/swagger/daemon-scheduler/v1/models"
)

// mustReject sends a request that has to fail with the status and text.
func (d *scheduler) mustReject(status int, text, method, path, body string) {
	d.t.Helper()
	answer, read := d.sendValid(method, path, body)
	assert.Equal(d.t, status, answer.StatusCode, "%s %s", method, path)
	assert.Equal(d.t, text+"\n", read, "%s %s", method, path)
}

// patch updates an environment with its current token.
func (d *scheduler) patch(name, body string) (e models.Environment) {
	d.t.Helper()
	d.mustSend("PATCH", "/v1/environments/"+name+"?deploymentToken="+d.getEnvironment(name).DeploymentToken, body,
		&e)
	return e
}

func TestEnvironment_UpdatesAndRollsBack(t *testing.T) {
	t.Parallel()
	w := newSystem(t)
	instances := w.sim.AddInstances("prod", 3)
	second := w.sim.RegisterTaskDefinition("agent", ecssim.WithCPU(32), ecssim.WithMemory(64))
	d := w.startServices()
	d.mustSend("POST", "/v1/environments", `{"name":"logs","instanceGroup":{"cluster":"prod"},"taskDefinition":"agent:1"}`,
		nil)
	first := d.deploy(d.getEnvironment("logs"))
	d.awaitCompleted("logs", first)
	before := d.getEnvironment("logs")
	assert.Equal(t, "active", before.Status)
	testenv.Eventually(t, func() bool {
		e := d.getEnvironment("logs")
		return *e.RunningCount == 3 && *e.DesiredCount == 3 && *e.PendingCount == 0
	})

	updated := d.patch("logs", `{"taskDefinition":"agent:2"}`)
	assert.Equal(t, second, updated.TaskDefinition)
	assert.EqualValues(t, 2, updated.Revision)
	assert.NotEqual(t, before.DeploymentToken, updated.DeploymentToken)
	assert.Equal(t, first, *d.listDeployments("logs")[0].ID, "an update deploys nothing")
	w.awaitOneTaskEach(first, instances...)

	plan := d.dryRun(updated)
	assert.Len(t, plan, 6, "a stop and a start for each instance")
	for i, step := range plan {
		assert.Equal(t, map[bool]string{true: "stop", false: "start"}[step.Task != ""], *step.Action, "step %d", i)
	}
	assert.Len(t, d.listDeployments("logs"), 1, "a dry run creates nothing")
	assert.Zero(t, w.sim.Calls("StopTask"))

	id := d.deploy(updated)
	d.awaitCompleted("logs", id)
	w.awaitOneTaskEach(id, instances...)
	shown := d.getDeployment("logs", id)
	assert.Equal(t, "COMPLETED", shown.RolloutState)
	assert.EqualValues(t, 2, shown.Revision)
	assert.EqualValues(t, 3, *shown.RunningCount)
	assert.NotNil(t, shown.StartedAt)
	d.rejectDryRun("logs", 400) // a deployment has used the token

	var planned, present, rollback models.Deployment
	w.sim.ResetCounters()
	for _, query := range []string{"", "&revision=1"} {
		d.mustSend("POST", "/v1/environments/logs/rollback?dryRun=true"+query, "", &planned)
		assert.Len(t, planned.Plan, 6, "a stop and a start for each instance")
		assert.EqualValues(t, 1, planned.Revision)
		assert.Equal(t, id, planned.RollbackOf)
	}
	assert.Len(t, d.listDeployments("logs"), 2, "a dry run creates nothing")
	assert.Zero(t, w.sim.Calls("StopTask"))
	d.mustSend("POST", "/v1/environments/logs/rollback?dryRun=true&revision=2", "", &present)
	assert.Equal(t, id, *present.ID, "it is in effect")
	assert.Empty(t, present.Plan)
	d.mustReject(400, `Invalid dryRun "yes": must be true or false`, "POST",
		"/v1/environments/logs/rollback?dryRun=yes", "")
	d.mustReject(404, "Environment none does not exist", "POST", "/v1/environments/none/rollback?dryRun=true", "")
	d.mustSend("POST", "/v1/environments/logs/rollback", "", &rollback)
	assert.Equal(t, id, rollback.RollbackOf)
	assert.EqualValues(t, 1, rollback.Revision)
	d.awaitCompleted("logs", *rollback.ID)
	w.awaitOneTaskEach(*rollback.ID, instances...)
	for _, tasks := range w.liveTasks(*rollback.ID) {
		assert.Equal(t, w.agent, tasks[0].TaskDefinitionARN)
	}
	var revisions models.Revisions
	d.mustSend("GET", "/v1/environments/logs/revisions", "", &revisions)
	require.Len(t, revisions.Items, 2)
	assert.EqualValues(t, 2, *revisions.Items[0].Revision)
	assert.Equal(t, w.agent, *revisions.Items[1].TaskDefinition)
	w.assertNoDuplicates()
}

func (d *scheduler) listDeployments(name string) []*models.Deployment {
	d.t.Helper()
	var list models.Deployments
	d.mustSend("GET", "/v1/environments/"+name+"/deployments", "", &list)
	return list.Items
}

func (d *scheduler) dryRun(e models.Environment) []*models.PlanStep {
	d.t.Helper()
	var created models.Deployment
	d.mustSend("POST", "/v1/environments/"+*e.Name+"/deployments?dryRun=true&deploymentToken="+e.DeploymentToken,
		"", &created)
	return created.Plan
}

// rejectDryRun checks that a dry run fails with the status.
func (d *scheduler) rejectDryRun(name string, status int) {
	d.t.Helper()
	answer, text := d.sendValid("POST", "/v1/environments/"+name+"/deployments?dryRun=true&deploymentToken="+
		d.getEnvironment(name).DeploymentToken, "")
	assert.Equal(d.t, status, answer.StatusCode, text)
}

// No cluster-state-service runs, so deployments stay in progress while users change them.
func TestDeployment_CanBeChangedInProgress(t *testing.T) {
	t.Parallel()
	w := newSystem(t)
	w.sim.RegisterTaskDefinition("agent")
	d := w.startScheduler(unusedAddress)
	deployUpdate := func(name string) (path, id string) {
		w.putRecord("ecs/environment/"+name, strings.Replace(completedRecord(name, "prod", w.agent), `"Token":"`+usedToken+
			`","Name"`, `"Token":"`+unusedToken+`","Name"`, 1))
		e := d.patch(name, `{"taskDefinition":"agent"}`)
		return "/v1/environments/" + name, d.deploy(e)
	}
	t.Run("a newer deployment supersedes it", func(t *testing.T) {
		path, id := deployUpdate("patched")
		e := d.patch("patched", `{"drainOrder":3}`)
		assert.EqualValues(t, 3, e.Revision)
		assert.Equal(t, "IN_PROGRESS", d.getDeployment("patched", id).RolloutState)
		newest := d.deploy(e)
		stopped := d.getDeployment("patched", id)
		assert.Equal(t, "STOPPED", stopped.RolloutState)
		assert.Equal(t, "Superseded by a deployment of revision 3.", stopped.RolloutStateReason)
		assert.Equal(t, "completed", *stopped.Status, "v0.3 has three statuses")
		assert.Equal(t, newest, *d.listDeployments("patched")[0].ID)
		d.mustReject(400, "Deployment with token '"+e.DeploymentToken+"' already exists", "POST", path+
			"/deployments?deploymentToken="+e.DeploymentToken, "")
	})
	t.Run("rollback", func(t *testing.T) {
		path, id := deployUpdate("returned")
		var rollback models.Deployment
		d.mustSend("POST", path+"/rollback", "", &rollback)
		assert.Equal(t, id, rollback.RollbackOf)
		assert.Equal(t, w.agent, *rollback.TaskDefinition)
		assert.Equal(t, "IN_PROGRESS", rollback.RolloutState)
		assert.Equal(t, "STOPPED", d.getDeployment("returned", id).RolloutState)
		var again models.Deployment
		d.mustSend("POST", path+"/rollback", "", &again)
		assert.Equal(t, rollback, again, "rollback is idempotent")
		assert.Equal(t, *rollback.ID, *d.listDeployments("returned")[0].ID)
	})
	t.Run("stop", func(t *testing.T) {
		path, id := deployUpdate("stopped")
		d.mustReject(400, `Invalid type "NO": must be ROLLBACK or ABORT`, "POST", path+"/deployments/"+id+"/stop?type=NO", "")
		d.mustReject(404, "Deployment x does not exist for environment stopped", "POST", path+"/deployments/x/stop", "")
		var stopped models.Deployment
		for range 2 { // stopping is idempotent
			d.mustSend("POST", path+"/deployments/"+id+"/stop?type=ABORT", "", &stopped)
			assert.Equal(t, "STOPPED", stopped.RolloutState)
		}
		e := d.getEnvironment("stopped")
		assert.Equal(t, "paused", e.Status)
		assert.Equal(t, id, e.PausedBy)
		assert.Len(t, d.listDeployments("stopped"), 2)
		d.mustSend("POST", path+"/resume", "", &e)
		assert.Equal(t, "active", e.Status)

		path, id = deployUpdate("reverted")
		d.mustSend("POST", path+"/deployments/"+id+"/stop", "", &stopped)
		assert.Equal(t, id, d.listDeployments("reverted")[0].RollbackOf)
		path, id = "/v1/environments/single", d.deploy(d.createEnvironment("single"))
		d.mustReject(409, "Environment single has no earlier completed deployment to roll back to", "POST", path+
			"/deployments/"+id+"/stop", "")
		d.mustReject(409, "Environment single has no earlier completed deployment to roll back to", "POST", path+"/rollback",
			"")
		d.mustReject(409, "Deployment "+id+" has no canary waiting for promotion", "POST", path+"/deployments/"+id+"/promote",
			"")
	})
	t.Run("delete with stopTasks", func(t *testing.T) {
		path, id := deployUpdate("deleted")
		for range 2 { // deleting is idempotent
			d.mustSend("DELETE", path+"?stopTasks=true", "", nil)
		}
		e := d.getEnvironment("deleted")
		assert.Equal(t, "deleting", e.Status)
		assert.Equal(t, "STOPPED", d.getDeployment("deleted", id).RolloutState)
		const errorText = "Environment deleted is being deleted"
		for _, action := range []string{"/pause", "/resume", "/rollback", "/deployments/" + id + "/stop", "/deployments/" +
			id + "/promote"} {
			d.mustReject(409, errorText, "POST", path+action, "")
		}
		d.mustReject(409, errorText, "PATCH", path+"?deploymentToken="+e.DeploymentToken, "{}")
		d.mustReject(400, "Error saving environment deleted to store: An environment with name deleted already exists",
			"POST", "/v1/environments",
			`{"name":"deleted","instanceGroup":{"cluster":"prod"},"taskDefinition":"agent"}`)
		d.mustReject(400, `Invalid stopTasks "yes": must be true or false`, "DELETE", path+"?stopTasks=yes", "")
		assert.Equal(t, "deleting", d.getEnvironment("deleted").Status)
		d.mustSend("DELETE", "/v1/environments/patched", "", nil)
		d.mustReject(404, "Environment patched does not exist", "GET", "/v1/environments/patched", "")
		d.mustSend("DELETE", "/v1/environments/patched?stopTasks=true", "", nil)
	})
}

func TestPatch_AcceptsOneUpdatePerToken(t *testing.T) {
	t.Parallel()
	d := newSystem(t).startScheduler(unusedAddress)
	e := d.createEnvironment("logs")
	path := "/v1/environments/logs?deploymentToken=" + e.DeploymentToken
	statuses := make(chan int, 4)
	var requests sync.WaitGroup
	for range cap(statuses) {
		requests.Go(func() {
			answer, _ := d.send("PATCH", path, `{"drainOrder":1}`)
			statuses <- answer.StatusCode
		})
	}
	requests.Wait()
	close(statuses)
	counts := map[int]int{}
	for status := range statuses {
		counts[status]++
	}
	assert.Equal(t, map[int]int{200: 1, 409: 3}, counts)
	assert.EqualValues(t, 2, d.getEnvironment("logs").Revision)
	d.mustReject(409, "Token '"+e.DeploymentToken+"' is outdated", "PATCH", path, `{"drainOrder":2}`)
	d.mustReject(400, "Token '"+e.DeploymentToken+"' is outdated", "POST",
		"/v1/environments/logs/deployments?deploymentToken="+e.DeploymentToken, "")
}

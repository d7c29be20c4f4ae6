package e2e

import (
	"testing"

	"github.com/chromedp/chromedp"

	"github.com/stretchr/testify/assert"

	"github.com/blox/blox/internal/testenv"
)

func TestPageActions_DeployATaskDefinition(t *testing.T) {
	t.Parallel()
	f, p := newPageRollout(t, 4)
	assert.Equal(t, []string{"deploy", "pause"}, p.offeredActions(), "nothing to promote, resume, roll back or stop")

	p.openAction("deploy")
	assert.True(t, evaluate[bool](p, "!("+confirmReady+")"), "there is no task definition yet")
	p.typeText("#deploy-definition", "absent")
	p.await(containsText("dialog-error", "TaskDefinitionNotFound") + " && " + containsText("dialog-error", "404"))
	assert.True(t, evaluate[bool](p, "!("+confirmReady+")"), "ECS has no such task definition")

	p.Do(chromedp.Evaluate[chromedp.Void](`document.getElementById("deploy-definition").select()`))
	p.typeText("#deploy-definition", "agent")
	p.await(containsText("dialog-effects", "stores revision 2 with agent:2") + " && " +
		containsText("dialog-effects", "replaces the tasks of agent:1 on 4 instances") + " && " + dialogIdle)
	assert.Equal(t, "Deploy agent:2", p.textOf("dialog-confirm"))
	assert.Equal(t, "blox deploy logs --task-definition agent --endpoint "+f.url, p.textOf("dialog-command"))
	assert.EqualValues(t, 1, f.getEnvironment("logs").Revision, "a plan changes nothing")
	p.confirm()

	p.await(containsText("toast", "Deployed agent:2 in logs."))
	id := f.newestDeployment()
	p.await(containsText("rollout-change", "agent:2"))
	f.awaitState(id, "COMPLETED")
	f.awaitOneTaskEach(id, f.instances...)
	assert.EqualValues(t, 2, f.getEnvironment("logs").Revision)
	testenv.Eventually(t, func() bool {
		n := f.eventActions("logs")
		return n["environmentUpdated"] == 1 && n["deploymentCreated"] == 2
	})
	p.await(containsText("rollout-text", "The rollout of agent:2 is completed"))
	f.assertLimits(2, 0)
}

func TestPageActions_DeployARevision(t *testing.T) {
	t.Parallel()
	f, p := newPageRollout(t, 4)
	f.awaitState(f.deployPatch(`{"taskDefinition":"agent:2"}`), "COMPLETED")
	p.await(containsText("rollout-text", "The rollout of agent:2 is completed"))
	testenv.Eventually(t, func() bool {
		return evaluate[int](p, `blox.state.revisions.length`) == 2
	})
	p.openAction("deploy")
	p.choose("1")
	p.await(containsText("dialog-effects", "starts 4 tasks and stops 4 tasks in ") + " && " +
		containsText("dialog-effects", "agent:1 of revision 1 is then in effect"))
	assert.Equal(t, "blox deploy logs --revision 1 --endpoint "+f.url, p.textOf("dialog-command"))
	p.confirm()
	id := f.newestDeployment()
	f.awaitState(id, "COMPLETED")
	f.awaitOneTaskEach(id, f.instances...)
	assert.EqualValues(t, 1, f.getEnvironment("logs").EffectiveRevision)

	// Deploying the revision in effect again replaces its tasks.
	before := f.taskByInstance(id)
	p.await(containsText("rollout-text", "The rollout of agent:1 is completed"))
	p.openAction("deploy")
	p.choose("1")
	p.click("#deploy-force")
	p.await(containsText("dialog-command", "--force-new-deployment") + " && " + dialogIdle)
	p.confirm()
	id = f.newestDeployment()
	f.awaitState(id, "COMPLETED")
	f.awaitOneTaskEach(id, f.instances...)
	for instance, task := range f.taskByInstance(id) {
		assert.NotEqual(t, before[instance], task)
	}
	f.assertNoDuplicates()
}

func TestPageActions_PromoteTheStepsOfACanary(t *testing.T) {
	t.Parallel()
	f, p := newPageRollout(t, 10)
	id := f.deployPatch(`{"taskDefinition":"agent:2","deploymentConfiguration":{"minimumHealthyPercent":50,"canary":{"steps":[
		{"percent":20,"pauseMinutes":0},{"count":5},{"percent":70,"pauseMinutes":60},{"query":"attribute:ecs.os-type == linux"}]}}}`)
	p.await(containsText("rollout-text", "Canary step 2 of 4: agent:2 on 5 instances; waiting for promotion."))
	p.await(containsText("rollout-change", "agent:1 → agent:2"))
	p.await(containsText("environments", "agent:1 → agent:2"))
	p.await(containsText("conditions", "WaitingForPromotion") + " && " + containsText("conditions", "CanaryNotPromoted"))
	steps := `[...document.querySelectorAll("#steps li")].map((li) => li.className + " " + li.innerText.trim())`
	p.await(steps + `.join("|") === "done Canary 1: 20 %|current Canary 2: 5| Canary 3: 70 %| Canary 4: query| Roll out| Completed"`)
	p.await(containsText("configuration", "1. 20 % of the instances\n2. 5 instances, then a promotion\n"+
		"3. 70 % of the instances, 60 minutes\n4. the instances with attribute:ecs.os-type == linux, then a promotion"))
	p.awaitCounts(f.scheduler, map[string]int{"running": 5, "outdated": 5})

	p.openAction("promote")
	p.await(containsText("dialog-effects", "Step 2 of 4 (5 instances) ends.") + " && " +
		containsText("dialog-effects", "rolls out agent:2 to 70 % of the instances"))
	assert.Equal(t, "blox deployments promote logs "+id+" --endpoint "+f.url, p.textOf("dialog-command"))
	p.confirm()
	p.await(containsText("rollout-text", "Canary step 3 of 4") + " && " + containsText("rollout-text", "promoted in"))
	p.awaitCounts(f.scheduler, map[string]int{"running": 7, "outdated": 3})
	assert.EqualValues(t, 3, f.getDeployment("logs", id).CanaryProgress.Step, "one step was promoted")

	p.openAction("promote")
	p.choose("full")
	p.await(containsText("dialog-effects", "rolls out agent:2 to all instances"))
	assert.Contains(t, p.textOf("dialog-command"), " --full ")
	p.confirm()
	f.awaitState(id, "COMPLETED")
	f.awaitOneTaskEach(id, f.instances...)
	p.await(`document.getElementById("action-promote").hidden`)
	p.await(containsText("conditions-card", "") + ` && document.getElementById("conditions-card").hidden`)
	f.assertLimits(5, 0)
}

func TestPageActions_PauseAndResume(t *testing.T) {
	t.Parallel()
	f, p := newPageRollout(t, 3)
	p.openAction("pause")
	p.await(containsText("dialog-effects", "Blox starts and stops no tasks of logs until you resume it."))
	assert.Equal(t, "blox environments pause logs --endpoint "+f.url, p.textOf("dialog-command"))
	p.click("#dialog-cancel")
	assert.False(t, f.getEnvironment("logs").Paused, "Cancel sends nothing")
	p.openAction("pause")
	p.confirm()
	assert.True(t, f.getEnvironment("logs").Paused)
	p.await(containsText("conditions", "Paused") + " && " + containsText("badges", "paused"))
	joined := f.sim.AddInstances("prod", 1)
	p.awaitCounts(f.scheduler, map[string]int{"running": 3, "missing": 1})

	assert.Equal(t, []string{"deploy", "resume"}, p.offeredActions())
	p.openAction("deploy")
	p.choose("1")
	p.await(containsText("dialog-effects", "The environment is paused: this begins when you resume it."))
	p.click("#dialog-cancel")
	p.openAction("resume")
	p.await(containsText("dialog-effects", "Instances without a task of agent:1 (revision 1) get one"))
	assert.Equal(t, "blox environments resume logs --endpoint "+f.url, p.textOf("dialog-command"))
	p.confirm()
	f.awaitOneTaskEach(f.first, append(joined, f.instances...)...)
	assert.False(t, f.getEnvironment("logs").Paused)
}

func TestPageActions_RollBackToARevision(t *testing.T) {
	t.Parallel()
	f, p := newPageRollout(t, 4)
	f.awaitState(f.deployPatch(`{"taskDefinition":"agent:2"}`), "COMPLETED")
	f.awaitState(f.deployPatch(`{"drainOrder":7}`), "COMPLETED") // revision 3 keeps the tasks of revision 2
	third := f.deployPatch(`{"taskDefinition":"agent:1","deploymentConfiguration":{"canary":{"percent":50}}}`)
	p.await(containsText("rollout-text", "waiting for promotion"))

	p.openAction("rollback")
	p.await(containsText("dialog-effects", "stops the deployment of agent:1 that is in progress") + " && " +
		containsText("dialog-effects", "rolls out agent:2 of revision 3 in batches"))
	assert.Equal(t, "blox rollback logs --to-revision 3 --endpoint "+f.url, p.textOf("dialog-command"))
	p.choose("2")
	p.await(containsText("dialog-effects", "agent:2 of revision 2"))
	assert.Equal(t, "Roll back to agent:2", p.textOf("dialog-confirm"))
	p.confirm()

	id := f.newestDeployment()
	assert.Equal(t, third, f.getDeployment("logs", id).RollbackOf)
	f.awaitState(id, "COMPLETED")
	assert.EqualValues(t, 2, f.getEnvironment("logs").EffectiveRevision)
	p.await(containsText("badges", "rolled back"))
	p.await(containsText("rollout-change", "agent:1 → agent:2") + " && " +
		containsText("rollout-change", "revision 4 → 2"))
	f.assertNoDuplicates()
}

func TestPageActions_StopADeployment(t *testing.T) {
	t.Parallel()
	const canary = `,"deploymentConfiguration":{"minimumHealthyPercent":50,"canary":{"percent":50}}}`
	f, p := newPageRollout(t, 4)
	id := f.deployPatch(`{"taskDefinition":"agent:2"` + canary)
	p.await(containsText("rollout-text", "waiting for promotion"))
	p.awaitCounts(f.scheduler, map[string]int{"running": 2, "outdated": 2})
	p.openAction("stop")
	p.await(containsText("dialog-effects", "rolls out agent:1 of revision 1 again"))
	p.choose("ABORT")
	p.await(containsText("dialog-effects", "All tasks stay as they are"))
	assert.Equal(t, "blox deployments stop logs "+id+" --type ABORT --endpoint "+f.url, p.textOf("dialog-command"))
	p.confirm()
	f.awaitState(id, "STOPPED")
	e := f.getEnvironment("logs")
	assert.Equal(t, id, e.PausedBy)
	p.await(containsText("notes", "The deployment was aborted.") + " && " + containsText("notes", "Paused by deployment"))
	assert.Len(t, f.liveTasks(id), 2, "the tasks stay")

	next := f.deploy(f.patch("logs", `{"taskDefinition":"agent:2","drainOrder":1}`)) // ends the pause
	p.await(containsText("rollout-text", "waiting for promotion"))
	p.openAction("deploy")
	p.choose("1")
	p.await(containsText("dialog-effects", "Blox stops the deployment of agent:2 that is in progress."))
	p.click("#dialog-cancel")
	p.openAction("stop")
	p.confirm()
	f.awaitState(next, "STOPPED")
	back := f.newestDeployment()
	assert.Equal(t, next, f.getDeployment("logs", back).RollbackOf)
	f.awaitState(back, "COMPLETED")
	assert.EqualValues(t, 1, f.getEnvironment("logs").EffectiveRevision)
	f.assertNoDuplicates()
}

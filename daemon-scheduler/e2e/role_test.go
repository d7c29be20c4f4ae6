package e2e

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/blox/blox/internal/ecssim"
	"github.com/blox/blox/internal/testenv"
	"github.com/blox/blox/swagger/daemon-scheduler/v1/models"
)

const deployerRole = "arn:aws:iam::123456789012:role/team/deployer"

// createWithRole creates an environment of the agent on prod with those fields.
func (d *scheduler) createWithRole(name, fields string) (e models.Environment) {
	d.t.Helper()
	d.mustSend("POST", "/v1/environments", `{"name":"`+name+`","instanceGroup":{"cluster":"prod"},"taskDefinition":"agent",`+
		fields+`}`, &e)
	return e
}

func TestRole_CallsForTheEnvironmentAssumeIt(t *testing.T) {
	t.Parallel()
	w := newSystem(t)
	instances := w.sim.AddInstances("prod", 3)
	require.NoError(t, w.sim.RequireExternalID(deployerRole, "secret"))
	d := w.startServices()
	assumed := d.createWithRole("assumed", `"role":"`+deployerRole+`","roleExternalId":"secret"`)
	assert.Equal(t, deployerRole, assumed.Role)
	assert.Equal(t, 1, w.sim.RoleCalls(deployerRole, "DescribeTaskDefinition"))
	id := d.deploy(assumed)
	d.awaitCompleted("assumed", id)
	w.awaitOneTaskEach(id, instances...)
	assert.Positive(t, w.sim.RoleCalls(deployerRole, "StartTask"))
	assert.Zero(t, w.sim.RoleCalls("", "StartTask"))

	d.deploy(d.patch("assumed", `{"role":"","roleExternalId":""}`))
	require.NoError(t, w.sim.KillTask(w.liveTasks(id)[instances[0]][0].ARN, 1))
	testenv.Eventually(t, func() bool { return w.sim.RoleCalls("", "StartTask") > 0 }, "a change applies at once")
	assert.Equal(t, 1, w.sim.Calls("AssumeRole"))
}

// A role that cannot be assumed fails neither an instance nor another environment.
func TestRole_ThatCannotBeAssumedConcernsItsEnvironmentAlone(t *testing.T) {
	t.Parallel()
	w := newSystem(t)
	w.sim.AddInstances("prod", 2)
	require.NotEmpty(t, w.sim.RegisterTaskDefinition("other"))
	d := w.startServices()
	logs := d.createWithRole("logs", `"role":"`+deployerRole+
		`","deploymentConfiguration":{"deploymentCircuitBreaker":{"enable":true,"threshold":1}}`)
	id := d.deploy(logs)
	d.awaitCompleted("logs", id)
	w.sim.ExpireRoles()
	w.sim.SetFaults(ecssim.Faults{Refusals: map[string]ecssim.Refusal{
		"AssumeRole": {Code: "AccessDeniedException", Fraction: 1},
		"ecs":        {Code: "ExpiredTokenException", Fraction: 1, Role: deployerRole},
	}})
	d.stop()
	css, _ := w.startCSS("127.0.0.1:0")
	d = w.startScheduler(css) // has no credentials of the role
	for _, tasks := range w.liveTasks(id) {
		require.NoError(t, w.sim.KillTask(tasks[0].ARN, 1))
	}
	var held *models.Condition
	testenv.Eventually(t, func() bool { held = condition(d, "RoleNotAssumed"); return held != nil })
	assert.Equal(t, "AccessDeniedException", *held.Reason)
	assert.Contains(t, held.Message, deployerRole)
	d.awaitCompleted("free", d.deploy(d.createWithRole("free", `"drainOrder":1`)))

	w.sim.SetFaults(ecssim.Faults{})
	testenv.Eventually(t, func() bool { return condition(d, "RoleNotAssumed") == nil && len(w.liveTasks(id)) == 2 })
	assert.Zero(t, d.getDeployment("logs", id).FailedTasks)
	w.assertNoDuplicates()
}

func TestRole_MustBeAllowed(t *testing.T) {
	t.Parallel()
	w := newSystem(t)
	d := w.startServices("--allowed-role", "arn:aws:iam::*:role/team/*")
	reject := func(role, want string) {
		t.Helper()
		answer, text := d.sendValid("POST", "/v1/environments",
			`{"name":"logs","instanceGroup":{"cluster":"`+prod+`"},"taskDefinition":"agent","role":"`+role+`"}`)
		assert.Equal(t, http.StatusBadRequest, answer.StatusCode)
		assert.Contains(t, text, want)
	}
	reject("deployer", "role in body should be the ARN of an IAM role")
	reject("arn:aws:iam::210987654321:role/team/deployer", "role in body should be of the cluster's account")
	reject("arn:aws:iam::123456789012:role/admin", "RoleNotAllowed")
	assert.Zero(t, w.sim.Calls("AssumeRole"))
	d.createWithRole("logs", `"role":"`+deployerRole+`"`)
	answer, text := d.sendValid("PATCH", "/v1/environments/logs?deploymentToken="+d.getEnvironment("logs").DeploymentToken,
		`{"role":"arn:aws:iam::210987654321:role/team/deployer"}`)
	assert.Equal(t, http.StatusBadRequest, answer.StatusCode)
	assert.Contains(t, text, "role in body should be of the cluster's account")
}

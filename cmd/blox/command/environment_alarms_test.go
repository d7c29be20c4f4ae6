package command_test

import (
	"testing"

	"github.com/go-openapi/swag/conv"
	"github.com/stretchr/testify/assert"

	"github.com/blox/blox/swagger/daemon-scheduler/v1/models"
)

func TestEnvironments_AlarmFlags(t *testing.T) {
	h := newHarness(t)
	alarms := func() *models.DeploymentAlarms {
		t.Helper()
		var e models.Environment
		h.mustRunJSON(&e, "environments", "describe", "flags")
		return e.DeploymentConfiguration.Alarms
	}
	h.mustRun("environments", "create", "flags", "--cluster", "default", "--task-definition", "agent",
		"--alarm", "errors, all", "--alarm", "latency")
	assert.Equal(t, &models.DeploymentAlarms{
		AlarmNames: []string{"errors, all", "latency"}, Enable: conv.Pointer(true),
	}, alarms())
	assert.Contains(t, h.mustRun("environments", "describe", "flags"), "pause on errors, all, latency\n")

	h.mustRun("environments", "update", "flags", "--alarm-action", "rollback")
	assert.Equal(t, &models.DeploymentAlarms{
		AlarmNames: []string{"errors, all", "latency"}, Enable: conv.Pointer(true), Rollback: true,
	}, alarms())
	h.mustRun("environments", "update", "flags", "--alarm", "service", "--alarm-action", "off")
	assert.Equal(t, &models.DeploymentAlarms{AlarmNames: []string{"service"}, Enable: conv.Pointer(false)}, alarms())
	assert.Contains(t, h.mustRun("environments", "describe", "flags"), "off on service\n")
	h.mustRun("environments", "update", "flags", "--reset", "alarms")
	assert.Nil(t, alarms())

	assert.Contains(t, h.run("environments", "update", "flags", "--alarm-action", "stop").err,
		`--alarm-action "stop": must be off, pause or rollback`)
	assert.Contains(t, h.run("environments", "update", "flags", "--alarm-action", "pause").err, "alarmNames")
}

func TestEnvironments_RoleFlags(t *testing.T) {
	h := newHarness(t)
	const role = "arn:aws:iam::123456789012:role/deployer"
	h.mustRun("environments", "create", "flags", "--cluster", "default", "--task-definition", "agent",
		"--role", role, "--role-external-id", "secret")
	var e models.Environment
	h.mustRunJSON(&e, "environments", "describe", "flags")
	assert.Equal(t, role, e.Role)
	assert.Equal(t, "secret", e.RoleExternalID)
	assert.Contains(t, h.mustRun("environments", "describe", "flags"), role+"\n")
	h.mustRun("environments", "update", "flags", "--reset", "role,role-external-id")
	e = models.Environment{}
	h.mustRunJSON(&e, "environments", "describe", "flags")
	assert.Empty(t, e.Role)
	assert.Contains(t, h.run("environments", "update", "flags", "--role", "deployer").err,
		"role in body should be the ARN")
}

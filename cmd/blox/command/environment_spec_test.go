package command_test

import (
	"strings"
	"testing"

	"github.com/go-openapi/swag/conv"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/blox/blox/swagger/daemon-scheduler/v1/models"
)

func TestEnvironments_FlagsAndFile(t *testing.T) {
	h := newHarness(t)
	get := func(name string) models.Environment {
		t.Helper()
		var e models.Environment
		h.mustRunJSON(&e, "environments", "describe", name)
		return e
	}
	h.mustRun("environments", "create", "flags", "--cluster", "default", "--task-definition", "agent", "--attribute",
		"gpu=true", "--attribute", "zone",
		"--query", "attribute:ecs.os-type == linux", "--minimum-healthy-percent", "80", "--maximum-percent", "150",
		"--circuit-breaker", "rollback",
		"--circuit-breaker-threshold", "7", "--bake-minutes", "2", "--canary-percent", "10", "--readiness-attribute",
		"blox.ready",
		"--drain-order", "-3", "--scale-in-after-minutes", "30", "--tag", "team=ops", "--tag", "plain")
	asYAML := writeFile(t, "environment.yml", `
name: file
instanceGroup:
  cluster: default
  attributes: [{name: gpu, value: "true"}, {name: zone}]
  query: "attribute:ecs.os-type == linux"
taskDefinition: agent
deploymentConfiguration:
  minimumHealthyPercent: 80
  maximumPercent: 150
  deploymentCircuitBreaker: {enable: true, rollback: true, threshold: 7}
  bakeTimeInMinutes: 2
  canary: {percent: 10}
readinessAttribute: blox.ready
drainOrder: -3
scaleInAfterMinutes: 30
taskSettings: {tags: [{key: team, value: ops}, {key: plain}]}
`)
	h.mustRun("environments", "create", "--file", asYAML)
	alike := func(e models.Environment) models.Environment {
		e.Name, e.DeploymentToken, e.CreatedAt, e.UpdatedAt = nil, "", nil, nil
		return e
	}
	assert.Equal(t, alike(get("flags")), alike(get("file")))
	assert.Equal(t, "ops", get("flags").TaskSettings.Tags[0].Value)
	described := h.mustRun("environments", "describe", "flags")
	for _, line := range []string{"Attributes:           gpu=true, zone\n",
		"Circuit breaker:      rollback after 7 failures\n", "Canary:               10%\n",
		"Scale in after:       30 min\n"} {
		assert.Contains(t, described, line)
	}

	// A flag overrides the file, JSON may contain tabs, and - reads stdin.
	document := "{\n\t\"name\": \"other\", \"instanceGroup\": {\"cluster\": \"default\"}, " +
		"\"taskDefinition\": \"agent\", \"drainOrder\": 5}"
	r := h.runWithInput(document, "environments", "create", "stdin", "--file", "-", "--drain-order", "6")
	require.Equal(t, 0, r.code, r.err)
	assert.EqualValues(t, 6, *get("stdin").DrainOrder)

	// An update changes only the given fields, and --reset restores defaults.
	h.mustRun("environments", "update", "flags", "--minimum-healthy-percent", "70", "--canary-query", "attribute:a exists",
		"--reset", "attributes,readiness-attribute", "--circuit-breaker", "pause")
	now := get("flags")
	assert.EqualValues(t, 70, *now.DeploymentConfiguration.MinimumHealthyPercent)
	assert.EqualValues(t, 150, *now.DeploymentConfiguration.MaximumPercent)
	assert.Equal(t, &models.Canary{Query: "attribute:a exists"}, now.DeploymentConfiguration.Canary)
	assert.False(t, now.DeploymentConfiguration.DeploymentCircuitBreaker.Rollback)
	assert.EqualValues(t, 7, *now.DeploymentConfiguration.DeploymentCircuitBreaker.Threshold)
	assert.Empty(t, now.InstanceGroup.Attributes)
	assert.Equal(t, "attribute:ecs.os-type == linux", now.InstanceGroup.Query)
	assert.Empty(t, now.ReadinessAttribute)
	h.mustRun("environments", "update", "flags", "--circuit-breaker-threshold", "25%", "--circuit-breaker-reset",
		"--max-unavailable", "3", "--max-surge", "0")
	assert.Nil(t, get("flags").DeploymentConfiguration.MinimumHealthyPercent)
	assert.Nil(t, get("flags").DeploymentConfiguration.MaximumPercent)
	breaker := get("flags").DeploymentConfiguration.DeploymentCircuitBreaker
	assert.Nil(t, breaker.Threshold)
	assert.Equal(t, &models.CircuitBreakerThreshold{
		Type: conv.Pointer("BOUNDED_PERCENT"), Value: conv.Pointer(int64(25)),
	}, breaker.ThresholdConfiguration)
	assert.Contains(t, h.mustRun("environments", "describe", "flags"),
		"pause after failures on 25% of the instances (3 to 200), reset by healthy tasks\n")
	assert.Contains(t, h.mustRun("environments", "describe", "flags"), "Max unavailable:   3\n")
	h.mustRun("environments", "update", "flags", "--canary-step", "10%:30", "--canary-step", "5")
	assert.Equal(t, &models.Canary{Steps: []*models.CanaryStep{
		{Percent: conv.Pointer(int64(10)), PauseMinutes: conv.Pointer(int64(30))}, {Count: conv.Pointer(int64(5))},
	}}, get("flags").DeploymentConfiguration.Canary)
	assert.Contains(t, h.mustRun("environments", "describe", "flags"), "10% for 30 min, then 5 instances\n")
	h.mustRun("environments", "update", "flags", "--canary-percent", "7")
	assert.Equal(t, &models.Canary{Percent: conv.Pointer(int64(7))}, get("flags").DeploymentConfiguration.Canary)
	wrong := h.run("environments", "update", "flags", "--canary-step", "half")
	assert.Equal(t, 2, wrong.code)
	assert.Contains(t, wrong.err, `--canary-step "half": must be a percentage or a number of instances, and minutes, such as 10%:30`)
	h.mustRun("environments", "update", "flags", "--maximum-percent", "150", "--slow-start=false")
	assert.Contains(t, h.mustRun("environments", "describe", "flags"), "Slow start:        off\n")
	assert.Nil(t, get("flags").DeploymentConfiguration.MaxSurge)
	both := h.run("environments", "update", "flags", "--max-surge", "1", "--maximum-percent", "150")
	assert.Contains(t, both.err, "--maximum-percent and --max-surge are mutually exclusive")
	bad := h.run("environments", "update", "flags", "--circuit-breaker-threshold", "half")
	assert.Equal(t, 2, bad.code)
	assert.Contains(t, bad.err,
		`--circuit-breaker-threshold "half": must be a number such as 5, or a percentage such as 25%`)
	h.mustRun("environments", "update", "flags", "--reset", "deployment-configuration", "--reset", "task-settings")
	assert.Nil(t, get("flags").DeploymentConfiguration.Canary)
	assert.Nil(t, get("flags").TaskSettings)

	// The file that created an environment can also update it; its cluster may be a name or an ARN.
	h.mustRun("environments", "update", "file", "--file", asYAML, "--drain-order", "4")
	assert.EqualValues(t, 4, *get("file").DrainOrder)
	r = h.runWithInput("instanceGroup: {cluster: '"+now.InstanceGroup.Cluster+"', query: null}", "environments", "update",
		"file", "--file", "-")
	require.Equal(t, 0, r.code, r.err)
	assert.Empty(t, get("file").InstanceGroup.Query)

	// Errors in a file are reported, including fields that the API would ignore.
	for name, tc := range map[string]struct{ content, want string }{
		"a typo": {"name: a\ninstanceGroup: {clutser: default}\ntaskDefinition: agent",
			`stdin: unknown field "instanceGroup.clutser"`},
		"a wrong type": {"name: a\ninstanceGroup: {cluster: default}\ntaskDefinition: agent\ndrainOrder: first",
			"stdin: drainOrder is text, must be an integer"},
		"not an object": {"- a\n- b", "stdin: [0] is text, must be an object"},
		"broken":        {"{", "stdin: neither JSON nor YAML"},
		"nothing":       {"", "stdin: no environment found"},
		"an object and more": {`{"name":"a","instanceGroup":{"cluster":"default"},"taskDefinition":"agent"} {"drainOrder":1}`,
			"stdin: neither JSON nor YAML"},
		"two documents": {"name: a\ninstanceGroup: {cluster: default}\ntaskDefinition: agent\n---\nname: b",
			"stdin holds 2 environments, must hold one: \"blox apply\" takes several"},
		"comments alone": {"# nothing yet\n", "stdin: no environment found"},
		"out of range": {"name: a\ninstanceGroup: {cluster: default}\ntaskDefinition: agent\ndrainOrder: 1001",
			"stdin: drainOrder should be less than or equal to 1000"},
		"without cluster": {"name: a\ntaskDefinition: agent", "--cluster is required (in --file: instanceGroup.cluster)"},
	} {
		r := h.runWithInput(tc.content, "environments", "create", "--file", "-")
		assert.Equal(t, 2, r.code, name)
		assert.Contains(t, r.err, tc.want, name)
	}
	other := h.run("environments", "update", "flags", "--file", asYAML)
	assert.Equal(t, 2, other.code)
	assert.Contains(t, other.err, "--file names environment file, not flags")
	unknown := h.runWithInput("typo: 1", "environments", "update", "flags", "--file", "-")
	assert.Equal(t, 2, unknown.code)
	assert.Contains(t, unknown.err, `stdin: unknown field "typo"`)

	// What is exported or described can create an environment, and update it.
	exported := h.mustRun("export", "file")
	for _, text := range []string{exported, h.mustRun("environments", "describe", "file", "-o", "yaml")} {
		r := h.runWithInput(text, "environments", "update", "file", "--file", "-")
		require.Equal(t, 0, r.code, r.err)
		assert.True(t, strings.HasPrefix(r.err, "Nothing changed: "), r.err)
	}
	r = h.runWithInput(strings.Replace(exported, "drainOrder: 4", "drainOrder: 5", 1), "environments", "update", "file",
		"--file", "-")
	require.Equal(t, 0, r.code, r.err)
	assert.EqualValues(t, 5, *get("file").DrainOrder)
	r = h.runWithInput(exported, "environments", "create", "twin", "--file", "-")
	require.Equal(t, 0, r.code, r.err)
	assert.Equal(t, alike(get("twin")).InstanceGroup, alike(get("file")).InstanceGroup)
}

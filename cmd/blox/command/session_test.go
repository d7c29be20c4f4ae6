package command_test

import (
	"encoding/json"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"

	"github.com/blox/blox/internal/testenv"
	"github.com/blox/blox/internal/tlsconfig"
	cssmodels "github.com/blox/blox/swagger/cluster-state-service/v1/models"
	"github.com/blox/blox/swagger/daemon-scheduler/v1/models"
)

// The test follows an environment from its creation to its deletion, as the README does.
func TestBlox_Session(t *testing.T) {
	h := newHarness(t)
	h.mustRun("sim", "instances", "add", "--count", "3")
	testenv.Eventually(t, func() bool {
		return strings.Contains(h.run("clusters", "describe", "default").out, "3: 3 ACTIVE")
	})

	r := h.run("environments", "list")
	assert.Equal(t, result{0, "", "No environments. Create one with \"blox environments create\".\n"}, r)
	assert.Contains(t, h.mustRun("environments", "create", "web-agent", "--cluster", "default", "--task-definition",
		"agent:1"), "Status:            inactive\n")
	plan := h.run("deployments", "plan", "web-agent")
	require.Equal(t, 0, plan.code)
	assert.Equal(t, "agent:1 on web-agent, in 2 batches: 3 to start.\n", plan.err)
	require.Len(t, tableRows(plan.out), 3)
	for n, row := range tableRows(plan.out) {
		batch := []string{"1", "2", "2"}[n]
		assert.Equal(t, []string{batch, "start", row[2], "-", "The instance has no task of the deployment."}, row)
	}
	assert.Contains(t, h.run("deployments", "list", "web-agent").err, "No deployments", "a plan deploys nothing")

	made := h.run("deployments", "create", "web-agent", "--watch")
	require.Equal(t, 0, made.code, made.err)
	assert.Regexp(t,
		`^Deployment [0-9a-f-]{36} of web-agent: agent:1\n(  \d of 3 .*\n)*  3 of 3 updated\nCompleted in [0-9.a-z]+\.\n$`,
		made.err)
	assert.Regexp(t,
		`^ID +STATE +TASK DEFINITION +UPDATED +FAILED +AGE +REASON\n[0-9a-f]{8}  COMPLETED  agent:1 +3/3 +0 `, made.out)
	assert.Equal(t, [][]string{{"web-agent", "active", "healthy", "default", "agent:1", "3/3", "0"}},
		[][]string{tableRows(h.mustRun("environments", "list"))[0][:7]})

	// Without --token, errors do not mention tokens.
	id := strings.TrimSpace(h.mustRun("deployments", "list", "web-agent", "-q"))
	assert.Equal(t, tableRows(made.out)[0][0], id[:8])
	for _, verb := range []string{"create", "plan"} {
		r := h.run("deployments", verb, "web-agent", "-o", "json")
		assert.Equal(t, 1, r.code)
		assert.Empty(t, r.out)
		assert.Contains(t,
			r.err, "blox: nothing to deploy: deployment "+id+" already rolled out the newest revision of environment "+
				"web-agent\n")
		assert.Contains(t,
			r.err, "\"blox environments update web-agent\" changes it; \"blox deployments create web-agent "+
				"--force-new-deployment\" replaces every task")
		assert.NotContains(t, r.err, "oken")
	}
	token := h.mustRun("environments", "describe", "web-agent", "-o", "json")
	token = regexp.MustCompile(`"deploymentToken": ?"([^"]+)"`).FindStringSubmatch(token)[1]
	assert.Contains(t, h.run("deployments", "create", "web-agent", "--token", token).err, "Deployment with token")

	// All output formats contain the same data.
	var environment models.Environment
	h.mustRunJSON(&environment, "environments", "describe", "web-agent")
	assert.EqualValues(t, 3, *environment.RunningCount)
	var fromJSON, fromYAML map[string]any
	h.mustRunJSON(&fromJSON, "environments", "describe", "web-agent")
	require.NoError(t, yaml.Unmarshal([]byte(h.mustRun("environments", "describe", "web-agent", "-o", "yaml")), &fromYAML))
	asJSON, err := json.Marshal(fromYAML)
	require.NoError(t, err)
	again, err := json.Marshal(fromJSON)
	require.NoError(t, err)
	assert.JSONEq(t, string(again), string(asJSON))

	instances := tableRows(h.mustRun("environments", "instances", "web-agent"))
	require.Len(t, instances, 3)
	for _, row := range instances {
		assert.Equal(t, []string{"ACTIVE", "running"}, row[2:4])
		assert.Equal(t, []string{"RUNNING", "-"}, row[5:7])
	}
	assert.Contains(t, h.run("environments", "instances", "web-agent", "--state", "failed").err, "No instances found")

	// Deploy a new revision and roll it back.
	assert.Equal(t, "TASK DEFINITION\nagent:2\n", h.mustRun("sim", "task-definitions", "register", "agent"))
	assert.Equal(t, "TASK DEFINITION\nagent:1\nagent:2\n",
		h.mustRun("sim", "task-definitions", "list", "--family", "agent"))
	assert.Contains(t, h.mustRun("environments", "update", "web-agent", "--task-definition", "agent:2"),
		"Task definition:   agent:1 (newest: agent:2)\nRevision:          1 (newest: 2)\n")
	plan = h.run("deployments", "plan", "web-agent")
	assert.Equal(t, "agent:2 on web-agent, in 6 batches: 3 to start, 3 to stop.\n", plan.err)
	require.Equal(t, 0, h.run("deployments", "create", "web-agent", "--watch").code)
	back := h.run("environments", "rollback", "web-agent", "--watch")
	require.Equal(t, 0, back.code, back.err)
	assert.Contains(t, back.err, "Rollback: deployment ")
	assert.Contains(t, back.err, "of web-agent: agent:1\n")
	assert.Contains(t, back.err, "  3 of 3 updated\n")
	assert.Equal(t, "agent:1 (rolled back from agent:2)", tableRows(h.mustRun("environments", "list"))[0][4])
	assert.Contains(t, h.mustRun("environments", "list", "-o", "wide"), "  1 (newest: 2)  ")
	described := h.mustRun("environments", "describe", "web-agent")
	assert.Regexp(t, `\nCondition: +RolledBack since .*: Revision 1 with agent:1 is in effect; `+
		`revision 2 with agent:2 was rolled back\.\n`, described)
	assert.Regexp(t, `\nTask definition: +agent:1 \(rolled back from agent:2\)\nRevision: +1 \(newest: 2\)\n`, described)
	unchanged := h.run("environments", "update", "web-agent", "--task-definition", "agent:2")
	require.Equal(t, 0, unchanged.code, unchanged.err)
	assert.Equal(t, "Nothing changed: revision 2 has these settings already.\n", unchanged.err)
	revisions := tableRows(h.mustRun("environments", "revisions", "web-agent"))
	require.Len(t, revisions, 2)
	assert.Equal(t, []string{"2", "agent:2"}, revisions[0][:2])
	assert.Equal(t, []string{"all", "90%", "100%", "off", "-"}, revisions[1][3:])
	deployments := tableRows(h.mustRun("deployments", "list", "web-agent"))
	require.Len(t, deployments, 3)
	assert.Contains(t, h.mustRun("deployments", "describe", "web-agent", deployments[2][0]),
		"ID:               "+deployments[2][0]+"-", "a unique prefix identifies a deployment")

	assert.Contains(t, h.mustRun("environments", "pause", "web-agent"), "Status:            paused\n")
	assert.Contains(t, h.mustRun("environments", "resume", "web-agent"), "Status:            active\n")
	assert.Equal(t, "Environment web-agent deleted.\n",
		h.mustRun("environments", "delete", "web-agent", "--yes", "--stop-tasks", "--wait"))
	assert.Contains(t, h.run("environments", "list").err, "No environments")
	for _, task := range h.sim.Tasks("default") {
		assert.False(t, task.Live(), task.ARN)
	}
}

func TestClusters_InstancesAndTasks(t *testing.T) {
	h := newHarnessWithoutServices(t)
	h.sim.AddInstances("prod", 7)
	few := h.sim.AddInstances("default", 3)
	require.NoError(t, h.sim.DrainInstance(few[1]))
	require.NoError(t, h.sim.SetAgentConnected(few[2], false))
	fargate := h.sim.StartFargateTask("prod", "agent")
	h.startServices(tlsconfig.Files{})

	assert.Equal(t, [][]string{{"default", "3", "2", "0", "0"}, {"prod", "7", "7", "1", "1"}},
		tableRows(h.mustRun("clusters", "list")))
	assert.Contains(t, h.mustRun("clusters", "describe", "default"), "Instances:             3: 2 ACTIVE, 1 DRAINING\n")
	var list cssmodels.ContainerInstances
	h.mustRunJSON(&list, "instances", "list", "--cluster", "prod", "--page-size", "3")
	assert.Len(t, list.Items, 7, "all pages")
	assert.Empty(t, list.NextToken)
	require.NotNil(t, list.Metadata)
	for name, tc := range map[string]struct {
		args []string
		want int
	}{
		"status":                       {[]string{"--status", "draining"}, 1},
		"agent":                        {[]string{"--agent-connected", "false"}, 1},
		"attribute":                    {[]string{"--attribute", "ecs.os-type:linux", "--cluster", "default"}, 3},
		"none":                         {[]string{"--attribute", "ecs.os-type:windows"}, 0},
		"attribute as of environments": {[]string{"--attribute", "ecs.os-type=linux", "--cluster", "default"}, 3},
		"two":                          {[]string{"--cluster", "default", "--agent-connected", "true"}, 2},
	} {
		var list cssmodels.ContainerInstances
		h.mustRunJSON(&list, append([]string{"instances", "list"}, tc.args...)...)
		assert.Len(t, list.Items, tc.want, name)
	}
	id := few[1][strings.LastIndex(few[1], "/")+1:]
	for _, args := range [][]string{{few[1]}, {id}, {id[:16], "--cluster", "default"},
		{id[:11] + "…", "--cluster", "default"}, {few[1], "--cluster", "default"}} {
		out := h.mustRun(append([]string{"instances", "describe"}, args...)...)
		assert.Contains(t, out, "Instance:             "+id+"\n", args)
		assert.Contains(t, out, "Status:               DRAINING\n", args)
	}
	var ec2 cssmodels.ContainerInstance
	h.mustRunJSON(&ec2, "instances", "describe", few[1])
	assert.Contains(t, h.mustRun("instances", "describe", ec2.Entity.EC2InstanceID), id)
	assert.Contains(t, h.run("instances", "describe", "zzz", "--cluster", "default").err,
		"no container instance has the ID zzz")
	assert.Contains(t, h.run("instances", "describe", "", "--cluster", "default").err, "INSTANCE is empty")

	assert.Contains(t, h.run("instances", "list", "--page-size", "0").err, "Invalid limit")

	row := tableRows(h.mustRun("tasks", "list", "--launch-type", "fargate", "--page-size", "1"))
	require.Len(t, row, 1)
	assert.Equal(t, []string{"prod", "agent:1", "RUNNING", "-"}, row[0][1:5])
	assert.Contains(t, h.mustRun("tasks", "list", "-o", "wide", "--all", "--family", "agent"), fargate)
	assert.Contains(t, h.run("tasks", "list", "--started-by", "absent").err, "No tasks found")
	for _, args := range [][]string{{fargate}, {fargate[strings.LastIndex(fargate, "/")+1:]}} {
		assert.Contains(t, h.mustRun(append([]string{"tasks", "describe"}, args...)...), "ARN:              "+fargate+"\n")
	}
	assert.Contains(t, h.run("tasks", "describe", strings.Replace(fargate, "task/prod/", "task/prod/0", 1)).err,
		"Task not found")
}

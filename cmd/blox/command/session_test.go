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

// The way of an environment from its beginning to its end, as the README's session has it.
func TestBlox_Session(t *testing.T) {
	w := newWorld(t)
	w.ok("sim", "instances", "add", "--count", "3")
	testenv.Eventually(t, func() bool { return strings.Contains(w.blox("clusters", "describe", "default").out, "3: 3 ACTIVE") })

	r := w.blox("environments", "list")
	assert.Equal(t, result{0, "", "No environments. Create one with \"blox environments create\".\n"}, r)
	assert.Contains(t, w.ok("environments", "create", "web-agent", "--cluster", "default", "--task-definition", "agent:1"), "Status:            inactive\n")
	plan := w.blox("deployments", "plan", "web-agent")
	require.Equal(t, 0, plan.code)
	assert.Equal(t, "agent:1 on web-agent, in 1 wave: 3 to start.\n", plan.err)
	require.Len(t, table(plan.out), 3)
	for _, row := range table(plan.out) {
		assert.Equal(t, []string{"1", "start", row[2], "-", "The instance has no task of the deployment."}, row)
	}
	assert.Contains(t, w.blox("deployments", "list", "web-agent").err, "No deployments", "a plan deploys nothing")

	made := w.blox("deployments", "create", "web-agent", "--watch")
	require.Equal(t, 0, made.code, made.err)
	assert.Regexp(t, `^Deployment [0-9a-f-]{36} of web-agent: agent:1\n(  \d/3 .*\n)*  3/3 running\nCompleted in [0-9.a-z]+\.\n$`, made.err)
	assert.Regexp(t, `^ID +STATE +TASK DEFINITION +REVISION +DESIRED +RUNNING +PENDING +FAILED +CREATED +DURATION +REASON\n[0-9a-f-]{36}  COMPLETED  agent:1 +1 +3 +3 +0 +0 `, made.out)
	assert.Equal(t, [][]string{{"web-agent", "active", "healthy", "default", "agent:1", "1", "3", "3", "0", "0", "0"}}, table(w.ok("environments", "list")))

	// Who knows nothing of tokens is not told of them.
	id := table(made.out)[0][0]
	for _, verb := range []string{"create", "plan"} {
		r := w.blox("deployments", verb, "web-agent", "-o", "json")
		assert.Equal(t, 1, r.code)
		assert.Empty(t, r.out)
		assert.Contains(t, r.err, "blox: nothing to deploy: deployment "+id+" already rolled out the newest revision of environment web-agent\n")
		assert.Contains(t, r.err, "\"blox environments update web-agent\" changes it; \"blox deployments create web-agent --force-new-deployment\" replaces every task")
		assert.NotContains(t, r.err, "oken")
	}
	token := w.ok("environments", "describe", "web-agent", "-o", "json")
	token = regexp.MustCompile(`"deploymentToken": ?"([^"]+)"`).FindStringSubmatch(token)[1]
	assert.Contains(t, w.blox("deployments", "create", "web-agent", "--token", token).err, "Deployment with token")

	// Every form shows the same.
	var environment models.Environment
	w.json(&environment, "environments", "describe", "web-agent")
	assert.EqualValues(t, 3, *environment.RunningCount)
	var fromJSON, fromYAML map[string]any
	w.json(&fromJSON, "environments", "describe", "web-agent")
	require.NoError(t, yaml.Unmarshal([]byte(w.ok("environments", "describe", "web-agent", "-o", "yaml")), &fromYAML))
	asJSON, err := json.Marshal(fromYAML)
	require.NoError(t, err)
	again, err := json.Marshal(fromJSON)
	require.NoError(t, err)
	assert.JSONEq(t, string(again), string(asJSON))

	instances := table(w.ok("environments", "instances", "web-agent"))
	require.Len(t, instances, 3)
	for _, row := range instances {
		assert.Equal(t, []string{"ACTIVE", "running"}, row[2:4])
		assert.Equal(t, []string{"RUNNING", "-"}, row[5:7])
	}
	assert.Contains(t, w.blox("environments", "instances", "web-agent", "--state", "failed").err, "No instances found")

	// A new revision, and back.
	assert.Equal(t, "TASK DEFINITION\nagent:2\n", w.ok("sim", "task-definitions", "register", "agent"))
	assert.Equal(t, "TASK DEFINITION\nagent:1\nagent:2\n", w.ok("sim", "task-definitions", "list", "--family", "agent"))
	assert.Contains(t, w.ok("environments", "update", "web-agent", "--task-definition", "agent:2"), "Revision:          2\n")
	plan = w.blox("deployments", "plan", "web-agent")
	assert.Equal(t, "agent:2 on web-agent, in 6 waves: 3 to start, 3 to stop.\n", plan.err)
	require.Equal(t, 0, w.blox("deployments", "create", "web-agent", "--watch").code)
	back := w.blox("environments", "rollback", "web-agent", "--watch")
	require.Equal(t, 0, back.code, back.err)
	assert.Contains(t, back.err, "Rollback: deployment ")
	assert.Contains(t, back.err, "of web-agent: agent:1\n")
	assert.Contains(t, back.err, "  3/3 running\n")
	revisions := table(w.ok("environments", "revisions", "web-agent"))
	require.Len(t, revisions, 2)
	assert.Equal(t, []string{"2", "agent:2"}, revisions[0][:2])
	assert.Equal(t, []string{"all", "90%", "100%", "off", "-"}, revisions[1][3:])
	deployments := table(w.ok("deployments", "list", "web-agent"))
	require.Len(t, deployments, 3)
	assert.Contains(t, w.ok("deployments", "describe", "web-agent", deployments[2][0][:8]), "ID:               "+deployments[2][0]+"\n", "the beginning of an id is enough")

	assert.Contains(t, w.ok("environments", "pause", "web-agent"), "Status:            paused\n")
	assert.Contains(t, w.ok("environments", "resume", "web-agent"), "Status:            active\n")
	assert.Equal(t, "Environment web-agent deleted.\n", w.ok("environments", "delete", "web-agent", "--stop-tasks", "--wait"))
	assert.Contains(t, w.blox("environments", "list").err, "No environments")
	for _, task := range w.sim.Tasks("default") {
		assert.False(t, task.Live(), task.ARN)
	}
}

func TestClusters_InstancesAndTasks(t *testing.T) {
	w := newAWS(t)
	w.sim.AddInstances("prod", 7)
	few := w.sim.AddInstances("default", 3)
	require.NoError(t, w.sim.DrainInstance(few[1]))
	require.NoError(t, w.sim.SetAgentConnected(few[2], false))
	fargate := w.sim.StartFargateTask("prod", "agent")
	w.serve(tlsconfig.Files{})

	assert.Equal(t, [][]string{{"default", "3", "2", "0", "0"}, {"prod", "7", "7", "1", "1"}}, table(w.ok("clusters", "list")))
	assert.Contains(t, w.ok("clusters", "describe", "default"), "Instances:         3: 2 ACTIVE, 1 DRAINING\n")
	var list cssmodels.ContainerInstances
	w.json(&list, "instances", "list", "--cluster", "prod", "--page-size", "3")
	assert.Len(t, list.Items, 7, "all pages")
	assert.Empty(t, list.NextToken)
	require.NotNil(t, list.Metadata)
	for name, tc := range map[string]struct {
		args []string
		want int
	}{
		"status":    {[]string{"--status", "draining"}, 1},
		"agent":     {[]string{"--agent-connected", "false"}, 1},
		"attribute": {[]string{"--attribute", "ecs.os-type:linux", "--cluster", "default"}, 3},
		"none":      {[]string{"--attribute", "ecs.os-type:windows"}, 0},
		"two":       {[]string{"--cluster", "default", "--agent-connected", "true"}, 2},
	} {
		var list cssmodels.ContainerInstances
		w.json(&list, append([]string{"instances", "list"}, tc.args...)...)
		assert.Len(t, list.Items, tc.want, name)
	}
	id := few[1][strings.LastIndex(few[1], "/")+1:]
	for _, args := range [][]string{{few[1]}, {id}, {id[:16], "--cluster", "default"}, {id[:11] + "…", "--cluster", "default"}, {few[1], "--cluster", "default"}} {
		out := w.ok(append([]string{"instances", "describe"}, args...)...)
		assert.Contains(t, out, "Instance:         "+id+"\n", args)
		assert.Contains(t, out, "Status:           DRAINING\n", args)
	}
	var ec2 cssmodels.ContainerInstance
	w.json(&ec2, "instances", "describe", few[1])
	assert.Contains(t, w.ok("instances", "describe", ec2.Entity.EC2InstanceID), id)
	assert.Contains(t, w.blox("instances", "describe", "zzz", "--cluster", "default").err, "no container instance has the id zzz")
	assert.Contains(t, w.blox("instances", "describe", "", "--cluster", "default").err, "INSTANCE is empty")

	assert.Contains(t, w.blox("instances", "list", "--page-size", "0").err, "Invalid limit")

	row := table(w.ok("tasks", "list", "--launch-type", "fargate", "--page-size", "1"))
	require.Len(t, row, 1)
	assert.Equal(t, []string{"prod", "agent:1", "RUNNING", "RUNNING", "-"}, row[0][1:6])
	assert.Contains(t, w.ok("tasks", "list", "--wide", "--family", "agent"), fargate)
	assert.Contains(t, w.blox("tasks", "list", "--started-by", "nobody").err, "No tasks found")
	for _, args := range [][]string{{fargate}, {fargate[strings.LastIndex(fargate, "/")+1:]}} {
		assert.Contains(t, w.ok(append([]string{"tasks", "describe"}, args...)...), "ARN:              "+fargate+"\n")
	}
	assert.Contains(t, w.blox("tasks", "describe", strings.Replace(fargate, "task/prod/", "task/prod/0", 1)).err, "Task not found")
}

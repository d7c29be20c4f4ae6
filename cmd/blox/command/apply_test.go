package command_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"

	"github.com/blox/blox/internal/ecssim"
)

const twoAgents = `name: team-a-logs
instanceGroup: {cluster: default}
taskDefinition: agent:1
---
name: team-a-metrics
instanceGroup: {cluster: default, query: "attribute:ecs.os-type == linux"}
taskDefinition: agent
drainOrder: 4
deploymentConfiguration: {maxUnavailable: 1, canary: {percent: 10}}
`

// results returns the name, result and revision of each applied document.
func results(out string) (list []string) {
	for _, row := range tableRows(out) {
		list = append(list, strings.Join(row[:3], " "))
	}
	return list
}

func TestApply_FollowsAFolder(t *testing.T) {
	h := newHarness(t)
	h.sim.AddInstances("default", 2)
	h.sim.RegisterTaskDefinition("agent")
	folder := t.TempDir()
	write := func(name, text string) {
		require.NoError(t, os.WriteFile(filepath.Join(folder, name), []byte(text), 0o600))
	}
	write("agents.yml", twoAgents)
	h.mustRun("environments", "create", "others", "--cluster", "default", "--task-definition", "agent")

	assert.Contains(t, h.mustRun("validate", "-f", folder), "team-a-logs     valid   ")
	diff := h.run("diff", "-f", folder)
	assert.Equal(t, 1, diff.code, "there is a difference")
	assert.Contains(t, diff.out, "+++ team-a-metrics (")
	assert.Contains(t, diff.out, "\n+drainOrder: 4\n")
	assert.Equal(t, []string{"team-a-logs created (dry run) 1", "team-a-metrics created (dry run) 1"},
		results(h.mustRun("apply", "-f", folder, "--dry-run")))
	assert.Len(t, tableRows(h.mustRun("environments", "list")), 1, "a dry run creates nothing")

	assert.Equal(t, []string{"team-a-logs created 1", "team-a-metrics created 1"},
		results(h.mustRun("apply", "-f", folder)))
	assert.Equal(t, []string{"team-a-logs unchanged 1", "team-a-metrics unchanged 1"},
		results(h.mustRun("apply", "-f", folder)))
	assert.Equal(t, result{}, h.run("diff", "-f", folder))

	// What is exported, or described, changes nothing when it is applied.
	for _, text := range []string{
		h.mustRun("export"), h.mustRun("export", "team-a-metrics"), h.mustRun("export", "-o", "json"),
		h.mustRun("environments", "describe", "team-a-metrics", "-o", "yaml"),
		h.mustRun("environments", "list", "-o", "json"),
	} {
		r := h.runWithInput(text, "apply", "-f", "-")
		require.Equal(t, 0, r.code, r.err)
		assert.NotEmpty(t, results(r.out))
		for _, row := range tableRows(r.out) {
			assert.Equal(t, []string{"unchanged", "1"}, row[1:3])
		}
	}

	// A field that a document lacks gets its default.
	write("agents.yml", strings.Replace(strings.Replace(twoAgents, "drainOrder: 4\n", "", 1), "agent:1", "agent:2", 1))
	diff = h.run("diff", "-f", folder)
	assert.Equal(t, 1, diff.code)
	assert.Contains(t, diff.out, "\n-drainOrder: 4\n")
	assert.Contains(t, diff.out, "task-definition/agent:2\n")
	write("agents.yml", strings.Replace(twoAgents, ", canary: {percent: 10}", "", 1))
	applied := h.run("apply", "-f", folder, "--deploy", "--watch")
	require.Equal(t, 0, applied.code, applied.err)
	assert.Equal(t, []string{"team-a-logs unchanged 1", "team-a-metrics updated 2"}, results(applied.out)[:2])
	assert.Equal(t, 2, strings.Count(applied.err, "Completed in "), "an environment that was never deployed, too")
	again := h.mustRun("apply", "-f", folder, "--deploy")
	assert.Equal(t, []string{"team-a-logs unchanged 1", "team-a-metrics unchanged 2"}, results(again))
	assert.Equal(t, "-", tableRows(again)[0][3], "the newest revision is deployed")
}

func TestApply_Prunes(t *testing.T) {
	h := newHarness(t)
	h.sim.AddInstances("default", 1)
	require.Equal(t, 0, h.runWithInput(twoAgents+"---\nname: team-b-logs\ninstanceGroup: {cluster: default}\n"+
		"taskDefinition: agent\n", "apply", "-f", "-").code)
	file := filepath.Join(t.TempDir(), "one.yml")
	first, _, _ := strings.Cut(twoAgents, "---")
	require.NoError(t, os.WriteFile(file, []byte(first), 0o600))
	prune := []string{"-f", file, "--prune", "--prefix", "team-a-"}

	r := h.run(append([]string{"diff"}, prune...)...)
	assert.Equal(t, result{1, "Environment team-a-metrics would be deleted.\n", ""}, r)
	assert.Contains(t, h.mustRun(append([]string{"apply", "--dry-run"}, prune...)...), "team-a-metrics  deleted (dry run)")
	declined := h.runWithInput("n\n", append([]string{"apply"}, prune...)...)
	assert.Equal(t, 1, declined.code)
	assert.Contains(t, declined.err, "Delete team-a-metrics? The tasks keep running. [y/N] ")
	assert.Contains(t, declined.err, "not confirmed; nothing was deleted")
	assert.Len(t, tableRows(h.mustRun("environments", "list")), 3)
	confirmed := h.runWithInput("y\n", append([]string{"apply"}, prune...)...)
	assert.Equal(t, []string{"team-a-logs unchanged 1", "team-a-metrics deleted -"}, results(confirmed.out))
	assert.Len(t, tableRows(h.mustRun("environments", "list")), 2)

	for want, args := range map[string][]string{
		"--prune needs --prefix":                                 {"-f", file, "--prune"},
		"--prefix needs --prune":                                 {"-f", file, "--prefix", "team-a-"},
		"--prune needs --yes when the documents come from stdin": {"-f", "-", "--prune", "--prefix", "team-a-"},
		"--watch needs --deploy":                                 {"-f", file, "--watch"},
		"--file is required":                                     nil,
	} {
		r := h.run(append([]string{"apply"}, args...)...)
		assert.Equal(t, 2, r.code)
		assert.Contains(t, r.err, want)
	}
}

// One invalid document keeps all of them from being sent; one that the service rejects holds up no other.
func TestApply_ReportsEveryProblem(t *testing.T) {
	h := newHarness(t)
	h.sim.AddInstances("default", 1)
	r := h.runWithInput(twoAgents+"---\nname: bad\ncolor: red\n", "apply", "-f", "-")
	assert.Equal(t, 2, r.code)
	assert.Contains(t, r.err, `stdin, document 3: unknown field "color"`)
	assert.Contains(t, h.run("environments", "list").err, "No environments")

	r = h.runWithInput(strings.Replace(twoAgents, "agent:1", "missing:1", 1), "apply", "-f", "-")
	assert.Equal(t, 1, r.code)
	assert.Contains(t, r.err, `team-a-logs: TaskDefinition "missing:1" does not exist`)
	assert.Equal(t, []string{"team-a-metrics created 1"}, results(r.out))
	assert.Equal(t, 2, h.runWithInput(strings.Replace(twoAgents, "agent:1", "missing:1", 1), "diff", "-f", "-").code)
	assert.Equal(t, 2, h.runWithInput("name: x", "validate", "-f", "-").code)

	var exported struct{ Items []map[string]any }
	require.NoError(t, yaml.Unmarshal([]byte(h.mustRun("export", "-o", "json")), &exported))
	assert.Len(t, exported.Items, 1)
	assert.NotContains(t, exported.Items[0], "deploymentToken")
}

func TestDelete_AsksAndNamesTheTasks(t *testing.T) {
	h := newHarness(t)
	h.sim.AddInstances("default", 2)
	h.mustRun("environments", "create", "logs", "--cluster", "default", "--task-definition", "agent")
	h.mustRun("deployments", "create", "logs", "--watch")

	r := h.run("environments", "delete", "logs")
	assert.Equal(t, 1, r.code)
	assert.Contains(t, r.err, "Delete environment logs? Its running tasks (2) stay: Blox no longer replaces them")
	r = h.run("environments", "delete", "logs", "--stop-tasks")
	assert.Contains(t, r.err, "Delete environment logs? Blox stops its running tasks: 2. [y/N]")
	assert.Equal(t, 1, r.code)
	assert.Equal(t, 0, h.runWithInput("yes\n", "environments", "delete", "logs").code)
	r = h.run("environments", "delete", "logs", "--yes")
	assert.Equal(t, 1, r.code)
	assert.Contains(t, r.err, "does not exist")
	assert.Equal(t, "Environment logs does not exist.\n",
		h.mustRun("environments", "delete", "logs", "--yes", "--ignore-not-found"))
}

// A pipeline that repeats a failed step must not succeed because the revision was deployed before.
func TestApply_ReportsAnEarlierDeploymentThatFailed(t *testing.T) {
	h := newHarness(t)
	h.sim.AddInstances("default", 2)
	h.sim.RegisterTaskDefinition("broken")
	h.sim.SetFaults(ecssim.Faults{FailToRun: map[string]float64{"broken": 1}})
	document := "name: web-agent\ninstanceGroup: {cluster: default}\ntaskDefinition: %s:1\n" +
		"deploymentConfiguration: {minimumHealthyPercent: 0, deploymentCircuitBreaker: {enable: true, rollback: true, " +
		"threshold: 3}}\n"
	apply := func(definition string) result {
		return h.runWithInput(fmt.Sprintf(document, definition), "apply", "-f", "-", "--deploy", "--watch")
	}
	require.Equal(t, 0, apply("agent").code)
	first := apply("broken")
	require.Equal(t, 5, first.code, first.err)

	second := apply("broken")
	assert.Equal(t, 5, second.code, second.err)
	assert.Equal(t, []string{"web-agent unchanged 2"}, results(second.out)[:1])
	assert.Equal(t, "FAILED", tableRows(second.out)[0][4])
	assert.Equal(t, tableRows(first.out)[0][3], tableRows(second.out)[0][3], "the deployment of the first run")
	unwatched := h.runWithInput(fmt.Sprintf(document, "broken"), "apply", "-f", "-", "--deploy")
	assert.Equal(t, 5, unwatched.code, unwatched.err)
	assert.Equal(t, second.out[:strings.Index(second.out, "\nID")+1], unwatched.out)
	assert.Regexp(t, `^web-agent: deployment [0-9a-f-]{36} of revision 2 is FAILED and is not repeated\. Circuit breaker `+
		`tripped: .*\n  "blox deploy web-agent --force-new-deployment" deploys the revision again\.\n$`, unwatched.err)
	require.Equal(t, 0, apply("agent").code)
	assert.Equal(t, []string{"web-agent unchanged 3"}, results(apply("agent").out)[:1])
}

// Another client may change an environment, or delete it, between apply's read and its update.
func TestApply_RepeatsAnUpdateThatAnotherClientOvertook(t *testing.T) {
	h := newHarness(t)
	document := "name: web-agent\ninstanceGroup: {cluster: default}\ntaskDefinition: agent:1\ndrainOrder: 3\n"
	direct := h.environment["BLOX_ENDPOINT"]
	target, err := url.Parse(direct)
	require.NoError(t, err)
	proxy := httputil.NewSingleHostReverseProxy(target)
	for name, overtake := range map[string][]string{
		"an update":  {"environments", "update", "web-agent", "--drain-order", "7"},
		"a deletion": {"environments", "delete", "web-agent", "--yes"},
	} {
		t.Run(name, func(t *testing.T) {
			h.environment["BLOX_ENDPOINT"] = direct
			h.run("environments", "delete", "web-agent", "--yes")
			h.mustRun("environments", "create", "web-agent", "--cluster", "default", "--task-definition", "agent")
			var once sync.Once
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.Method == http.MethodPatch {
					once.Do(func() { h.run(append(overtake, "--endpoint", direct)...) })
				}
				proxy.ServeHTTP(w, r)
			}))
			defer server.Close()
			h.environment["BLOX_ENDPOINT"] = server.URL
			r := h.runWithInput(document, "apply", "-f", "-")
			assert.Equal(t, 0, r.code, r.err)
			assert.Equal(t, "3", h.field("Drain order", "environments", "describe", "web-agent"))
		})
	}
}

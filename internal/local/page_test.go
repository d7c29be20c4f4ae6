package local

import (
	"encoding/json"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/blox/blox/internal/ecssim"
	"github.com/blox/blox/internal/harness"
	"github.com/blox/blox/internal/testenv"
	"github.com/blox/blox/internal/testenv/short"
	css "github.com/blox/blox/swagger/cluster-state-service/v1/client/operations"
	ds "github.com/blox/blox/swagger/daemon-scheduler/v1/client/operations"
)

// Every command of the walkthrough succeeds and prints what the page shows.
func TestWalkthrough_Works(t *testing.T) {
	short.Skip(t, "runs a shell")
	l := startLocal(t, "--instances", "3")
	before, steps := parseSteps(codeBlocks(page(t, "daemon-scheduler/docs/walkthrough.md")))
	assert.Empty(t, missingLine(before, l.welcome), "make local printed:\n%s", l.welcome)
	require.Greater(t, len(steps), 9, "the walkthrough's commands are recognized")

	sh := startShell(t)
	sh.recordCurl()
	streamed := func() string { return "" }
	for _, s := range steps {
		s.commands = l.withAddresses(s.commands)
		l.awaitSettled()
		if s.isStream() {
			streamed = stream(t, s.commands)
			continue
		}
		l.checkStep(sh, s, streamed)
	}
	testenv.Eventually(t, func() bool {
		return len(l.tasks()) == 0 && len(l.environments()) == 0
	}, "the walkthrough leaves tasks or an environment")
}

// checkStep runs a step. The page shows the output of its commands, or the stream's until then.
func (l *local) checkStep(sh *shell, s step, streamed func() string) {
	l.t.Helper()
	var output string
	var code int
	run := func() bool {
		output, code = sh.run(s.commands)
		return missingLine(s.output, output) == ""
	}
	matches := run()
	if s.onlyReads() && !matches {
		testenv.Eventually(l.t, run, "the output differs from the page's:\n%s", s.commands)
		matches = true
	}
	require.Empty(l.t, sh.failedCalls(), "failed calls of:\n%s\n%s", s.commands, output)
	require.Zero(l.t, code, "exit code of:\n%s\n%s", s.commands, output)
	if !matches {
		testenv.Eventually(l.t, func() bool { return missingLine(s.output, streamed()) == "" },
			"the page shows %q. These commands printed:\n%s\n%s", missingLine(s.output, output), s.commands, output)
	}
}

// Every command of a page, behind a "$", succeeds on a Blox of its own and prints what the page shows.
func TestPages_PrintWhatTheyShow(t *testing.T) {
	short.Skip(t, "builds and runs a program")
	bin := t.TempDir()
	require.NoError(t, harness.Build(t.Context(), bin, "cmd/blox"))
	for path, instances := range map[string]string{
		"cmd/blox/docs/cli.md":                         "3",
		"cmd/blox/docs/probe.md":                       "3",
		"cluster-state-service/docs/queries.md":        "3",
		"daemon-scheduler/docs/api.md":                 "3",
		"daemon-scheduler/docs/draining.md":            "3",
		"daemon-scheduler/docs/events.md":              "3",
		"daemon-scheduler/docs/gitops.md":              "3",
		"daemon-scheduler/docs/rollouts.md":            "6",
		"daemon-scheduler/docs/selecting-instances.md": "3",
		"daemon-scheduler/docs/taking-over.md":         "3",
	} {
		t.Run(path, func(t *testing.T) {
			t.Parallel()
			text := page(t, path)
			requireJQ(t, text)
			l := startLocal(t, "--instances", instances)
			steps := parseSession(text)
			require.NotEmpty(t, steps, "the commands are recognized")
			l.runSession(l.startSession(bin), steps)
		})
	}
}

// requireJQ skips a page whose commands use jq if it is not installed.
func requireJQ(t *testing.T, text string) {
	t.Helper()
	if _, err := exec.LookPath("jq"); err != nil && os.Getenv("CI") != "true" && strings.Contains(text, "| jq ") {
		t.Skip("no jq on the PATH")
	}
}

// The README's quick start works as typed, and prints what the README shows.
func TestReadme_QuickStartWorks(t *testing.T) {
	short.Skip(t, "builds and runs a program")
	bin := t.TempDir()
	require.NoError(t, harness.Build(t.Context(), bin, "cmd/blox"))
	l := startLocal(t, "--instances", "3")
	blocks := codeBlocks(section(t, page(t, "README.md"), "## Quick start", "## When to use Blox"))
	require.Len(t, blocks, 3, "the targets of make, the commands, and their output")
	var steps []step
	for _, line := range nonEmptyLines(blocks[1]) {
		steps = append(steps, step{commands: line + "\n"})
	}
	require.Len(t, steps, 5)
	steps[len(steps)-1].output = nonEmptyLines(blocks[2])
	l.runSession(l.startSession(bin), steps)
}

// startSession starts a shell in which blox connects to Blox.
func (l *local) startSession(bin string) *shell {
	sh := startShell(l.t, "PATH="+bin+":"+os.Getenv("PATH"),
		"BLOX_ENDPOINT="+l.ds, "BLOX_CSS_ENDPOINT="+l.css, "BLOX_SIM_ENDPOINT="+l.sim)
	sh.run(`export HOME=$PWD XDG_CONFIG_HOME=$PWD`)
	return sh
}

// runSession runs the steps. It repeats a step that changes nothing until its output is the page's.
func (l *local) runSession(sh *shell, steps []step) {
	l.t.Helper()
	for _, s := range steps {
		if s.file != "" {
			require.NoError(l.t, os.WriteFile(filepath.Join(sh.dir, s.file), []byte(s.commands), 0o600))
			continue
		}
		l.awaitSynced()
		var output string
		var code int
		run := func() bool {
			output, code = sh.run(l.withAddresses(s.commands))
			return code == 0 && missingLine(s.output, output) == ""
		}
		for deadline := time.Now().Add(30 * time.Second); !run() && s.onlyReads() && time.Now().Before(deadline); {
			time.Sleep(20 * time.Millisecond)
		}
		require.Zero(l.t, code, "exit code of:\n%s\n%s", s.commands, output)
		require.Empty(l.t, missingLine(s.output, output), "missing in the output of:\n%s\n%s", s.commands, output)
	}
}

// awaitSynced waits until cluster-state-service knows the instances and the live tasks of the simulator.
func (l *local) awaitSynced() {
	l.t.Helper()
	testenv.Eventually(l.t, func() bool {
		var state ecssim.State
		l.getFromSimulator("/_sim/state", &state)
		want, got := map[string]string{}, map[string]string{}
		for _, instance := range state.Instances {
			want[instance.ARN] = instance.Status
		}
		for _, task := range state.Tasks {
			if task.LastStatus != "STOPPED" {
				want[task.ARN] = task.LastStatus
			}
		}
		instances, err := l.cssAPI.ListInstances(css.NewListInstancesParams())
		require.NoError(l.t, err)
		for _, instance := range instances.Payload.Items {
			got[*instance.Entity.ContainerInstanceARN] = *instance.Entity.Status
		}
		tasks, err := l.cssAPI.ListTasks(css.NewListTasksParams())
		require.NoError(l.t, err)
		for _, task := range tasks.Payload.Items {
			if *task.Entity.LastStatus != "STOPPED" {
				got[*task.Entity.TaskARN] = *task.Entity.LastStatus
			}
		}
		return maps.Equal(want, got)
	}, "cluster-state-service does not show the simulator's state")
}

// withAddresses replaces the addresses of make local.
func (l *local) withAddresses(commands string) string {
	return strings.NewReplacer("http://127.0.0.1:3000", l.css, "http://127.0.0.1:2000", l.ds,
		"http://127.0.0.1:4566", l.sim).Replace(commands)
}

// awaitSettled waits until no deployment is in progress, and both services know of one RUNNING task on each instance of
// each environment that was deployed. A user types more slowly.
func (l *local) awaitSettled() {
	l.t.Helper()
	testenv.Eventually(l.t, func() bool {
		deployed := int64(0)
		var state ecssim.State
		l.getFromSimulator("/_sim/state", &state)
		instances := int64(len(state.Instances))
		for _, name := range l.environments() {
			e, err := l.dsAPI.GetEnvironment(ds.NewGetEnvironmentParams().WithName(name))
			require.NoError(l.t, err)
			deployments, err := l.dsAPI.ListDeployments(ds.NewListDeploymentsParams().WithName(name))
			require.NoError(l.t, err)
			for _, d := range deployments.Payload.Items {
				if d.RolloutState == "IN_PROGRESS" {
					return false
				}
			}
			if len(deployments.Payload.Items) == 0 {
				continue
			}
			if *e.Payload.RunningCount != instances || *e.Payload.DesiredCount != instances {
				return false
			}
			deployed++
		}
		running := 0
		for _, task := range state.Tasks {
			if task.LastStatus == "RUNNING" {
				running++
			}
		}
		return int64(running) == deployed*instances && int64(len(l.tasks())) == min(deployed, 1)*instances
	}, "the environments do not settle")
}

func (l *local) environments() (names []string) {
	l.t.Helper()
	list, err := l.dsAPI.ListEnvironments(ds.NewListEnvironmentsParams())
	require.NoError(l.t, err)
	for _, e := range list.Payload.Items {
		names = append(names, *e.Name)
	}
	return names
}

func (l *local) getFromSimulator(path string, result any) {
	l.t.Helper()
	response, err := l.client.Get(l.sim + path)
	require.NoError(l.t, err)
	defer response.Body.Close()
	require.NoError(l.t, json.NewDecoder(response.Body).Decode(result))
}

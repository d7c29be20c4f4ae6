package local

import (
	"encoding/json"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/blox/blox/internal/ecssim"
	"github.com/blox/blox/internal/harness"
	"github.com/blox/blox/internal/testenv"
	"github.com/blox/blox/internal/testenv/short"
	ds "github.com/blox/blox/swagger/daemon-scheduler/v1/client/operations"
)

// Every command of the README's walkthrough succeeds and prints what the README shows.
func TestReadme_WalkthroughWorks(t *testing.T) {
	short.Skip(t, "runs a shell")
	l := startLocal(t, "--instances", "3")
	before, steps := parseSteps(codeBlocks(readmeSection(t, "## What you should see", "## The command line")))
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

// checkStep runs a step. The README shows the output of its commands, or the stream's until then.
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
		testenv.Eventually(l.t, run, "the output differs from the README's:\n%s", s.commands)
		matches = true
	}
	require.Empty(l.t, sh.failedCalls(), "failed calls of:\n%s\n%s", s.commands, output)
	require.Zero(l.t, code, "exit code of:\n%s\n%s", s.commands, output)
	if !matches {
		testenv.Eventually(l.t, func() bool { return missingLine(s.output, streamed()) == "" },
			"the README shows %q. These commands printed:\n%s\n%s", missingLine(s.output, output), s.commands, output)
	}
}

// The README's session with the command line prints what the README shows, and its probes succeed.
func TestReadme_CommandLineWorks(t *testing.T) {
	short.Skip(t, "builds and runs a program")
	bin := t.TempDir()
	require.NoError(t, harness.Build(t.Context(), bin, "cmd/blox"))
	l := startLocal(t, "--instances", "3")
	sh := startShell(t, "PATH="+bin+":"+os.Getenv("PATH"),
		"BLOX_ENDPOINT="+l.ds, "BLOX_CSS_ENDPOINT="+l.css, "BLOX_SIM_ENDPOINT="+l.sim)

	steps := parseSession(codeBlocks(readmeSection(t, "## The command line", "## Install with Docker Compose")))
	require.Greater(t, len(steps), 5, "the session's commands are recognized")
	for _, s := range steps {
		l.awaitSettled()
		output, code := sh.run(s.commands)
		require.Zero(t, code, "exit code of:\n%s\n%s", s.commands, output)
		require.Empty(t, missingLine(s.output, output), "missing in the output of:\n%s\n%s", s.commands, output)
	}

	probes := regexp.MustCompile(`(?m)^blox probe .*--once.*$`).FindAllString(
		readmeSection(t, "### Health and monitoring", "## Documentation"), -1)
	require.NotEmpty(t, probes)
	for _, command := range probes {
		output, code := sh.run(command)
		require.Zero(t, code, "exit code of:\n%s\n%s", command, output)
	}
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

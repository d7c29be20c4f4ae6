package command_test

import (
	"bytes"
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/blox/blox/cmd/blox/command"
	"github.com/blox/blox/internal/testenv"
)

func root() *cobra.Command {
	noVariables := func(string) string { return "" }
	return command.New(command.Program{
		In: strings.NewReader(""), Out: &bytes.Buffer{}, Err: &bytes.Buffer{}, Getenv: noVariables,
	})
}

func each(cmd *cobra.Command, do func(*cobra.Command)) {
	do(cmd)
	for _, child := range cmd.Commands() {
		each(child, do)
	}
}

// Every example in the help is a valid command line.
func TestHelp_ExamplesParse(t *testing.T) {
	n := 0
	each(root(), func(cmd *cobra.Command) {
		text := strings.ReplaceAll(cmd.Example+"\n"+cmd.Long, "\\\n", " ")
		for _, line := range strings.Split(text, "\n") {
			if !strings.HasPrefix(line, "  blox ") {
				continue
			}
			line, _, _ = strings.Cut(line, " | ")
			line, _, _ = strings.Cut(line, " && ")
			line, _, _ = strings.Cut(line, "  #")
			n++
			fresh := root() // flags keep the values of an earlier parse
			found, args, err := fresh.Find(words(line)[1:])
			require.NoError(t, err, line)
			require.NoError(t, found.ParseFlags(args), line)
			assert.NoError(t, found.ValidateArgs(found.Flags().Args()), line)
			assert.NotNil(t, found.RunE, line)
			assert.False(t, found.HasSubCommands(), line)
		}
	})
	assert.Greater(t, n, 20)
}

// words splits a line as a shell does.
func words(line string) []string {
	var list []string
	for _, word := range regexp.MustCompile(`'[^']*'|"[^"]*"|\S+`).FindAllString(line, -1) {
		list = append(list, strings.Trim(word, `'"`))
	}
	return list
}

func TestHelp_ListsCommandsAndExitCodes(t *testing.T) {
	each(root(), func(cmd *cobra.Command) {
		name := cmd.CommandPath()
		assert.NotEmpty(t, cmd.Short, name)
		assert.False(t, strings.HasSuffix(cmd.Short, "."), name)
		for _, line := range strings.Split(cmd.Long+"\n"+cmd.Example, "\n") {
			assert.LessOrEqual(t, utf8.RuneCountInString(line), 120, "%s: %s", name, line)
		}
		cmd.LocalFlags().VisitAll(func(f *pflag.Flag) { assert.NotEmpty(t, f.Usage, "%s --%s", name, f.Name) })
		if cmd.RunE != nil && !cmd.HasSubCommands() {
			assert.NotNil(t, cmd.Args, "%s does not validate its arguments", name)
			assert.NotNil(t, cmd.ValidArgsFunction, "%s completes arguments with files", name)
		}
	})
	h := &harness{t: t}
	assert.Contains(t, h.mustRun("--help"), "Usage:\n  blox [command]")
	assert.Contains(t, h.mustRun("help", "deployments", "create"), "0 completed, 3 failed")
	assert.Contains(t, h.mustRun("environments"), "Available Commands:")
	assert.Regexp(t, `^blox \S+`, h.mustRun("--version"))
}

func TestCompletion_OffersNames(t *testing.T) {
	h := newHarness(t)
	h.sim.AddInstances("prod", 1)
	for _, name := range []string{"web-agent", "logs"} {
		h.mustRun("environments", "create", name, "--cluster", "default", "--task-definition", "agent")
	}
	complete := func(args ...string) []string {
		t.Helper()
		lines := strings.Split(strings.TrimSpace(h.mustRun(append([]string{"__complete"}, args...)...)), "\n")
		require.Equal(t, ":4", lines[len(lines)-1], "the completion disables file names")
		var found []string
		for _, line := range lines[:len(lines)-1] {
			word, _, _ := strings.Cut(line, "\t")
			found = append(found, word)
		}
		return found
	}
	assert.ElementsMatch(t, []string{"web-agent", "logs"}, complete("environments", "describe", ""))
	assert.Contains(t, complete("deployments", "create", "w"), "web-agent")
	assert.Empty(t, complete("environments", "describe", "logs", ""), "there is no second argument")
	h.mustRun("deployments", "create", "logs")
	ids := strings.Fields(h.mustRun("deployments", "list", "logs", "-q"))
	assert.Equal(t, ids, complete("deployments", "describe", "logs", ""))
	testenv.Eventually(t, func() bool { return strings.Join(complete("clusters", "describe", ""), " ") == "prod" })
	assert.Equal(t, []string{"prod"}, complete("tasks", "list", "--cluster", ""))
	assert.Equal(t, []string{"table", "wide", "name", "json", "yaml", "jsonpath="}, complete("tasks", "list", "-o", ""))
	assert.Contains(t, complete("tasks", "list", "--status", "R"), "RUNNING")
	assert.Contains(t, complete("environments", ""), "create")
	assert.Empty(t, complete("tasks", "list", ""))

	// Completion neither waits for an unavailable service nor prints an error.
	h.environment["BLOX_ENDPOINT"] = silentServer(t)
	assert.Empty(t, complete("environments", "describe", ""))
	for _, shell := range []string{"bash", "zsh", "fish", "powershell"} {
		assert.Contains(t, h.mustRun("completion", shell), "blox")
	}
}

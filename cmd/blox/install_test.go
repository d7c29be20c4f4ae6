package main

import (
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/blox/blox/cmd/blox/command"
	"github.com/blox/blox/internal/testenv/short"
)

// makeTarget runs a target of the Makefile that installs into dir, with a blox that it builds in bin.
func makeTarget(t *testing.T, target, dir, bin string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "make", "-C", "../..", target, "DESTDIR="+dir, "PREFIX=/usr", "BIN="+bin)
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s", out)
}

func installedFiles(t *testing.T, dir string) (paths []string) {
	t.Helper()
	require.NoError(t, filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err == nil && !entry.IsDir() {
			paths = append(paths, strings.TrimPrefix(path, dir))
		}
		return err
	}))
	return paths
}

// make install installs the program, a man page for each command, and the completions; make uninstall removes them.
func TestMake_InstallsAndUninstalls(t *testing.T) {
	short.Skip(t, "builds blox")
	dir, bin := t.TempDir(), t.TempDir()
	makeTarget(t, "install", dir, bin)
	files := installedFiles(t, dir)
	for _, want := range []string{
		"/usr/bin/blox", "/usr/share/bash-completion/completions/blox", "/usr/share/zsh/site-functions/_blox",
		"/usr/share/fish/vendor_completions.d/blox.fish",
	} {
		assert.Contains(t, files, want)
	}
	out, err := exec.CommandContext(t.Context(), filepath.Join(dir, "usr/bin/blox"), "--version").Output()
	require.NoError(t, err)
	assert.Regexp(t, `^blox \S+`, string(out))

	pages := 0
	root := command.New(command.Program{Getenv: func(string) string { return "" }})
	root.InitDefaultCompletionCmd()
	eachCommand(root, func(cmd *cobra.Command) {
		page := "/usr/share/man/man1/" + strings.ReplaceAll(cmd.CommandPath(), " ", "-") + ".1"
		if assert.Contains(t, files, page) {
			pages++
			assertDocuments(t, filepath.Join(dir, page), cmd)
		}
	})
	assert.Len(t, files, pages+4, "nothing else is installed")

	makeTarget(t, "uninstall", dir, bin)
	assert.Empty(t, installedFiles(t, dir))
}

// eachCommand calls do for the command and all subcommands that help shows.
func eachCommand(cmd *cobra.Command, do func(*cobra.Command)) {
	do(cmd)
	for _, child := range cmd.Commands() {
		if child.IsAvailableCommand() {
			eachCommand(child, do)
		}
	}
}

// assertDocuments asserts that a man page names every flag of the command, and that the renderers that are installed
// report no warning.
func assertDocuments(t *testing.T, page string, cmd *cobra.Command) {
	t.Helper()
	text, err := os.ReadFile(page)
	require.NoError(t, err)
	assert.Contains(t, string(text), "\n.SH NAME\n")
	for _, flags := range []*pflag.FlagSet{cmd.NonInheritedFlags(), cmd.InheritedFlags()} {
		flags.VisitAll(func(f *pflag.Flag) {
			option := regexp.MustCompile(`(?m)^\.TP\n\\fB(-\w\\fP, \\fB)?--` + f.Name + `\\fP.*\n.+`)
			assert.Regexp(t, option, string(text), cmd.CommandPath())
		})
	}
	for _, renderer := range [][]string{
		{"groff", "-man", "-Tutf8", "-ww", "-z"}, {"mandoc", "-T", "lint", "-W", "warning"},
	} {
		if _, err := exec.LookPath(renderer[0]); err == nil {
			out, err := exec.CommandContext(t.Context(), renderer[0], append(renderer[1:], page)...).CombinedOutput()
			assert.NoError(t, err, page)
			assert.Empty(t, string(out), page)
		}
	}
}

package command

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/blox/blox/internal/docs"
)

var exitCodeLine = regexp.MustCompile(`(?m)^ +(\d+)  (.*(?:\n {7}\S.*)*)$`)

// The page has the exit codes of the root command's help.
func TestReference_ExitCodes(t *testing.T) {
	table := docs.Table{Header: []string{"exit code", "command", "meaning"}}
	for _, code := range exitCodeLine.FindAllStringSubmatch(rootHelp, -1) {
		for meaning := range strings.SplitSeq(strings.Join(strings.Fields(code[2]), " "), "; ") {
			command, rest, found := strings.Cut(strings.TrimPrefix(meaning, "error: "), ": ")
			if !found {
				command, rest = "", command
			}
			table.Add(code[1], docs.Code(command), docs.Sentence(docs.Plain(rest)))
		}
	}
	require.NotEmpty(t, table.Rows)
	docs.Check(t, "../docs/reference/exit-codes.md", "exit-codes", table.String())
}

func TestReference_Commands(t *testing.T) {
	root := New(Program{Getenv: func(string) string { return "" }})
	root.InitDefaultCompletionCmd()
	all := docs.Table{Header: []string{"command", "description"}}
	var sections strings.Builder
	addCommands(root, &all, &sections)
	docs.Check(t, "../docs/reference/commands.md", "commands", all.String())
	docs.Check(t, "../docs/reference/commands.md", "flags", flagTable(root.PersistentFlags()))
	docs.Check(t, "../docs/reference/commands.md", "details", sections.String())
}

// variables are those that set no flag of a service's clients.
var variables = []docs.Variable{
	{Name: "BLOX_ENDPOINT", Meaning: "Default of --endpoint."},
	{Name: "BLOX_CSS_ENDPOINT", Meaning: "Default of --css-endpoint."},
	{Name: "BLOX_SIM_ENDPOINT", Default: "http://127.0.0.1:4566", Meaning: "URL of the simulator."},
	{Name: "BLOX_CA", Meaning: "Default of --ca."},
	{Name: "BLOX_CERT", Meaning: "Default of --cert."},
	{Name: "BLOX_KEY", Meaning: "Default of --key."},
	{Name: "BLOX_TOKEN_FILE", Meaning: "Default of --token-file."},
	{Name: "BLOX_TOKEN", Meaning: "Bearer token for both services, instead of a file."},
	{Name: "BLOX_SIGV4", Meaning: "Default of --sigv4: true or false."},
	{Name: "BLOX_CONTEXT", Meaning: "Default of --context."},
	{Name: "BLOX_CONFIG", Meaning: "File of the contexts."},
	{Name: "NO_COLOR", Meaning: "If set, blox prints no colours."},
	{Name: "SOURCE_DATE_EPOCH", Meaning: "Date of the man pages that \"blox man\" writes, in Unix time."},
}

var readVariable = regexp.MustCompile(`"(BLOX_[A-Z0-9_]+|NO_COLOR)"`)

func TestReference_Variables(t *testing.T) {
	table := docs.Table{Header: []string{"variable", "default", "description"}}
	described := map[string]bool{}
	for _, v := range variables {
		described[v.Name] = true
		table.Add(docs.Code(v.Name), docs.Code(v.Default), docs.Plain(v.Meaning))
	}
	docs.Check(t, "../docs/reference/commands.md", "variables", table.String())
	for _, folder := range []string{".", "../connect", "../show"} {
		files, err := filepath.Glob(folder + "/*.go")
		require.NoError(t, err)
		for _, file := range files {
			if strings.HasSuffix(file, "_test.go") {
				continue
			}
			text, err := os.ReadFile(file)
			require.NoError(t, err)
			for _, name := range readVariable.FindAllStringSubmatch(string(text), -1) {
				assert.True(t, described[name[1]], "%s reads %s, which has no row", file, name[1])
			}
		}
	}
}

func addCommands(parent *cobra.Command, all *docs.Table, sections *strings.Builder) {
	for _, cmd := range parent.Commands() {
		if !cmd.IsAvailableCommand() || cmd.Name() == "help" || cmd.Name() == "completion" {
			continue
		}
		if !cmd.HasSubCommands() {
			path := cmd.CommandPath()
			all.Add("["+docs.Code(path)+"](#"+docs.Anchor(path)+")", docs.Sentence(docs.Plain(cmd.Short)))
			fmt.Fprintf(sections, "### %s\n\n```\n%s\n```\n\n", path, strings.TrimSpace(cmd.UseLine()))
			if cmd.Long == "" {
				sections.WriteString(docs.Sentence(docs.Plain(cmd.Short)) + "\n\n")
			} else {
				fmt.Fprintf(sections, "```text\n%s\n```\n\n", strings.TrimSpace(cmd.Long))
			}
			if flags := flagTable(cmd.LocalNonPersistentFlags()); flags != "" {
				sections.WriteString(flags + "\n")
			}
		}
		addCommands(cmd, all, sections)
	}
}

// flagTable returns the flags in Markdown; empty if there are none.
func flagTable(flags *pflag.FlagSet) string {
	table := docs.Table{Header: []string{"flag", "default", "description"}}
	flags.VisitAll(func(f *pflag.Flag) {
		if f.Hidden || f.Name == "help" {
			return
		}
		value, usage := pflag.UnquoteUsage(f)
		name := "--" + f.Name
		if f.Shorthand != "" {
			name = "-" + f.Shorthand + ", " + name
		}
		initial := f.DefValue
		if initial == "[]" || initial == "false" || initial == "0" || initial == "0s" {
			initial = ""
		}
		table.Add(docs.Code(strings.TrimSpace(name+" "+value)), docs.Code(initial), docs.Sentence(docs.Plain(usage)))
	})
	if len(table.Rows) == 0 {
		return ""
	}
	return table.String()
}

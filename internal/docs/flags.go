package docs

import (
	"io"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Variable is an environment variable without a flag.
type Variable struct {
	Name    string
	Default string
	Meaning string
}

// Program is a program that reads flags and environment variables.
type Program struct {
	Prefix    string // of its variables, such as DS for DS_BIND
	Parse     func(args []string, getenv func(string) string, help io.Writer) error
	Valid     []string   // a valid command line
	Variables []Variable // those without a flag
}

// CheckFlags checks the blocks `flags` and `variables` of the page.
func CheckFlags(t *testing.T, page string, p Program) {
	t.Helper()
	var help strings.Builder
	var read []string
	getenv := func(name string) string {
		if strings.HasPrefix(name, p.Prefix+"_") && !slices.Contains(read, name) {
			read = append(read, name)
		}
		return ""
	}
	require.Error(t, p.Parse([]string{"--help"}, getenv, &help))
	require.NoError(t, p.Parse(p.Valid, getenv, io.Discard))
	flags := Table{Header: []string{"flag", "variable", "default", "description"}}
	for _, f := range parseHelp(help.String()) {
		variable := ""
		for _, name := range []string{f.variable(p.Prefix), f.variable(p.Prefix) + "S"} {
			if n := slices.Index(read, name); n >= 0 {
				variable, read = name, slices.Delete(read, n, n+1)
			}
		}
		flags.Add(Code(strings.TrimSpace("--"+f.name+" "+f.value)), Code(variable), Code(f.initial), Plain(f.usage))
	}
	require.Greater(t, len(flags.Rows), 15)
	variables := Table{Header: []string{"variable", "default", "description"}}
	for _, v := range p.Variables {
		variables.Add(Code(v.Name), Code(v.Default), Plain(v.Meaning))
		read = slices.DeleteFunc(read, func(name string) bool { return name == v.Name })
	}
	assert.Empty(t, read, "variables without a flag and without a description")
	Check(t, page, "flags", flags.String())
	Check(t, page, "variables", variables.String())
}

// flagHelp is the help of a flag, as package flag prints it.
type flagHelp struct{ name, value, usage, initial string }

// variable returns the name of the flag's variable, if it has one.
func (f flagHelp) variable(prefix string) string {
	return prefix + "_" + strings.ToUpper(strings.ReplaceAll(f.name, "-", "_"))
}

var (
	flagPattern    = regexp.MustCompile(`(?m)^  -([a-z0-9-]+)(?: (\S+))?\n    \t(.*(?:\n    \t.*)*)$`)
	defaultPattern = regexp.MustCompile(`^(.*) \(default "?([^()"]+)"?\)$`)
	wholeDuration  = regexp.MustCompile(`([hm])(?:0m)?0s$`)
)

func parseHelp(help string) (flags []flagHelp) {
	for _, found := range flagPattern.FindAllStringSubmatch(help, -1) {
		f := flagHelp{name: found[1], value: found[2], usage: strings.ReplaceAll(found[3], "\n    \t", " ")}
		if parts := defaultPattern.FindStringSubmatch(f.usage); parts != nil {
			f.usage, f.initial = parts[1], wholeDuration.ReplaceAllString(parts[2], "$1")
		}
		f.usage = Sentence(f.usage)
		flags = append(flags, f)
	}
	return flags
}

// Sentence returns a text of help with a capital letter and a full stop.
func Sentence(text string) string {
	text = strings.TrimSpace(text)
	if text == "" {
		return ""
	}
	text = strings.ToUpper(text[:1]) + text[1:]
	return strings.TrimSuffix(text, ".") + "."
}

// SDKVariables are the variables of the AWS SDK that both services read.
var SDKVariables = []Variable{
	{"AWS_REGION", "", "Region of ECS and of the queue."},
	{"AWS_PROFILE", "default", "Profile in ~/.aws/config and ~/.aws/credentials."},
	{
		"AWS_ACCESS_KEY_ID", "",
		"Access key. Without it, the SDK uses the profile, then the role of the ECS task or the machine.",
	},
	{"AWS_SECRET_ACCESS_KEY", "", "Secret of the access key."},
	{"AWS_SESSION_TOKEN", "", "Session token of temporary credentials."},
	{"AWS_ENDPOINT_URL", "", "Endpoint of all AWS services."},
	{"ECS_ENDPOINT", "", "Endpoint of ECS alone, as in v0.3."},
}

// LogVariables returns the variables of the log of a service.
func LogVariables(prefix string) []Variable {
	return []Variable{
		{prefix + "_LOG_FILE", "", "Path of a rotated log file, in addition to stderr."},
		{
			prefix + "_LOG_LEVEL", "info",
			"Level of the log: debug, info, warn, error, crit or none. Any other value is info.",
		},
	}
}

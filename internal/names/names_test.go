package names

import (
	"os"
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestNames_ReplacedOnesStayAway(t *testing.T) {
	rules, err := ParseRules(rulesText)
	require.NoError(t, err)
	declared, err := Declarations(os.DirFS("../.."))
	require.NoError(t, err)
	require.NotEmpty(t, declared)
	messages := rules.Check(declared)
	for _, message := range messages {
		t.Error(message)
	}
	t.Logf("%d declarations, %d rules, %d findings", len(declared), len(rules.Rules), len(messages))
}

func TestRulesText_IsValid(t *testing.T) {
	rules, err := ParseRules(rulesText)
	require.NoError(t, err)
	assert.NotEmpty(t, rules.Rules)
}

const exampleRules = `
# The rules of the tests below.
[.]
word: tenure -> leader state
metric: view -> cache
flag: batch -> batch-size
[cache]
package: view -> cache
file: rounds -> notifier
type: call -> notifier
any: fresh -> WaitCurrent
top: left -> forgetDeparted
[cache/service.go]
var: dials -> options
[cmd]
command: canary -> probe
[swagger]
api: decision decisions -> events
`

func TestRules_ForbidDeclaration(t *testing.T) {
	for name, tc := range map[string]struct {
		file, text, want string
	}{
		"a package": {
			"cache/a.go", "package view", `cache/a.go:1: package view: replace "view" by: cache`},
		"a file": {
			"cache/rounds.go", "package cache", `cache/rounds.go:1: file rounds: replace "rounds" by: notifier`},
		"a type": {
			"cache/a.go", "package cache\ntype call int", `cache/a.go:2: type call: replace "call" by: notifier`},
		"a function": {
			"cache/a.go", "package cache\nfunc Fresh() {}", `cache/a.go:2: func Fresh: replace "fresh" by: WaitCurrent`},
		"a method": {
			"cache/a.go", "package cache\nfunc (c *Cache) left() {}",
			`cache/a.go:2: func left: replace "left" by: forgetDeparted`},
		"a method of an interface": {
			"cache/a.go", "package cache\ntype Reader interface {\n\tFresh()\n}",
			`cache/a.go:3: func Fresh: replace "fresh" by: WaitCurrent`},
		"a field": {
			"cache/a.go", "package cache\ntype Cache struct {\n\tfresh bool\n}",
			`cache/a.go:3: field fresh: replace "fresh" by: WaitCurrent`},
		"a constant": {
			"cache/a.go", "package cache\nconst fresh = 1", `cache/a.go:2: var fresh: replace "fresh" by: WaitCurrent`},
		"a parameter": {
			"cache/a.go", "package cache\nfunc Read(fresh bool) {}",
			`cache/a.go:2: local fresh: replace "fresh" by: WaitCurrent`},
		"a local variable": {
			"cache/a.go", "package cache\nfunc Read() {\n\tfor _, fresh := range 1 {}\n}",
			`cache/a.go:3: local fresh: replace "fresh" by: WaitCurrent`},
		"a variable of one file": {
			"cache/service.go", "package cache\nfunc Run() { dials := 1 }",
			`cache/service.go:2: local dials: replace "dials" by: options`},
		"a name of a test": {
			"cache/a_test.go", "package cache\nfunc TestTenure_Ends(t *testing.T) {}",
			`cache/a_test.go:2: func TestTenure_Ends: replace "tenure" by: leader state`},
		"a word in a longer name": {
			"engine/a.go", "package engine\nvar leaderTenure int",
			`engine/a.go:2: var leaderTenure: replace "tenure" by: leader state`},
		"a flag": {
			"cmd/a.go", `package a; var _ = flags.Int("batch", 1, "")`,
			`cmd/a.go:1: flag batch: replace "batch" by: batch-size`},
		"a flag with a variable": {
			"cmd/a.go", `package a; func f() { flags.IntVarP(&n, "batch", "b", 1, "") }`,
			`cmd/a.go:1: flag batch: replace "batch" by: batch-size`},
		"a command": {
			"cmd/a.go", `package a; var _ = cobra.Command{Use: "canary NAME"}`,
			`cmd/a.go:1: command canary: replace "canary" by: probe`},
		"an alias of a command": {
			"cmd/a.go", `package a; var _ = cobra.Command{Use: "probe", Aliases: []string{"canary"}}`,
			`cmd/a.go:1: command canary: replace "canary" by: probe`},
		"a word of a metric": {
			"cache/a.go", `package cache; var _ = prometheus.GaugeOpts{Name: "blox_css_view_lag"}`,
			`cache/a.go:1: metric blox_css_view_lag: replace "view" by: cache`},
		"a metric without the service's prefix": {
			"cache/a.go", `package cache; var _ = prometheus.GaugeOpts{Name: "blox_lag"}`,
			`cache/a.go:1: metric blox_lag: want one of the prefixes blox_css_ blox_ds_ blox_probe_`},
		"a shared package's metric with a prefix": {
			"internal/httpserver/a.go", `package a; var _ = prometheus.GaugeOpts{Name: "blox_css_requests"}`,
			`internal/httpserver/a.go:1: metric blox_css_requests: a shared package's metric has no prefix of its own`},
		"a path of an API": {
			"swagger/swagger.json", `{"paths": {"/decisions/{id}": {}}}`,
			`swagger/swagger.json:1: api /decisions/{id}: replace "decisions" by: events`},
		"a property of an API": {
			"swagger/swagger.json", `{"definitions": {"Line": {"properties": {` + "\n" + `"lastDecision": {}}}}}`,
			`swagger/swagger.json:2: api lastDecision: replace "decision" by: events`},
		"a parameter of an API": {
			"swagger/swagger.json", `{"paths": {"/x": {"get": {"parameters": [{"name": "decision"}]}}}}`,
			`swagger/swagger.json:1: api decision: replace "decision" by: events`},
	} {
		t.Run(name, func(t *testing.T) {
			assert.Equal(t, []string{tc.want}, check(t, exampleRules, tc.file, tc.text))
		})
	}
}

func TestRules_AllowDeclaration(t *testing.T) {
	for name, tc := range map[string]struct{ file, text string }{
		"a name of a different area":          {"engine/a.go", "package engine\nfunc Fresh() {}"},
		"a name of a folder with this prefix": {"cached/a.go", "package cached\nfunc Fresh() {}"},
		"a longer name":                       {"cache/a.go", "package cache\nfunc Refresh() {}\nfunc FreshUntil() {}"},
		"an ordinary word, as a variable":     {"cache/a.go", "package cache\nfunc f(left int) { left = 1 }"},
		"the use of a library's name":         {"cache/a.go", "package cache\nfunc f() { lib.Fresh(lib.Tenure) }"},
		"a flag's name in a different call":   {"cmd/a.go", `package a; var _ = strings.Cut("batch", "-")`},
		"a generated file":                    {"swagger/x/v1/models/a.go", "package models\ntype Tenure int"},
		"a shared package's metric": {
			"internal/awsconfig/a.go", `package a; var _ = prometheus.GaugeOpts{Name: "aws_calls_total"}`},
	} {
		t.Run(name, func(t *testing.T) {
			assert.Empty(t, check(t, exampleRules, tc.file, tc.text))
		})
	}
}

func TestRules_ExceptionAllowsOneNameInOneFile(t *testing.T) {
	rules := exampleRules + "except cache/a.go Fresh: the interface of a library has this method\n"
	text := "package cache\nfunc (Cache) Fresh() {}"
	assert.Empty(t, check(t, rules, "cache/a.go", text))
	assert.Len(t, check(t, rules, "cache/b.go", text), 2, "the name in a different file, and an exception that is unused")
}

func TestParseRules_RejectsMalformedLine(t *testing.T) {
	for name, text := range map[string]string{
		"no kind":                    "[.]\nfresh -> WaitCurrent",
		"an unknown kind":            "[.]\nverb: fresh -> WaitCurrent",
		"no name":                    "[.]\nany: -> WaitCurrent",
		"no replacement":             "[.]\nany: fresh",
		"no folder":                  "any: fresh -> WaitCurrent",
		"an exception without cause": "[.]\nexcept a.go Fresh:",
	} {
		t.Run(name, func(t *testing.T) {
			_, err := ParseRules(text)
			assert.ErrorContains(t, err, "line ")
		})
	}
}

func TestWords_SplitsNames(t *testing.T) {
	for name, want := range map[string][]string{
		"leaderTenure":     {"leader", "tenure"},
		"ECSCluster":       {"ecs", "cluster"},
		"etcd-batch-size":  {"etcd", "batch", "size"},
		"blox_css_lag":     {"blox", "css", "lag"},
		"/decisions/{id}":  {"decisions", "id"},
		"TestTenure_Ends2": {"test", "tenure", "ends2"},
	} {
		assert.Equal(t, want, words(name), name)
	}
}

// check returns the messages of the rules for a module that consists of one file.
func check(t *testing.T, rulesText, file, text string) []string {
	rules, err := ParseRules(rulesText)
	require.NoError(t, err)
	declared, err := Declarations(fstest.MapFS{file: {Data: []byte(text)}})
	require.NoError(t, err)
	return rules.Check(declared)
}

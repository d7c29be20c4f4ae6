package docs_test

import (
	"flag"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	clusterstate "github.com/blox/blox/cluster-state-service"
	"github.com/blox/blox/cmd/blox/command"
	daemonscheduler "github.com/blox/blox/daemon-scheduler"
	"github.com/blox/blox/internal/docs"
)

// reference returns the pages of the reference.
func reference(pages []docs.Page) (text string) {
	for _, p := range pages {
		if strings.Contains(p.Path, "docs/reference/") {
			text += p.Text
		}
	}
	return text
}

// guides returns all other pages. The changelog also names removed flags.
func guides(pages []docs.Page) []docs.Page {
	return slices.DeleteFunc(slices.Clone(pages), func(p docs.Page) bool {
		return strings.Contains(p.Path, "docs/reference/") || p.Path == "CHANGELOG.md"
	})
}

// flagsOfPrograms returns the flags of the services and of blox.
func flagsOfPrograms(t *testing.T) map[string]bool {
	t.Helper()
	known := map[string]bool{"help": true}
	var help strings.Builder
	noVariables := func(string) string { return "" }
	_, err := clusterstate.ParseConfig([]string{"--help"}, noVariables, &help)
	require.ErrorIs(t, err, flag.ErrHelp)
	_, err = daemonscheduler.ParseConfig([]string{"--help"}, noVariables, &help)
	require.ErrorIs(t, err, flag.ErrHelp)
	for _, found := range regexp.MustCompile(`(?m)^  -([a-z0-9-]+)`).FindAllStringSubmatch(help.String(), -1) {
		known[found[1]] = true
	}
	addFlags(known, command.New(command.Program{
		In: strings.NewReader(""), Out: io.Discard, Err: io.Discard, Getenv: noVariables,
	}))
	for _, folder := range []string{
		"cmd/ecs-sim", "internal/bench", "internal/robustness", "internal/local", "internal/mutation",
	} {
		for _, text := range sources(t, folder) {
			for _, found := range definedFlag.FindAllStringSubmatch(text, -1) {
				known[found[1]] = true
			}
		}
	}
	return known
}

var definedFlag = regexp.MustCompile(`\.(?:\w*Var|Func|String|Bool|Int|Duration)\((?:&[\w.]+, )?\s*"([a-z][a-z0-9-]+)"`)

// sources returns the Go files of a folder.
func sources(t *testing.T, folder string) (texts []string) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(root, folder, "*.go"))
	require.NoError(t, err)
	require.NotEmpty(t, files)
	for _, file := range files {
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		texts = append(texts, string(text))
	}
	return texts
}

func addFlags(known map[string]bool, cmd *cobra.Command) {
	add := func(f *pflag.Flag) { known[f.Name] = true }
	cmd.Flags().VisitAll(add)
	cmd.PersistentFlags().VisitAll(add)
	for _, child := range cmd.Commands() {
		addFlags(known, child)
	}
}

// flagsOfOthers are the flags of programs of others that the pages name: aws, curl, docker, etcd, etcdctl, and the
// scripts of v0.3.
var flagsOfOthers = []string{
	"apigateway", "auto-compaction-mode", "auto-compaction-retention", "aws-service-name", "aws-sigv4", "command-timeout",
	"endpoint-url", "endpoints", "instance-id", "network", "parameters", "queue-url", "quota-backend-bytes", "tail",
	"target", "volumes", "write-out",
}

var namedFlag = regexp.MustCompile("`(?:[a-z-]+ )*--([a-z][a-z0-9-]+)")

func TestPages_NameFlagsThatExist(t *testing.T) {
	known := flagsOfPrograms(t)
	named := 0
	for _, p := range guides(docs.Pages(t, root)) {
		for _, found := range namedFlag.FindAllStringSubmatch(p.Prose(), -1) {
			named++
			assert.True(t, known[found[1]] || slices.Contains(flagsOfOthers, found[1]), "%s names --%s", p.Path, found[1])
		}
	}
	assert.Greater(t, named, 100)
}

var namedMetric = regexp.MustCompile(`\bblox_(?:css|ds|probe)_[a-z0-9_]+\b`)

// histogramSuffixes are those of a histogram's series.
var histogramSuffixes = regexp.MustCompile(`_(bucket|sum|count)$`)

func TestPages_NameMetricsThatExist(t *testing.T) {
	pages := docs.Pages(t, root)
	listed := reference(pages)
	for _, p := range guides(pages) {
		for _, name := range namedMetric.FindAllString(p.Text, -1) {
			base := histogramSuffixes.ReplaceAllString(name, "")
			known := strings.Contains(listed, docs.Code(name)) || strings.Contains(listed, docs.Code(base))
			assert.True(t, known || strings.HasSuffix(name, "_"), "%s names %s", p.Path, name)
		}
	}
}

var composeVariable = regexp.MustCompile(`\$\{(\w+)`)

var namedVariable = regexp.MustCompile(`\b(?:DS|CSS|BLOX)_[A-Z0-9_]+\b`)

func TestPages_NameVariablesThatExist(t *testing.T) {
	pages := docs.Pages(t, root)
	listed := reference(pages)
	for _, file := range []string{"docker-compose.yml", "deploy/docker/*.yml", "deploy/monitoring/docker-compose.yml"} {
		found, err := filepath.Glob(filepath.Join(root, file))
		require.NoError(t, err)
		for _, path := range found {
			text, err := os.ReadFile(path)
			require.NoError(t, err)
			for _, variable := range composeVariable.FindAllStringSubmatch(string(text), -1) {
				listed += docs.Code(variable[1])
			}
		}
	}
	for _, p := range guides(pages) {
		for _, name := range namedVariable.FindAllString(p.Text, -1) {
			assert.True(t, strings.Contains(listed, docs.Code(name)), "%s names %s", p.Path, name)
		}
	}
}

var namedCode = regexp.MustCompile("(?:\\b[45]\\d\\d|[Cc]ode) `([A-Z][A-Za-z]+)`")

func TestPages_NameErrorsThatExist(t *testing.T) {
	pages := docs.Pages(t, root)
	listed := reference(pages)
	for _, p := range guides(pages) {
		for _, found := range namedCode.FindAllStringSubmatch(p.Prose(), -1) {
			assert.True(t, strings.Contains(listed, "| `"+found[1]+"` |"), "%s names the error %s", p.Path, found[1])
		}
	}
}

// terms are the terms of Blox. The glossary explains each.
var terms = []string{
	"environment", "instance group", "revision", "deployment", "rollout", "reconcile", "drain", "canary", "wave",
	"surge", "launch record", "readiness attribute", "circuit breaker", "slow start", "takeover", "rollback", "condition",
	"event", "leader", "scale-in", "informer", "phantom task",
}

func TestGlossary_ExplainsEveryTerm(t *testing.T) {
	for _, p := range docs.Pages(t, root) {
		if p.Path != "daemon-scheduler/docs/concepts.md" {
			continue
		}
		for _, term := range terms {
			explained := regexp.MustCompile(`(?mi)^#{1,6} .*\b` + term)
			assert.True(t, explained.MatchString(p.Text), "%s does not explain %s", p.Path, term)
		}
	}
}

package docs_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/blox/blox/internal/docs"
)

var (
	listItem   = regexp.MustCompile(`(?m)^(?:\d+\.|-) .*(?:\n {2,}.*)*`)
	linkedFile = regexp.MustCompile(`\]\(([^)#]+\.go)\)`)
	identifier = regexp.MustCompile("`([A-Za-z_]\\w*)`")
)

// missingIdentifiers returns the identifiers of each list item that no Go file linked in the item contains.
func missingIdentifiers(markdown string, read func(file string) string) (missing []string) {
	for _, item := range listItem.FindAllString(markdown, -1) {
		files := linkedFile.FindAllStringSubmatch(item, -1)
		source := ""
		for _, file := range files {
			source += read(file[1])
		}
		for _, name := range identifier.FindAllStringSubmatch(item, -1) {
			inSource := regexp.MustCompile(`(?i)\b` + name[1] + `\b`).MatchString(source)
			if len(files) > 0 && !inSource {
				missing = append(missing, name[1])
			}
		}
	}
	return missing
}

func TestArchitecture_NamesIdentifiersOfTheFiles(t *testing.T) {
	for _, service := range []string{"cluster-state-service", "daemon-scheduler"} {
		text, err := os.ReadFile(filepath.Join(root, service, "ARCHITECTURE.md"))
		require.NoError(t, err)
		assert.Empty(t, missingIdentifiers(string(text), func(file string) string {
			source, err := os.ReadFile(filepath.Join(root, service, file))
			require.NoError(t, err)
			return string(source)
		}), service)
	}
}

func TestMissingIdentifiers_ComparesItemsWithTheirFiles(t *testing.T) {
	read := func(string) string { return "func known() {}" }
	markdown := "1. [a](a.go): `known` and\n   `gone`\n2. no link: `other`\n"
	assert.Equal(t, []string{"gone"}, missingIdentifiers(markdown, read))
}

// tracedFiles returns the Go files that a trace links.
func tracedFiles(architecture, trace string) (files, packages map[string]bool) {
	_, section, _ := strings.Cut(architecture, "\n## Trace: "+trace+"\n")
	section, _, _ = strings.Cut(section, "\n## ")
	files, packages = map[string]bool{}, map[string]bool{}
	for _, file := range linkedFile.FindAllStringSubmatch(section, -1) {
		files[file[1]], packages[filepath.Dir(file[1])] = true, true
	}
	return files, packages
}

// A behaviour can be read in few files.
func TestArchitecture_TracesTakeFiveFilesInTwoPackages(t *testing.T) {
	for trace, service := range map[string]string{
		"an instance drains": "daemon-scheduler", "the circuit breaker trips": "daemon-scheduler",
		"a stream resumes": "cluster-state-service",
	} {
		text, err := os.ReadFile(filepath.Join(root, service, "ARCHITECTURE.md"))
		require.NoError(t, err)
		files, packages := tracedFiles(string(text), trace)
		assert.NotEmpty(t, files, trace)
		assert.LessOrEqual(t, len(files), 5, trace)
		assert.LessOrEqual(t, len(packages), 2, trace)
	}
}

// Every folder of a service with code has its row, and the diagram links to it.
func TestArchitecture_ShowsEveryFolder(t *testing.T) {
	for _, service := range []string{"cluster-state-service", "daemon-scheduler"} {
		text, err := os.ReadFile(filepath.Join(root, service, "ARCHITECTURE.md"))
		require.NoError(t, err)
		folders, err := filepath.Glob(filepath.Join(root, service, "*", "*.go"))
		require.NoError(t, err)
		for _, path := range folders {
			folder := filepath.Base(filepath.Dir(path))
			assert.True(t, strings.Contains(string(text), "["+folder+"]("+folder+")"), "%s: %s", service, folder)
		}
		for _, target := range (docs.Page{Text: string(text)}).Links() {
			_, err := os.Stat(filepath.Join(root, service, target))
			assert.NoError(t, err)
		}
	}
}

package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"go/ast"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/blox/blox/internal/docs"
	"github.com/blox/blox/internal/testenv/short"
)

const root = "../.."

var (
	properName   = regexp.MustCompile(`^(ds|css)(-[a-z0-9]+)+$`)
	properCommit = regexp.MustCompile(`^([0-9a-f]{7})?$`)
)

// Code changes, and each mutation has to follow it.
func TestMutations_OccurInTheCode(t *testing.T) {
	names := map[string]bool{}
	for _, m := range mutations() {
		assert.Regexp(t, properName, m.name)
		assert.False(t, names[m.name], "%s stands twice in the table", m.name)
		names[m.name] = true
		assert.Regexp(t, properCommit, m.fixed, m.name)
		assert.NotEmpty(t, m.edits, m.name)
		changed, err := m.apply(root)
		assert.NoError(t, err)
		for file, text := range changed {
			source, err := os.ReadFile(filepath.Join(root, file))
			require.NoError(t, err)
			assert.NotEqual(t, string(source), text, "%s changes nothing in %s", m.name, file)
		}
		assertFinderExists(t, m)
	}
}

func assertFinderExists(t *testing.T, m mutation) {
	t.Helper()
	if m.by.pkg == "" {
		assert.NotEmpty(t, m.by.found, m.name)
		assert.Contains(t, m.by.args, "--seed", m.name)
		return
	}
	files, err := filepath.Glob(filepath.Join(root, m.by.pkg, "*_test.go"))
	require.NoError(t, err)
	var source strings.Builder
	for _, file := range files {
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		source.Write(text)
	}
	assert.NotEmpty(t, m.by.tests, m.name)
	for _, name := range m.by.tests {
		exists := strings.Contains(source.String(), "\nfunc "+name+"(t *testing.T) {")
		assert.True(t, exists, "%s: %s has no test %s", m.name, m.by.pkg, name)
	}
}

// A mutation that does not compile proves nothing. The test checks the types of each mutated package alone, against
// the compiled packages that it imports, which takes milliseconds.
func TestMutations_Compile(t *testing.T) {
	short.Skip(t, "compiles packages")
	var paths []string
	for _, m := range mutations() {
		for _, e := range m.edits {
			paths = append(paths, "./"+filepath.Dir(e.file))
		}
	}
	packages := listPackages(t, slices.Compact(slices.Sorted(slices.Values(paths))))
	for _, m := range mutations() {
		changed, err := m.apply(root)
		require.NoError(t, err)
		for file := range changed {
			assert.NoError(t, packages.check(filepath.Dir(file), changed), m.name)
		}
	}
}

type goPackage struct {
	Dir, ImportPath, Export string
	GoFiles                 []string
}

type packages struct {
	root     string
	byFolder map[string]goPackage
	files    *token.FileSet
	imports  types.Importer
}

// listPackages returns the packages at paths, and compiles the packages that they import.
func listPackages(t *testing.T, paths []string) packages {
	t.Helper()
	top, err := filepath.Abs(root)
	require.NoError(t, err)
	args := append([]string{"list", "-deps", "-export", "-json=Dir,ImportPath,Export,GoFiles"}, paths...)
	command := exec.CommandContext(t.Context(), "go", args...)
	var stderr bytes.Buffer
	command.Dir, command.Stderr = top, &stderr
	out, err := command.Output()
	require.NoError(t, err, stderr.String())
	exports := map[string]string{}
	found := packages{root: top, byFolder: map[string]goPackage{}, files: token.NewFileSet()}
	for decoder := json.NewDecoder(bytes.NewReader(out)); decoder.More(); {
		var p goPackage
		require.NoError(t, decoder.Decode(&p))
		exports[p.ImportPath] = p.Export
		found.byFolder[p.Dir] = p
	}
	found.imports = importer.ForCompiler(found.files, "gc", func(path string) (io.ReadCloser, error) {
		return os.Open(exports[path])
	})
	return found
}

// check checks the types of the package in a folder below the root, with the changed files.
func (p packages) check(folder string, changed map[string]string) error {
	listed := p.byFolder[filepath.Join(p.root, folder)]
	var parsed []*ast.File
	for _, name := range listed.GoFiles {
		var source any // nil: the file itself
		if text, ok := changed[filepath.Join(folder, name)]; ok {
			source = text
		}
		file, err := parser.ParseFile(p.files, filepath.Join(listed.Dir, name), source, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		parsed = append(parsed, file)
	}
	config := types.Config{Importer: p.imports}
	if _, err := config.Check(listed.ImportPath, p.files, parsed, nil); err != nil {
		return fmt.Errorf("%s: %w", folder, err)
	}
	return nil
}

func TestReference_Mutations(t *testing.T) {
	for name, area := range map[string][]mutation{
		"daemon-scheduler": schedulerMutations, "cluster-state-service": clusterStateMutations,
	} {
		table := docs.Table{Header: []string{"bug", "versions", "found by", "reproduction"}}
		for _, m := range area {
			versions := "none"
			if m.fixed != "" {
				versions = "before " + docs.Code(m.fixed)
			}
			table.Add(m.bug, versions, foundBy(m.by), docs.Code("make mutations RUN="+m.name))
		}
		docs.Check(t, "README.md", name, table.String())
	}
}

func foundBy(by finder) string {
	if by.pkg == "" {
		return docs.Code(by.String()) + ": " + by.found
	}
	return docs.Codes(by.tests) + " in " + docs.Code(by.pkg)
}

package layers

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/blox/blox/internal/testenv/short"
)

// With -v, the test prints the table beside the imports of every package.
func TestLayers_HoldForEveryPackage(t *testing.T) {
	short.Skip(t, "starts go list")
	table, err := ParseTable(layersText)
	require.NoError(t, err)
	packages := listPackages(t)
	require.NotEmpty(t, packages)
	assert.NoError(t, table.Check(packages))
	if testing.Verbose() {
		require.NoError(t, table.Print(t.Output(), packages))
	}
}

const exampleText = `
# The example of the tests below.
[services]
cache -> state
store -> state
state -> !net/http !go.etcd.io/...
[shared]
internal/arn ->
internal/etcd -> internal/tls
internal/tls ->
[generated]
swagger/... -> swagger/...
`

func TestTable_RejectsImport(t *testing.T) {
	for name, tc := range map[string]struct {
		from, to, want string
	}{
		"of a package without a row":          {"misc", "internal/arn", "misc has no row"},
		"of a sibling":                        {"cache", "store", "cache may not import store"},
		"of a package above":                  {"state", "cache", "state may not import cache"},
		"of a service by a shared package":    {"internal/arn", "state", "internal/arn may not import state"},
		"of shared by shared without a row":   {"internal/tls", "internal/arn", "may not import internal/arn"},
		"of a shared package by generated":    {"swagger/client", "internal/arn", "may not import internal/arn"},
		"of an import path that is forbidden": {"state", "!net/http", "state may not reach net/http"},
		"below a path that is forbidden":      {"state", "!go.etcd.io/etcd/client", "may not reach go.etcd.io/etcd"},
	} {
		t.Run(name, func(t *testing.T) {
			assert.ErrorContains(t, exampleTable(t).Check([]Package{importing(tc.from, tc.to)}), tc.want)
		})
	}
}

func TestTable_RejectsIndirectImportOfForbiddenPath(t *testing.T) {
	p := Package{ImportPath: module + "state", Imports: []string{"example.com/http"}, Deps: []string{"net/http"}}
	assert.ErrorContains(t, exampleTable(t).Check([]Package{p}), "state may not reach net/http")
}

func TestTable_AcceptsImport(t *testing.T) {
	for name, tc := range map[string]struct {
		from, to string
	}{
		"that the row lists":                 {"cache", "state"},
		"of a shared package":                {"state", "internal/arn"},
		"of shared by shared, with a row":    {"internal/etcd", "internal/tls"},
		"below a folder that the row lists":  {"swagger/client", "swagger/models"},
		"of the standard library":            {"state", "!fmt"},
		"of a path like one that is refused": {"state", "!go.etcd.io.example"},
	} {
		t.Run(name, func(t *testing.T) {
			err := exampleTable(t).Check(append(examplePackages(t, tc.from), importing(tc.from, tc.to)))
			assert.NoError(t, err)
		})
	}
}

func TestTable_RejectsRowWithoutPackage(t *testing.T) {
	err := exampleTable(t).Check(examplePackages(t, "store"))
	assert.EqualError(t, err, "the row of store in layers.txt matches no package")
}

func TestParseTable_RejectsMalformedLine(t *testing.T) {
	for name, text := range map[string]string{
		"no arrow":                     "[services]\ncache state",
		"no package":                   "[services]\n-> state",
		"no section":                   "cache -> state",
		"a row in a different section": "[services]\ncache ->\n[shared]\ncache ->",
	} {
		t.Run(name, func(t *testing.T) {
			_, err := ParseTable(text)
			assert.ErrorContains(t, err, "line ")
		})
	}
}

func exampleTable(t *testing.T) Table {
	table, err := ParseTable(exampleText)
	require.NoError(t, err)
	return table
}

// examplePackages returns a package for every row of the example but the one named.
func examplePackages(t *testing.T, without string) []Package {
	var packages []Package
	for pattern := range exampleTable(t) {
		if pattern != without {
			packages = append(packages, Package{ImportPath: module + strings.TrimSuffix(pattern, "/...")})
		}
	}
	return packages
}

// importing returns the package from with one import; "!" marks a path outside the module.
func importing(from, to string) Package {
	path, outside := strings.CutPrefix(to, "!")
	if !outside {
		path = module + to
	}
	return Package{ImportPath: module + from, Imports: []string{path}, Deps: []string{path}}
}

func listPackages(t *testing.T) []Package {
	readFolders(t)
	var stderr bytes.Buffer
	list := exec.CommandContext(t.Context(), "go", "list", "-e", "-json=ImportPath,Imports,Deps", module+"...")
	list.Stderr = &stderr
	out, err := list.Output()
	require.NoError(t, err, stderr.String())
	var packages []Package
	for decoder := json.NewDecoder(bytes.NewReader(out)); ; {
		var p Package
		if err := decoder.Decode(&p); errors.Is(err, io.EOF) {
			return packages
		}
		require.NoError(t, err)
		packages = append(packages, p)
	}
}

// readFolders opens every folder of the module. go test keeps a result as long as the files that the test process
// opened are unchanged, and does not see files that `go list` reads.
func readFolders(t *testing.T) {
	require.NoError(t, filepath.WalkDir("../..", func(_ string, entry fs.DirEntry, err error) error {
		if err == nil && entry.IsDir() && entry.Name() == ".git" {
			return fs.SkipDir
		}
		return err
	}))
}

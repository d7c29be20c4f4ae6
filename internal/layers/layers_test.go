package layers

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const module = "github.com/blox/blox/"

// allowed is the folder tree of Blox: what each package may import of it, besides what is below internal/, which all may.
// "x/..." stands for x and everything below it. A package that is missing here fails the test.
var allowed = map[string]string{
	"cmd/cluster-state-service": "cluster-state-service",
	"cmd/daemon-scheduler":      "daemon-scheduler",
	"cmd/blox":                  "cmd/blox/command",
	"cmd/blox/command":          "cmd/blox/probe cmd/blox/connect cmd/blox/show swagger/...",
	"cmd/blox/probe":            "cmd/blox/connect swagger/...",
	"cmd/blox/connect":          "swagger/...",
	"cmd/blox/show":             "",
	"cmd/blox-local":            "cluster-state-service daemon-scheduler",
	"cmd/blox-bench":            "cluster-state-service daemon-scheduler daemon-scheduler/environment daemon-scheduler/planner",
	"cmd/blox-torture":          "cluster-state-service/informer",
	"cmd/ecs-sim":               "",

	"cluster-state-service":                 "cluster-state-service/... swagger/cluster-state-service/v1/...",
	"cluster-state-service/api":             "cluster-state-service/state swagger/cluster-state-service/v1/...",
	"cluster-state-service/ingest":          "cluster-state-service/state",
	"cluster-state-service/reconcile":       "cluster-state-service/state",
	"cluster-state-service/cache":           "cluster-state-service/state",
	"cluster-state-service/informer":        "swagger/cluster-state-service/v1/...",
	"cluster-state-service/store":           "cluster-state-service/state",
	"cluster-state-service/examples/spread": "cluster-state-service/informer",
	"cluster-state-service/state":           "",

	"daemon-scheduler":              "daemon-scheduler/... swagger/daemon-scheduler/v1/... cluster-state-service/informer",
	"daemon-scheduler/api":          "daemon-scheduler/environment swagger/daemon-scheduler/v1/...",
	"daemon-scheduler/engine":       "daemon-scheduler/environment daemon-scheduler/planner",
	"daemon-scheduler/planner":      "daemon-scheduler/environment",
	"daemon-scheduler/clusterstate": "daemon-scheduler/environment cluster-state-service/informer swagger/cluster-state-service/v1/...",
	"daemon-scheduler/store":        "daemon-scheduler/environment",
	"daemon-scheduler/events":       "daemon-scheduler/environment",
	"daemon-scheduler/status":       "",
	"daemon-scheduler/ui":           "",
	"daemon-scheduler/environment":  "daemon-scheduler/query",
	"daemon-scheduler/query":        "",

	"swagger":                              "",
	"swagger/cluster-state-service/v1":     "",
	"swagger/cluster-state-service/v1/...": "swagger/cluster-state-service/v1/...",
	"swagger/daemon-scheduler/v1":          "",
	"swagger/daemon-scheduler/v1/...":      "swagger/daemon-scheduler/v1/...",

	"deploy":       "",
	"internal/...": "",
}

type goPackage struct {
	ImportPath string
	Imports    []string // of what is built, tests left out
}

func TestImportsPointDown(t *testing.T) {
	packages := listPackages(t)
	assert.NotEmpty(t, packages)
	for _, p := range packages {
		assert.NoError(t, check(p))
	}
}

func TestCheckRefuses(t *testing.T) {
	for name, tc := range map[string]struct{ from, to, want string }{
		"a sibling":             {"cluster-state-service/cache", "cluster-state-service/store", "may not import"},
		"upwards":               {"daemon-scheduler/planner", "daemon-scheduler/engine", "may not import"},
		"the other service":     {"daemon-scheduler/engine", "cluster-state-service/state", "may not import"},
		"internal, of no layer": {"internal/etcd", "cluster-state-service/state", "may not import"},
		"generated, of others":  {"swagger/daemon-scheduler/v1/client", "internal/arn", "may not import"},
		"an unknown package":    {"cluster-state-service/misc", "internal/arn", "is in no row"},
	} {
		t.Run(name, func(t *testing.T) {
			assert.ErrorContains(t, check(goPackage{module + tc.from, []string{module + tc.to}}), tc.want)
		})
	}
	for from, to := range map[string]string{
		"cluster-state-service/ingest":       "cluster-state-service/state",
		"cmd/blox-local":                     "internal/ecssim",
		"internal/testenv":                   "internal/etcd/embedded",
		"swagger/daemon-scheduler/v1/client": "swagger/daemon-scheduler/v1/models",
	} {
		assert.NoError(t, check(goPackage{module + from, []string{"fmt", module + to}}))
	}
}

// check tells what p imports of the module that its row does not allow.
func check(p goPackage) error {
	name := strings.TrimPrefix(p.ImportPath, module)
	may, known := row(name)
	if !known {
		return fmt.Errorf("%s is in no row of the table", name)
	}
	if !strings.HasPrefix(name, "swagger/") {
		may = append(may, "internal/...")
	}
	var wrong []error
	for _, path := range p.Imports {
		imported, own := strings.CutPrefix(path, module)
		if own && !slices.ContainsFunc(may, func(pattern string) bool { return matches(pattern, imported) }) {
			wrong = append(wrong, fmt.Errorf("%s may not import %s", name, imported))
		}
	}
	return errors.Join(wrong...)
}

// row is what the table says of name: a row of its own comes before one that ends in "...".
func row(name string) (may []string, known bool) {
	if imports, found := allowed[name]; found {
		return strings.Fields(imports), true
	}
	for pattern, imports := range allowed {
		if matches(pattern, name) {
			return strings.Fields(imports), true
		}
	}
	return nil, false
}

func matches(pattern, name string) bool {
	folder, all := strings.CutSuffix(pattern, "/...")
	return name == folder || all && strings.HasPrefix(name, folder+"/")
}

func listPackages(t *testing.T) []goPackage {
	var stderr bytes.Buffer
	list := exec.CommandContext(t.Context(), "go", "list", "-e", "-json=ImportPath,Imports", module+"...")
	list.Stderr = &stderr
	out, err := list.Output()
	require.NoError(t, err, stderr.String())
	var packages []goPackage
	for decoder := json.NewDecoder(bytes.NewReader(out)); ; {
		var p goPackage
		if err := decoder.Decode(&p); errors.Is(err, io.EOF) {
			return packages
		}
		require.NoError(t, err)
		packages = append(packages, p)
	}
}

package docs_test

import (
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// errorRow matches a row of the table of errors: the code, the status and Retry-After.
var errorRow = regexp.MustCompile("(?m)^\\| `(\\w+)` \\| (\\d{3}) \\| (\\d*) ?\\|")

// errorsOf returns the status and Retry-After of each code of a service. The tests of its API compare the page with the
// table that maps errors to responses.
func errorsOf(t *testing.T, service string) map[string]string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, service, "docs/reference/errors.md"))
	require.NoError(t, err)
	responses := map[string]string{}
	for _, found := range errorRow.FindAllStringSubmatch(string(text), -1) {
		responses[found[1]] = "status " + found[2] + ", Retry-After " + found[3]
	}
	return responses
}

// A program that handles a code handles it for both services.
func TestErrors_OfACodeAreEqualInBothServices(t *testing.T) {
	ofClusterState, ofScheduler := errorsOf(t, "cluster-state-service"), errorsOf(t, "daemon-scheduler")
	shared := 0
	for _, code := range slices.Sorted(maps.Keys(ofClusterState)) {
		if response, both := ofScheduler[code]; both {
			shared++
			assert.Equal(t, ofClusterState[code], response, code)
		}
	}
	assert.Greater(t, shared, 15)
}

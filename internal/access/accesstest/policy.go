// Package accesstest checks the policy of an API against its swagger file and its README.
package accesstest

import (
	"net/http/httptest"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/blox/blox/internal/access"
	"github.com/blox/blox/internal/testenv"
)

// CheckPolicy fails the test unless the policy, the README and the documented statuses give each operation of the
// swagger file its role in roles, by operation ID.
func CheckPolicy(t *testing.T, policy access.Policy, roles map[string]access.Role, swagger []byte, readme string) {
	t.Helper()
	documented := documentedRoles(t, readme)
	for _, operation := range testenv.Operations(t, swagger) {
		lowest, decided := roles[operation.ID]
		require.True(t, decided, "decide the role of %s", operation.ID)
		method, path := operation.Request()
		needed := policy.Role(httptest.NewRequest(method, path, nil))
		for role := access.Public; role <= access.Admin; role++ {
			assert.Equal(t, role >= lowest, role >= needed, "may %s call %s", role, operation.ID)
		}
		assert.Equal(t, lowest != access.Public, slices.Contains(operation.Statuses, "401"), "401 of %s", operation.ID)
		assert.Equal(t, lowest.String(), documented[operation.Method+" "+operation.Path], "%s: %s", readme, operation.ID)
		delete(documented, operation.Method+" "+operation.Path)
	}
	for request, role := range documented { // those of paths that are not in the swagger file
		method, path, _ := strings.Cut(request, " ")
		assert.Equal(t, role, policy.Role(httptest.NewRequest(method, path, nil)).String(), "%s: %s", readme, request)
	}
}

var roleRow = regexp.MustCompile("(?m)^\\| `([A-Z]+ /\\S*)` \\| (public|viewer|operator|admin) \\|$")

// documentedRoles returns the roles that the README lists, by operation.
func documentedRoles(t *testing.T, readme string) map[string]string {
	t.Helper()
	text, err := os.ReadFile(readme)
	require.NoError(t, err)
	roles := map[string]string{}
	for _, row := range roleRow.FindAllStringSubmatch(string(text), -1) {
		assert.NotContains(t, roles, row[1], "two rows")
		roles[row[1]] = row[2]
	}
	require.NotEmpty(t, roles)
	return roles
}

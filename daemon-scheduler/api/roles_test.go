package api

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
	v1 "github.com/blox/blox/swagger/daemon-scheduler/v1"
)

// operationRoles has the lowest role that may call each operation. Whoever adds an operation decides that here, in the
// policy and in the README.
var operationRoles = map[string]access.Role{
	"ping":       access.Public,
	"ready":      access.Public,
	"getSwagger": access.Public,
	"getOpenAPI": access.Public,

	"listEnvironments":   access.Viewer,
	"getEnvironment":     access.Viewer,
	"listRevisions":      access.Viewer,
	"getRevision":        access.Viewer,
	"listInstances":      access.Viewer,
	"listDeployments":    access.Viewer,
	"getDeployment":      access.Viewer,
	"streamEnvironments": access.Viewer,
	"streamInstances":    access.Viewer,
	"streamOverview":     access.Viewer,
	"listEvents":         access.Viewer,
	"streamEvents":       access.Viewer,

	"updateEnvironment":   access.Operator,
	"rollbackEnvironment": access.Operator,
	"cancelTakeover":      access.Operator,
	"pauseEnvironment":    access.Operator,
	"resumeEnvironment":   access.Operator,
	"createDeployment":    access.Operator,
	"stopDeployment":      access.Operator,
	"promoteDeployment":   access.Operator,

	"createEnvironment": access.Admin,
	"deleteEnvironment": access.Admin,
}

func TestPolicy_AllowsOperationsByRole(t *testing.T) {
	documented := documentedRoles(t)
	for _, operation := range testenv.Operations(t, v1.JSON) {
		lowest, decided := operationRoles[operation.ID]
		require.True(t, decided, "decide the role of %s", operation.ID)
		method, path := operation.Request()
		needed := Policy.Role(httptest.NewRequest(method, path, nil))
		for role := access.Public; role <= access.Admin; role++ {
			assert.Equal(t, role >= lowest, role >= needed, "may %s call %s", role, operation.ID)
		}
		assert.Equal(t, lowest != access.Public, slices.Contains(operation.Statuses, "401"), "401 of %s", operation.ID)
		assert.Equal(t, lowest.String(), documented[operation.Method+" "+operation.Path], "README.md: %s", operation.ID)
		delete(documented, operation.Method+" "+operation.Path)
	}
	for request, role := range documented { // those of paths that are not in the swagger file
		method, path, _ := strings.Cut(request, " ")
		assert.Equal(t, role, Policy.Role(httptest.NewRequest(method, path, nil)).String(), "README.md: %s", request)
	}
}

// documentedRoles returns the roles that the README lists, by operation.
func documentedRoles(t *testing.T) map[string]string {
	t.Helper()
	readme, err := os.ReadFile("../README.md")
	require.NoError(t, err)
	roles := map[string]string{}
	for _, row := range regexp.MustCompile("(?m)^\\| `([A-Z]+ /\\S*)` \\| (public|viewer|operator|admin) \\|$").
		FindAllStringSubmatch(string(readme), -1) {
		assert.NotContains(t, roles, row[1], "two rows")
		roles[row[1]] = row[2]
	}
	require.NotEmpty(t, roles)
	return roles
}

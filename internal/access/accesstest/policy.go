// Package accesstest checks the policy of an API against its swagger file.
package accesstest

import (
	"net/http/httptest"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/blox/blox/internal/access"
	"github.com/blox/blox/internal/testenv"
)

// CheckPolicy fails the test unless the policy and the documented statuses give each operation of the swagger file its
// role in roles, by operation ID.
func CheckPolicy(t *testing.T, policy access.Policy, roles map[string]access.Role, swagger []byte) {
	t.Helper()
	for _, operation := range testenv.Operations(t, swagger) {
		lowest, decided := roles[operation.ID]
		require.True(t, decided, "decide the role of %s", operation.ID)
		method, path := operation.Request()
		needed := policy.Role(httptest.NewRequest(method, path, nil))
		for role := access.Public; role <= access.Admin; role++ {
			assert.Equal(t, role >= lowest, role >= needed, "may %s call %s", role, operation.ID)
		}
		assert.Equal(t, lowest != access.Public, slices.Contains(operation.Statuses, "401"), "401 of %s", operation.ID)
	}
}

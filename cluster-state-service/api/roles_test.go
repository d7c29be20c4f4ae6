package api

import (
	"testing"

	"github.com/blox/blox/internal/access"
	"github.com/blox/blox/internal/access/accesstest"
	v1 "github.com/blox/blox/swagger/cluster-state-service/v1"
)

// operationRoles has the lowest role that may call each operation. A new operation needs its role here and in the
// policy.
var operationRoles = map[string]access.Role{
	"Ping":       access.Public,
	"Ready":      access.Public,
	"GetSwagger": access.Public,
	"GetOpenAPI": access.Public,

	"ListInstances":   access.Viewer,
	"GetInstance":     access.Viewer,
	"StreamInstances": access.Viewer,
	"ListTasks":       access.Viewer,
	"GetTask":         access.Viewer,
	"StreamTasks":     access.Viewer,
	"ListClusters":    access.Viewer,

	"RefreshInstances": access.Operator,
}

func TestPolicy_AllowsOperationsByRole(t *testing.T) {
	accesstest.CheckPolicy(t, Policy, operationRoles, v1.JSON)
}

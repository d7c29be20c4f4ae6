package api

import (
	"testing"

	"github.com/blox/blox/internal/access"
	"github.com/blox/blox/internal/access/accesstest"
	v1 "github.com/blox/blox/swagger/daemon-scheduler/v1"
)

// operationRoles has the lowest role that may call each operation. A new operation needs its role here and in the
// policy.
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
	accesstest.CheckPolicy(t, Policy, operationRoles, v1.JSON)
}

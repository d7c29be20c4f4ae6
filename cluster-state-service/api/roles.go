package api

import "github.com/blox/blox/internal/access"

// Policy has the role that each operation needs, if the service has an access file. Other reads, /metrics among them,
// need the role viewer, and other changes admin.
var Policy = access.NewPolicy(map[string]access.Role{
	// Load balancers and probes have no credentials, and the documents and pages are the same everywhere.
	"GET /v1":              access.Public,
	"GET /v1/openapi.json": access.Public,
	"GET /v1/ping":         access.Public,
	"GET /v1/ready":        access.Public,
	"GET /v1/swagger.json": access.Public,
	"GET /docs":            access.Public,
	"GET /docs/{file}":     access.Public,
	"GET /{$}":             access.Public,
	"GET /page/{file}":     access.Public,

	"POST /v1/instances/refresh": access.Operator, // calls ECS
})

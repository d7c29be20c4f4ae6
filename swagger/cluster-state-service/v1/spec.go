// Package v1 carries the description of cluster-state-service's API; client and models beside it are generated from it.
package v1

import _ "embed"

// JSON is swagger.json, Swagger 2.0.
//
//go:embed swagger.json
var JSON []byte

// OpenAPI is openapi.json, OpenAPI 3.0, which `make generate` converts from swagger.json.
//
//go:embed openapi.json
var OpenAPI []byte

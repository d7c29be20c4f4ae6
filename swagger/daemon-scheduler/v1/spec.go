// Package v1 carries the description of daemon-scheduler's API; client and models beside it are generated from it.
package v1

import _ "embed"

// JSON is swagger.json, Swagger 2.0.
//
//go:embed swagger.json
var JSON []byte

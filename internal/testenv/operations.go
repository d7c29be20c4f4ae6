package testenv

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// Operation is an operation of a swagger file.
type Operation struct {
	ID, Method string
	Path       string   // with the base path, such as /v1/environments/{name}
	Statuses   []string // of the responses that the file describes
}

// Request returns a request of the operation, each path parameter of which is x.
func (o Operation) Request() (method, path string) {
	return o.Method, parameter.ReplaceAllString(o.Path, "x")
}

// Operations returns all operations of a swagger file, ordered by path. It is faster than NewSpec.
func Operations(tb testing.TB, raw []byte) (operations []Operation) {
	tb.Helper()
	var document struct {
		BasePath string
		Paths    map[string]map[string]struct {
			OperationID string
			Responses   map[string]json.RawMessage
		}
	}
	require.NoError(tb, json.Unmarshal(raw, &document))
	for _, path := range slices.Sorted(maps.Keys(document.Paths)) {
		for _, method := range slices.Sorted(maps.Keys(document.Paths[path])) {
			operation := document.Paths[path][method]
			operations = append(operations, Operation{
				ID: operation.OperationID, Method: strings.ToUpper(method), Path: document.BasePath + path,
				Statuses: slices.Sorted(maps.Keys(operation.Responses)),
			})
		}
	}
	require.NotEmpty(tb, operations)
	return operations
}

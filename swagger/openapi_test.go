package swagger_test

import (
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// apiDocument is what Swagger 2.0 and OpenAPI 3.0 have in common.
type apiDocument struct {
	OpenAPI string
	Tags    []struct{ Name, Description string }
	Paths   map[string]map[string]json.RawMessage
	// Definitions are Swagger's; OpenAPI has them in components.
	Definitions map[string]json.RawMessage
	Components  struct {
		Schemas map[string]json.RawMessage
	}
}

type apiOperation struct {
	OperationID string
	Tags        []string
	Parameters  []struct{ Name, In string }
	Responses   map[string]struct {
		Content map[string]json.RawMessage
	}
}

func readDocument(t *testing.T, api, file string) (document apiDocument, operations map[string]apiOperation) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(api, "v1", file))
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(text, &document))
	operations = map[string]apiOperation{}
	for path, methods := range document.Paths {
		for method, raw := range methods {
			if method == "parameters" {
				continue
			}
			var o apiOperation
			require.NoError(t, json.Unmarshal(raw, &o))
			operations[method+" "+path] = o
		}
	}
	return document, operations
}

func TestOpenAPI_HasEveryOperation(t *testing.T) {
	for _, api := range []string{"cluster-state-service", "daemon-scheduler"} {
		v2, want := readDocument(t, api, "swagger.json")
		v3, have := readDocument(t, api, "openapi.json")
		assert.Regexp(t, `^3\.0\.`, v3.OpenAPI)
		assert.Equal(t, v2.Tags, v3.Tags)
		assert.ElementsMatch(t, slices.Collect(maps.Keys(v2.Definitions)), slices.Collect(maps.Keys(v3.Components.Schemas)))
		assert.ElementsMatch(t, slices.Collect(maps.Keys(want)), slices.Collect(maps.Keys(have)))
		for name, operation := range want {
			assert.Equal(t, operation.OperationID, have[name].OperationID, name)
			assert.Equal(t, operation.Tags, have[name].Tags, name)
			assert.ElementsMatch(t, slices.Collect(maps.Keys(operation.Responses)),
				slices.Collect(maps.Keys(have[name].Responses)), name)
			for _, parameter := range operation.Parameters {
				if parameter.In != "body" { // it is a requestBody there
					assert.Contains(t, have[name].Parameters, parameter, name)
				}
			}
		}
	}
}

// Errors are text, whatever the media type of the operation's success.
func TestOpenAPI_DescribesErrorsAsText(t *testing.T) {
	_, operations := readDocument(t, "cluster-state-service", "openapi.json")
	for name, operation := range operations {
		for status, response := range operation.Responses {
			if status < "400" || name == "get /ready" {
				continue
			}
			assert.Contains(t, response.Content, "text/plain", "%s: %s", name, status)
			assert.NotContains(t, response.Content, "application/json", "%s: %s", name, status)
		}
	}
}

func TestSwagger_TagsEveryOperation(t *testing.T) {
	for _, api := range []string{"cluster-state-service", "daemon-scheduler"} {
		document, operations := readDocument(t, api, "swagger.json")
		var tags []string
		for _, tag := range document.Tags {
			assert.NotEmpty(t, tag.Description, tag.Name)
			tags = append(tags, tag.Name)
		}
		for name, operation := range operations {
			if assert.Len(t, operation.Tags, 1, name) {
				assert.Contains(t, tags, operation.Tags[0], name)
			}
		}
	}
}

package swagger_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"testing"

	"github.com/getkin/kin-openapi/openapi2"
	"github.com/getkin/kin-openapi/openapi2conv"
	"github.com/getkin/kin-openapi/openapi3"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var update = flag.Bool("update", false, "write openapi.json instead of comparing it; make generate does so")

// Fails when a swagger file was changed without `make generate`.
func TestOpenAPI_MatchesTheSwaggerFiles(t *testing.T) {
	for _, api := range []string{"cluster-state-service", "daemon-scheduler"} {
		want := convertToOpenAPI(t, filepath.Join(api, "v1", "swagger.json"))
		path := filepath.Join(api, "v1", "openapi.json")
		if *update {
			require.NoError(t, os.WriteFile(path, want, 0o644))
		}
		have, err := os.ReadFile(path)
		require.NoError(t, err)
		assert.True(t, string(want) == string(have), "%s is outdated: run `make generate`", path)

		document, err := openapi3.NewLoader().LoadFromData(have)
		require.NoError(t, err, path)
		require.NoError(t, document.Validate(t.Context()), path)
	}
}

// convertToOpenAPI returns the OpenAPI 3 document of a Swagger 2.0 file, indented, with a newline at its end.
func convertToOpenAPI(t *testing.T, path string) []byte {
	t.Helper()
	swagger, err := os.ReadFile(path)
	require.NoError(t, err)
	var v2 openapi2.T
	require.NoError(t, json.Unmarshal(swagger, &v2), path)
	v3, err := openapi2conv.ToV3(&v2)
	require.NoError(t, err, path)
	describeErrors(v3)
	// Relative to the document, which each service serves below its base path. It also holds below a path prefix.
	v3.Servers = openapi3.Servers{{URL: ".", Description: "The service that serves this document"}}
	var document bytes.Buffer
	encoder := json.NewEncoder(&document)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	require.NoError(t, encoder.Encode(v3))
	return document.Bytes()
}

// describeErrors sets the media types of errors, which Swagger 2.0 can only describe as those of successes: text, and
// problem details for clients that accept them.
func describeErrors(document *openapi3.T) {
	for _, path := range document.Paths.Map() {
		for _, operation := range path.Operations() {
			for status, response := range operation.Responses.Map() {
				if status < "400" || !isText(response.Value.Content) {
					continue
				}
				text := openapi3.NewMediaType().WithSchema(openapi3.NewStringSchema())
				response.Value.Content = openapi3.Content{"text/plain": text}
				if _, described := document.Components.Schemas["Problem"]; described {
					problem := openapi3.NewMediaType().WithSchemaRef(
						openapi3.NewSchemaRef("#/components/schemas/Problem", nil))
					response.Value.Content["application/problem+json"] = problem
				}
			}
		}
	}
}

func isText(content openapi3.Content) bool {
	for _, media := range content {
		if media.Schema == nil || media.Schema.Value == nil || !media.Schema.Value.Type.Is("string") {
			return false
		}
	}
	return len(content) > 0
}

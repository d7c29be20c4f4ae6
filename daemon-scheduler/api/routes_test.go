package api

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	v1 "github.com/blox/blox/swagger/daemon-scheduler/v1"
)

// A parameter that swagger.json has and the route lacks would be refused.
func TestRoutes_HaveTheParametersOfTheSwaggerFile(t *testing.T) {
	var spec struct {
		Paths map[string]map[string]struct {
			Parameters []struct{ Name, In string }
		}
	}
	require.NoError(t, json.Unmarshal(v1.JSON, &spec))
	for pattern, route := range (&handler{}).routes() {
		method, path, _ := strings.Cut(pattern, " ")
		operation, found := spec.Paths[strings.TrimPrefix(path, "/v1")][strings.ToLower(method)]
		require.True(t, found, pattern)
		if route.lenient {
			continue
		}
		var parameters []string
		readsBody := false
		for _, p := range operation.Parameters {
			if p.In == "query" {
				parameters = append(parameters, p.Name)
			}
			readsBody = readsBody || p.In == "body"
		}
		slices.Sort(parameters)
		assert.Equal(t, parameters, slices.Sorted(slices.Values(route.parameters)), pattern)
		assert.Equal(t, readsBody, route.readsBody, pattern)
	}
}

func TestRoute_RefusesUnknownParametersAndFields(t *testing.T) {
	for name, tc := range map[string]struct{ query, body, err string }{
		"nothing":               {"", "", ""},
		"its parameters":        {"revision=1&type=x", "", ""},
		"an empty object":       {"", " {} \n", ""},
		"an unknown parameter":  {"revison=1", "", `Unknown query parameter "revison"; accepted: revision, type`},
		"a parameter's case":    {"Revision=1", "", `Unknown query parameter "Revision"; accepted: revision, type`},
		"a repeated parameter":  {"revision=1&revision=2", "", `Query parameter "revision" is repeated`},
		"a field":               {"", `{"revision":1}`, "validation failure list:\nrevision in body is a forbidden property"},
		"a body that is a list": {"", `[]`, "The body must be empty: this operation has no fields"},
		"a body without JSON":   {"", `revision=1`, "The body is not JSON: invalid character 'r' looking for beginning of value"},
	} {
		t.Run(name, func(t *testing.T) {
			request := httptest.NewRequest("POST", "/?"+tc.query, strings.NewReader(tc.body))
			served := false
			operation := route{parameters: []string{"revision", "type"}}
			operation.serve = func(http.ResponseWriter, *http.Request) error {
				served = true
				return nil
			}
			err := operation.handle(httptest.NewRecorder(), request)
			if tc.err != "" {
				assert.ErrorIs(t, err, errInvalid)
				assert.EqualError(t, err, tc.err)
			}
			assert.Equal(t, tc.err == "", served)

			operation.lenient = true
			assert.NoError(t, operation.handle(httptest.NewRecorder(), request), "v0.3 ignores what it does not know")
		})
	}
	assert.EqualError(t, checkQuery(map[string][]string{"x": {"1"}}, nil), `Unknown query parameter "x"; none is accepted`)
}

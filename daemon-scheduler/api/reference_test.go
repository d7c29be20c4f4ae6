package api

import (
	"maps"
	"net/http/httptest"
	"slices"
	"testing"

	"github.com/blox/blox/internal/docs"
	v1 "github.com/blox/blox/swagger/daemon-scheduler/v1"
)

// specification returns the swagger file; environment.md describes the settings of environments.
func specification(t *testing.T) (spec docs.Specification, settings []string) {
	t.Helper()
	spec = docs.ParseSwagger(t, v1.JSON)
	settings = spec.Reachable("CreateEnvironmentRequest")
	spec.Pages = map[string]string{"Environment": "environment.md"}
	for _, name := range settings {
		spec.Pages[name] = "environment.md"
	}
	return spec, settings
}

func TestReference_Operations(t *testing.T) {
	spec, _ := specification(t)
	role := func(method, path string) string { return Policy.Role(httptest.NewRequest(method, path, nil)).String() }
	docs.Check(t, "../docs/reference/api.md", "operations", spec.Operations(role,
		[2]string{"GET /v1", "List all operations. Browsers are redirected to `/docs`."},
		[2]string{"GET /docs", "Show the API in a browser and send requests."},
		[2]string{"GET /", "Show the page."},
		[2]string{"GET /metrics", "Get the [metrics](metrics.md) for Prometheus."},
	))
}

func TestReference_Objects(t *testing.T) {
	spec, settings := specification(t)
	docs.Check(t, "../docs/reference/environment.md", "settings", spec.Fields(settings...))
	docs.Check(t, "../docs/reference/environment.md", "state",
		spec.WithoutFieldsOf("Environment", "CreateEnvironmentRequest").Fields("Environment"))
	others := slices.DeleteFunc(slices.Sorted(maps.Keys(spec.Definitions)), func(name string) bool {
		return spec.Pages[name] != ""
	})
	docs.Check(t, "../docs/reference/objects.md", "objects", spec.Fields(others...))
}

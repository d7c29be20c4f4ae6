package api

import (
	"maps"
	"net/http/httptest"
	"slices"
	"testing"

	"github.com/blox/blox/internal/docs"
	v1 "github.com/blox/blox/swagger/cluster-state-service/v1"
)

func TestReference_Operations(t *testing.T) {
	role := func(method, path string) string { return Policy.Role(httptest.NewRequest(method, path, nil)).String() }
	docs.Check(t, "../docs/reference/api.md", "operations", docs.ParseSwagger(t, v1.JSON).Operations(role,
		[2]string{"GET /v1", "List all operations. Browsers are redirected to `/docs`."},
		[2]string{"GET /docs", "Show the API in a browser and send requests."},
		[2]string{"GET /", "Show the page."},
		[2]string{"GET /metrics", "Get the [metrics](metrics.md) for Prometheus."},
	))
}

func TestReference_Objects(t *testing.T) {
	spec := docs.ParseSwagger(t, v1.JSON)
	docs.Check(t, "../docs/reference/objects.md", "objects", spec.Fields(slices.Sorted(maps.Keys(spec.Definitions))...))
}

package ecsapi

import (
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/blox/blox/daemon-scheduler/environment"
)

func TestHealthChecks_AreReadOnce(t *testing.T) {
	const definition = `{"taskDefinition":{"taskDefinitionArn":"arn:td:1","status":"INACTIVE","containerDefinitions":[
		{"name":"app","healthCheck":{"command":["CMD","true"]}},{"name":"proxy","essential":true},
		{"name":"sidecar","essential":false,"healthCheck":{"command":["CMD","true"]}}]}}`
	var calls atomic.Int32
	answer := respond(200, definition)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		calls.Add(1)
		answer.ServeHTTP(w, r)
	}))
	defer server.Close()
	client := clientAt(server.URL)
	for range 2 {
		names, err := client.HealthChecks(t.Context(), "arn:td:1")
		require.NoError(t, err)
		assert.Equal(t, []string{"app"}, names, "essential containers with a health check")
	}
	assert.EqualValues(t, 1, calls.Load())
}

func TestHealthChecks_DistinguishesDeletedDefinitionsFromOutages(t *testing.T) {
	for name, tc := range map[string]struct {
		status int
		body   string
		fails  bool
	}{
		"unknown":     {400, apiError("ClientException"), false},
		"throttled":   {400, apiError("ThrottlingException"), true},
		"not allowed": {400, apiError("AccessDeniedException"), true},
	} {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewServer(respond(tc.status, tc.body))
			defer server.Close()
			names, err := clientAt(server.URL).HealthChecks(t.Context(), "arn:td:1")
			assert.Equal(t, tc.fails, err != nil, "%v", err)
			assert.Empty(t, names)
		})
	}
}

func TestContainerHealth_LeavesOutTasksThatAreNotRunning(t *testing.T) {
	server := httptest.NewServer(respond(200, `{"tasks":[
		{"taskArn":"t1","lastStatus":"RUNNING","desiredStatus":"RUNNING",
			"containers":[{"name":"app","healthStatus":"UNHEALTHY"}]},
		{"taskArn":"t2","lastStatus":"RUNNING","desiredStatus":"STOPPED",
			"containers":[{"name":"app","healthStatus":"HEALTHY"}]},
		{"taskArn":"t3","lastStatus":"PENDING","desiredStatus":"RUNNING"}]}`))
	defer server.Close()
	results, err := clientAt(server.URL).ContainerHealth(t.Context(), "prod", []string{"t1", "t2", "t3"})
	require.NoError(t, err)
	assert.Equal(t, map[string]map[string]environment.HealthStatus{"t1": {"app": environment.HealthUnhealthy}}, results)
}

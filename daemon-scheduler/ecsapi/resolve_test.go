package ecsapi

import (
	"errors"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/blox/blox/daemon-scheduler/environment"
)

func TestTaskDefinition_DistinguishesMistakesFromOutages(t *testing.T) {
	for name, tc := range map[string]struct {
		status int
		body   string
		want   error
	}{
		"unknown":     {400, apiError("ClientException"), environment.ErrTaskDefinitionNotFound},
		"malformed":   {400, apiError("InvalidParameterException"), environment.ErrTaskDefinitionNotFound},
		"inactive":    {200, `{"taskDefinition":{"taskDefinitionArn":"arn","status":"INACTIVE"}}`, environment.ErrTaskDefinitionInactive},
		"empty":       {200, `{}`, environment.ErrTaskDefinitionNotFound},
		"throttled":   {400, apiError("ThrottlingException"), environment.ErrECSThrottled},
		"broken":      {500, apiError("ServerException"), environment.ErrECSUnavailable},
		"not allowed": {400, apiError("AccessDeniedException"), environment.ErrECSAccessDenied},
		"expired":     {403, apiError("ExpiredTokenException"), environment.ErrECSCredentialsExpired},
	} {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewServer(respond(tc.status, tc.body))
			defer server.Close()
			_, err := clientAt(server.URL).TaskDefinition(t.Context(), "agent")
			require.Error(t, err)
			domain := []error{
				environment.ErrTaskDefinitionNotFound, environment.ErrTaskDefinitionInactive, environment.ErrECSUnavailable,
				environment.ErrECSThrottled, environment.ErrECSAccessDenied, environment.ErrECSCredentialsExpired,
			}
			for _, of := range domain {
				assert.Equal(t, of == tc.want, //nolint:errorlint // the sentinels themselves are compared
					errors.Is(err, of), "%v: %v", of, err)
			}
		})
	}
}

func TestCluster_IsUnavailableWhenECSCannotBeReached(t *testing.T) {
	_, err := clientAt("http://127.0.0.1:1").Cluster(t.Context(), "prod")
	assert.ErrorIs(t, err, environment.ErrECSUnavailable)
}

func TestClient_NamesWhatECSDoesNotKnow(t *testing.T) {
	for name, body := range map[string]struct {
		status int
		body   string
	}{
		"refused":   {400, apiError("ClientException")},
		"left out":  {200, `{}`},
		"malformed": {400, apiError("InvalidParameterException")},
	} {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewServer(respond(body.status, body.body))
			defer server.Close()
			_, err := clientAt(server.URL).TaskDefinition(t.Context(), "agnet:1")
			assert.ErrorIs(t, err, environment.ErrTaskDefinitionNotFound)
			assert.ErrorContains(t, err, `TaskDefinition "agnet:1" does not exist`)
			_, err = clientAt(server.URL).Cluster(t.Context(), "prdo")
			assert.ErrorIs(t, err, environment.ErrClusterNotFound)
			assert.ErrorContains(t, err, `Cluster "prdo" does not exist`)
		})
	}
}

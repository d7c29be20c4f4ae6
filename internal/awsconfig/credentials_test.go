package awsconfig

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/smithy-go"
	"github.com/aws/smithy-go/logging"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// The SDK searches the metadata of the machine last. Its error is about that, and not about what to do.
func TestLoad_ExplainsMissingCredentials(t *testing.T) {
	metadata := httptest.NewServer(http.NotFoundHandler()) // of a machine without a role
	defer metadata.Close()
	for name, variables := range map[string]map[string]string{
		"a machine without a role":   {"AWS_EC2_METADATA_SERVICE_ENDPOINT": metadata.URL},
		"a machine without metadata": {"AWS_EC2_METADATA_DISABLED": "true"},
	} {
		t.Run(name, func(t *testing.T) {
			cleanEnv(t)
			t.Setenv("AWS_EC2_METADATA_DISABLED", "false")
			for key, value := range variables {
				t.Setenv(key, value)
			}
			cfg, err := Load(t.Context(), env(map[string]string{"AWS_REGION": "us-east-1"}))
			require.NoError(t, err)
			assert.Equal(t, logging.Nop{}, cfg.Logger, "the SDK warns about the metadata on stderr, not in the log")
			client, err := ECS(cfg, env(nil))
			require.NoError(t, err)
			_, err = client.ListClusters(t.Context(), &ecs.ListClustersInput{}, NoRetry)
			require.ErrorContains(t, err, "no AWS credentials found: set AWS_PROFILE, or")
			assert.NotContains(t, err.Error(), "ec2imds")
			var api smithy.APIError
			require.ErrorAs(t, err, &api)
			assert.Equal(t, NoCredentials, api.ErrorCode())
		})
	}
}

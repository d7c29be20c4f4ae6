package awsconfig

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/blox/blox/internal/ecssim"
)

func TestRoleProvider_BacksOffAndRecovers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		attempts, works := 0, false
		provider := &roleProvider{role: "arn", next: aws.CredentialsProviderFunc(
			func(context.Context) (aws.Credentials, error) {
				attempts++
				if works {
					return aws.Credentials{AccessKeyID: "id"}, nil
				}
				return aws.Credentials{}, errors.New("denied")
			})}
		for range 600 {
			_, err := provider.Retrieve(t.Context())
			require.Error(t, err)
			time.Sleep(time.Second)
		}
		assert.Less(t, attempts, 30, "in ten minutes")
		assert.Greater(t, attempts, 9)
		works = true
		time.Sleep(longestRoleRetry)
		credentials, err := provider.Retrieve(t.Context())
		require.NoError(t, err)
		assert.Equal(t, "id", credentials.AccessKeyID)
	})
}

// Credentials whose session was revoked are valid for up to an hour by their own account.
func TestWithRole_AssumesTheRoleAgainAfterItsSessionWasRevoked(t *testing.T) {
	sim := ecssim.New(ecssim.Config{})
	server := httptest.NewServer(sim)
	t.Cleanup(func() { sim.Close(); server.Close() })
	require.NoError(t, sim.RequireExternalID(testRole, "secret"))
	cfg := aws.Config{
		Region: "us-east-1", BaseEndpoint: &server.URL, Credentials: credentials.NewStaticCredentialsProvider("a", "b", ""),
		HTTPClient: BufferBodies(&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}),
	}
	client := ecs.NewFromConfig(WithRole(cfg, Role{ARN: testRole, ExternalID: "secret", SessionName: "test"}))
	list := func() error {
		_, err := client.ListClusters(t.Context(), &ecs.ListClustersInput{}, NoRetry)
		return err
	}
	require.NoError(t, list())
	sim.ExpireRoles()
	require.ErrorContains(t, list(), "ExpiredToken")
	require.NoError(t, list())
	require.NoError(t, list())
	assert.Equal(t, 2, sim.Calls("AssumeRole"))
	assert.Equal(t, 4, sim.RoleCalls(testRole, "ListClusters"), "one of them refused")

	wrong := ecs.NewFromConfig(WithRole(cfg, Role{ARN: testRole, ExternalID: "guess", SessionName: "test"}))
	_, err := wrong.ListClusters(t.Context(), &ecs.ListClustersInput{}, NoRetry)
	var refused *RoleError
	require.ErrorAs(t, err, &refused)
	assert.Equal(t, testRole, refused.Role)
	assert.Equal(t, 4, sim.RoleCalls(testRole, "ListClusters"), "the call is not sent")
}

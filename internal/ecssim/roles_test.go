package ecssim

import (
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials/stscreds"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const testRole = "arn:aws:iam::123456789012:role/team/deployer"

// assuming returns a client of ECS with credentials of the role.
func (w *fixture) assuming(options ...func(*stscreds.AssumeRoleOptions)) *ecs.Client {
	client := sts.New(sts.Options{
		Region: w.cfg.Region, BaseEndpoint: &w.url, Credentials: w.ecs.Options().Credentials, Retryer: aws.NopRetryer{},
	})
	return ecs.New(w.ecs.Options(), func(o *ecs.Options) {
		o.Credentials = aws.NewCredentialsCache(stscreds.NewAssumeRoleProvider(client, testRole, options...))
	})
}

func TestAssumeRole_CredentialsIdentifyTheRole(t *testing.T) {
	w := newFixture(t, Config{})
	client := w.assuming()
	for range 2 {
		_, err := client.ListClusters(w.ctx, &ecs.ListClustersInput{})
		require.NoError(t, err)
	}
	assert.Equal(t, 2, w.RoleCalls(testRole, "ListClusters"))
	assert.Equal(t, 0, w.RoleCalls("", "ListClusters"))
	assert.Equal(t, 1, w.RoleCalls("", "AssumeRole"))

	w.SetFaults(Faults{Refusals: map[string]Refusal{
		"ecs": {Code: "AccessDeniedException", Fraction: 1, Role: testRole},
	}})
	_, err := client.ListClusters(w.ctx, &ecs.ListClustersInput{})
	assert.ErrorContains(t, err, "AccessDeniedException")
	_, err = w.ecs.ListClusters(w.ctx, &ecs.ListClustersInput{})
	require.NoError(t, err, "the fault concerns the role alone")

	w.SetFaults(Faults{})
	w.ExpireRoles()
	_, err = client.ListClusters(w.ctx, &ecs.ListClustersInput{})
	assert.ErrorContains(t, err, "ExpiredToken")
}

func TestAssumeRole_IsRefused(t *testing.T) {
	w := newFixture(t, Config{})
	code := func(options ...func(*stscreds.AssumeRoleOptions)) string {
		_, err := w.assuming(options...).ListClusters(w.ctx, &ecs.ListClustersInput{})
		if err == nil {
			return ""
		}
		var api smithy.APIError
		require.ErrorAs(t, err, &api)
		return api.ErrorCode()
	}
	require.Error(t, w.RequireExternalID("deployer", "secret"))
	require.NoError(t, w.RequireExternalID(testRole, "secret"))
	assert.Equal(t, "AccessDenied", code())
	assert.Empty(t, code(func(o *stscreds.AssumeRoleOptions) { o.ExternalID = aws.String("secret") }))
	w.SetFaults(Faults{Refusals: map[string]Refusal{
		"AssumeRole": {Code: "AccessDeniedException", Fraction: 1, Role: testRole},
	}})
	assert.Equal(t, "AccessDeniedException",
		code(func(o *stscreds.AssumeRoleOptions) { o.ExternalID = aws.String("secret") }))
	w.SetFaults(Faults{})
	w.SetDown("sts", true)
	assert.Equal(t, "ServiceUnavailable", code())
}

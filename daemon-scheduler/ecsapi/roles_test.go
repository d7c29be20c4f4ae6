package ecsapi

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/blox/blox/daemon-scheduler/environment"
	"github.com/blox/blox/internal/awsconfig"
	"github.com/blox/blox/internal/ecssim"
	"github.com/blox/blox/internal/ratelimit"
)

var deployer = environment.Role{ARN: "arn:aws:iam::123456789012:role/deployer"}

// newRoles returns a client of a simulator that may assume the allowed roles.
func newRoles(t *testing.T, allowed ...string) (*Client, *ecssim.Sim) {
	t.Helper()
	sim := ecssim.New(ecssim.Config{})
	server := httptest.NewServer(sim)
	t.Cleanup(func() { sim.Close(); server.Close() })
	cfg := aws.Config{
		Region: "us-east-1", BaseEndpoint: &server.URL, Credentials: credentials.NewStaticCredentialsProvider("a", "b", ""),
		Retryer:    func() aws.Retryer { return aws.NopRetryer{} },
		HTTPClient: awsconfig.BufferBodies(&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}),
	}
	limits := func() (ratelimit.ECS, ratelimit.CloudWatch) {
		limiter := func() *ratelimit.Limiter { return ratelimit.New(ratelimit.Bucket{Burst: 100, Rate: 100}, 1) }
		return ratelimit.ECS{ClusterReads: limiter(), TaskDefinitionReads: limiter()},
			ratelimit.CloudWatch{DescribeAlarms: limiter()}
	}
	own, alarms := limits()
	client := New(ecs.NewFromConfig(cfg), own)
	client.Alarms = NewAlarms(cloudwatch.NewFromConfig(cfg), alarms)
	return client.WithRoles(RoleConfig{
		STS: sts.NewFromConfig(cfg), Allowed: allowed, NewLimits: limits,
		ECS: ecs.NewFromConfig(cfg), CloudWatch: cloudwatch.NewFromConfig(cfg),
	}), sim
}

func TestFor_CallsWithTheRole(t *testing.T) {
	client, sim := newRoles(t)
	assert.Same(t, client, client.For(environment.Role{}))
	assert.Same(t, client.For(deployer), client.For(deployer))
	_, err := client.For(deployer).Cluster(t.Context(), "default")
	require.NoError(t, err)
	require.NoError(t, sim.PutAlarm("errors", "", ""))
	_, err = client.For(deployer).Alarms.States(t.Context(), []string{"errors"})
	require.NoError(t, err)
	assert.Equal(t, 1, sim.RoleCalls(deployer.ARN, "DescribeClusters"))
	assert.Equal(t, 1, sim.RoleCalls(deployer.ARN, "DescribeAlarms"))
	assert.Equal(t, 1, sim.Calls("AssumeRole"), "clients of a role share its credentials")

	require.NoError(t, sim.RequireExternalID(deployer.ARN, "secret"))
	withID := environment.Role{ARN: deployer.ARN, ExternalID: "secret"}
	_, err = client.For(withID).Cluster(t.Context(), "default")
	require.NoError(t, err)
}

func TestFor_LimitsCallsByAccount(t *testing.T) {
	client, _ := newRoles(t)
	foreign := environment.Role{ARN: "arn:aws:iam::210987654321:role/a"}
	alike := environment.Role{ARN: "arn:aws:iam::210987654321:role/b"}
	client.LearnAccount("arn:aws:ecs:us-east-1:123456789012:cluster/prod")
	assert.Same(t, client.Limits.ClusterReads, client.For(deployer).Limits.ClusterReads)
	assert.NotSame(t, client.Limits.ClusterReads, client.For(foreign).Limits.ClusterReads)
	assert.Same(t, client.For(foreign).Limits.ClusterReads, client.For(alike).Limits.ClusterReads)
}

func TestFor_KeepsABoundedNumberOfClients(t *testing.T) {
	client, _ := newRoles(t)
	first := client.For(environment.Role{ARN: "arn:aws:iam::000000000000:role/first"})
	for n := range maxRoleClients {
		client.For(environment.Role{ARN: fmt.Sprintf("arn:aws:iam::%012d:role/deployer", n+1)})
	}
	assert.Len(t, client.roles.clients, maxRoleClients)
	assert.LessOrEqual(t, len(client.roles.limits), maxRoleClients)
	assert.NotSame(t, first, client.For(environment.Role{ARN: "arn:aws:iam::000000000000:role/first"}))
}

// An error of AssumeRole is about the caller: it must not look like ECS's answer about an instance or a deployment.
func TestFor_ARoleThatCannotBeAssumedConcernsTheCaller(t *testing.T) {
	for name, tc := range map[string]struct {
		allowed []string
		faults  ecssim.Faults
		code    string
	}{
		"access is denied": {nil, ecssim.Faults{Refusals: map[string]ecssim.Refusal{
			"AssumeRole": {Code: "AccessDeniedException", Fraction: 1},
		}}, "AccessDeniedException"},
		"it is not allowed": {[]string{"arn:aws:iam::*:role/other-?"}, ecssim.Faults{}, "RoleNotAllowed"},
	} {
		t.Run(name, func(t *testing.T) {
			client, sim := newRoles(t, tc.allowed...)
			sim.SetFaults(tc.faults)
			_, outcome := client.For(deployer).StartTask(t.Context(), &ecs.StartTaskInput{
				Cluster: aws.String("default"), TaskDefinition: aws.String("agent"), ContainerInstances: []string{"i1"},
			})
			assert.Equal(t, NotSent, outcome.Class)
			assert.Equal(t, ScopeCaller, outcome.Scope)
			assert.Equal(t, deployer.ARN, outcome.Role)
			assert.Equal(t, tc.code, outcome.Code)
			assert.False(t, outcome.DeniesAccess(), "the deployment's access is not denied")
			assert.Zero(t, sim.Calls("StartTask"))
			_, err := client.For(deployer).Cluster(t.Context(), "default")
			require.ErrorIs(t, err, environment.ErrRoleNotAssumed)
			read, called := OfError(err)
			assert.True(t, called)
			assert.Equal(t, deployer.ARN, read.Role)
			assert.LessOrEqual(t, sim.Calls("AssumeRole"), 1, "it backs off")
		})
	}
	client, sim := newRoles(t)
	sim.SetDown("sts", true)
	_, err := client.For(deployer).Cluster(t.Context(), "default")
	require.ErrorIs(t, err, environment.ErrECSUnavailable, "a retry may succeed")
	require.NotErrorIs(t, err, environment.ErrRoleNotAssumed)
}

func TestMatchesPattern_HasTheWildcardsOfIAM(t *testing.T) {
	for pattern, matches := range map[string]bool{
		"*": true, "arn:aws:iam::123456789012:role/deployer": true, "arn:aws:iam::*:role/*": true,
		"arn:aws:iam::123456789012:role/deploye?": true, "arn:aws:iam::123456789012:role/deployer?": false,
		"arn:aws:iam::123456789012:role/": false, "": false, "*other*": false, "*ploy*": true,
	} {
		assert.Equal(t, matches, matchesPattern(pattern, deployer.ARN), pattern)
	}
}

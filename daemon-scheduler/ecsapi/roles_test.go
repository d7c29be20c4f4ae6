package ecsapi

import (
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/blox/blox/daemon-scheduler/environment"
	"github.com/blox/blox/internal/ecserrors"
	"github.com/blox/blox/internal/ecssim"
)

var deployer = environment.Role{ARN: "arn:aws:iam::123456789012:role/deployer"}

func TestFor_CallsWithTheRole(t *testing.T) {
	clients, sim := newClients(t)
	assert.Same(t, clients.Of(Caller{}), clients.For(environment.Role{}, "prod"))
	assert.Same(t, clients.For(deployer, ""), clients.For(deployer, ""))
	_, err := clients.For(deployer, "").Cluster(t.Context(), "default")
	require.NoError(t, err)
	require.NoError(t, sim.PutAlarm("errors", "", ""))
	_, err = clients.For(deployer, "").Alarms.States(t.Context(), []string{"errors"})
	require.NoError(t, err)
	assert.Equal(t, 1, sim.RoleCalls(deployer.ARN, "DescribeClusters"))
	assert.Equal(t, 1, sim.RoleCalls(deployer.ARN, "DescribeAlarms"))
	assert.Equal(t, 1, sim.Calls("AssumeRole"), "clients of a role share its credentials")

	require.NoError(t, sim.RequireExternalID(deployer.ARN, "secret"))
	withID := environment.Role{ARN: deployer.ARN, ExternalID: "secret"}
	_, err = clients.For(withID, "").Cluster(t.Context(), "default")
	require.NoError(t, err)
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
			clients, sim := newClients(t, tc.allowed...)
			sim.SetFaults(tc.faults)
			_, outcome := clients.For(deployer, "").StartTask(t.Context(), &ecs.StartTaskInput{
				Cluster: aws.String("default"), TaskDefinition: aws.String("agent"), ContainerInstances: []string{"i1"},
			})
			assert.Equal(t, ecserrors.NotSent, outcome.Class)
			assert.Equal(t, ecserrors.ScopeCaller, outcome.Scope)
			assert.Equal(t, deployer.ARN, outcome.Role)
			assert.Equal(t, tc.code, outcome.Code)
			assert.False(t, outcome.DeniesAccess(), "the deployment's access is not denied")
			assert.Zero(t, sim.Calls("StartTask"))
			_, err := clients.For(deployer, "").Cluster(t.Context(), "default")
			require.ErrorIs(t, err, environment.ErrRoleNotAssumed)
			read, called := ecserrors.OfError(err)
			assert.True(t, called)
			assert.Equal(t, deployer.ARN, read.Role)
			assert.LessOrEqual(t, sim.Calls("AssumeRole"), 1, "it backs off")
		})
	}
	clients, sim := newClients(t)
	sim.SetDown("sts", true)
	_, err := clients.For(deployer, "").Cluster(t.Context(), "default")
	require.ErrorIs(t, err, environment.ErrSTSUnavailable, "a retry may succeed")
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

// IAM may revoke a role's sessions long before they expire.
func TestFor_RenewsCredentialsThatAWSRefuses(t *testing.T) {
	clients, sim := newClients(t)
	cluster := func() error {
		_, err := clients.For(deployer, "").Cluster(t.Context(), "default")
		return err
	}
	require.NoError(t, cluster())
	sim.ExpireRoles()
	require.ErrorIs(t, cluster(), environment.ErrECSCredentialsExpired)
	require.NoError(t, cluster())
	assert.Equal(t, 2, sim.Calls("AssumeRole"))
}

package ecsapi

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/blox/blox/daemon-scheduler/environment"
	"github.com/blox/blox/internal/awsconfig"
	"github.com/blox/blox/internal/ecssim"
	"github.com/blox/blox/internal/ratelimit"
)

const (
	ownAccount, otherAccount = "123456789012", "210987654321"
	ownRegion, otherRegion   = "us-east-1", "eu-west-1"
)

var foreigner = environment.Role{ARN: "arn:aws:iam::" + otherAccount + ":role/deployer"}

func clusterIn(account, region string) string {
	return "arn:aws:ecs:" + region + ":" + account + ":cluster/prod"
}

// newClients returns clients of a simulator that may assume the allowed roles.
func newClients(t *testing.T, allowed ...string) (*Clients, *ecssim.Sim) {
	t.Helper()
	sim := ecssim.New(ecssim.Config{})
	t.Cleanup(sim.Close)
	return clientsOf(t, sim, allowed...), sim
}

// clientsOf returns clients of AWS, with the region and the account of the simulator's defaults.
func clientsOf(t *testing.T, aws http.Handler, allowed ...string) *Clients {
	t.Helper()
	server := httptest.NewServer(aws)
	t.Cleanup(server.Close)
	cfg := configAt(server.URL)
	limiter := func() *ratelimit.Limiter { return ratelimit.New(ratelimit.Bucket{Burst: 100, Rate: 100}, 1) }
	return NewClients(Config{
		ECS: ecs.NewFromConfig(cfg), CloudWatch: cloudwatch.NewFromConfig(cfg), STS: sts.NewFromConfig(cfg),
		AllowedRoles: allowed,
		NewLimits: func() ratelimit.Limits {
			return ratelimit.Limits{
				ECS:    ratelimit.ECS{ClusterReads: limiter(), TaskDefinitionReads: limiter()},
				Alarms: ratelimit.CloudWatch{DescribeAlarms: limiter()},
			}
		},
	})
}

func configAt(url string) aws.Config {
	return aws.Config{
		Region: ownRegion, BaseEndpoint: &url, Credentials: credentials.NewStaticCredentialsProvider("a", "b", ""),
		Retryer:    func() aws.Retryer { return aws.NopRetryer{} },
		HTTPClient: awsconfig.BufferBodies(&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}),
	}
}

// fourPlaces returns simulators of two accounts and two regions, each with a cluster prod, and clients of all.
func fourPlaces(t *testing.T) (clients *Clients, sims map[string]*ecssim.Sim) {
	t.Helper()
	sims = map[string]*ecssim.Sim{}
	var all []*ecssim.Sim
	for _, account := range []string{ownAccount, otherAccount} {
		for _, region := range []string{ownRegion, otherRegion} {
			sim := ecssim.New(ecssim.Config{Account: account, Region: region})
			t.Cleanup(sim.Close)
			require.Equal(t, clusterIn(account, region), sim.CreateCluster("prod"))
			sims[clusterIn(account, region)] = sim
			all = append(all, sim)
		}
	}
	return clientsOf(t, ecssim.NewCloud(all[0], all[1:]...)), sims
}

// roleFor returns the role that reaches a cluster.
func roleFor(cluster string) environment.Role {
	if strings.Contains(cluster, otherAccount) {
		return foreigner
	}
	return environment.Role{}
}

func TestFor_CallsTheAccountAndRegionOfTheCluster(t *testing.T) {
	clients, sims := fourPlaces(t)
	for cluster, sim := range sims {
		client := clients.For(roleFor(cluster), cluster)
		assert.Same(t, client, clients.For(roleFor(cluster), cluster))
		found, err := client.Cluster(t.Context(), cluster)
		require.NoError(t, err)
		assert.Equal(t, cluster, found)
		found, err = client.Cluster(t.Context(), "prod")
		require.NoError(t, err)
		assert.Equal(t, cluster, found, "a name is of the client's account and region")
		require.NoError(t, sim.PutAlarm("errors", "", ""))
		_, err = client.Alarms.States(t.Context(), []string{"errors"})
		require.NoError(t, err)
	}
	for cluster, sim := range sims {
		assert.Equal(t, 2, sim.Calls("DescribeClusters"), cluster)
		assert.Equal(t, 1, sim.Calls("DescribeAlarms"), cluster)
	}
	assert.Equal(t, 1, sims[clusterIn(ownAccount, ownRegion)].Calls("AssumeRole"), "regions share the role's credentials")
	found, err := clients.For(environment.Role{}, "prod").Cluster(t.Context(), "prod")
	require.NoError(t, err)
	assert.Equal(t, clusterIn(ownAccount, ownRegion), found)
}

func TestFor_LimitsCallsByAccountAndRegion(t *testing.T) {
	clients, _ := fourPlaces(t)
	reads := func(role environment.Role, cluster string) *ratelimit.Limiter {
		return clients.For(role, cluster).Limits.ClusterReads
	}
	alike := environment.Role{ARN: "arn:aws:iam::" + otherAccount + ":role/other"}
	home, abroad := clusterIn(ownAccount, ownRegion), clusterIn(ownAccount, otherRegion)
	clients.LearnAccount(home)
	assert.Same(t, reads(environment.Role{}, "prod"), reads(environment.Role{}, home))
	assert.Same(t, reads(environment.Role{}, home), reads(deployer, home), "it is the same account")
	assert.Same(t, reads(environment.Role{}, abroad), reads(deployer, abroad))
	assert.NotSame(t, reads(environment.Role{}, home), reads(environment.Role{}, abroad))
	assert.NotSame(t, reads(environment.Role{}, home), reads(foreigner, clusterIn(otherAccount, ownRegion)))
	far := clusterIn(otherAccount, otherRegion)
	assert.Same(t, reads(foreigner, far), reads(alike, far))

	registry := prometheus.NewRegistry()
	registry.MustRegister(clients)
	families, err := registry.Gather()
	require.NoError(t, err)
	require.Len(t, families, 4)
	var places []string
	for _, metric := range families[0].GetMetric() { // of CloudWatch
		places = append(places, metric.GetLabel()[0].GetValue()+" "+metric.GetLabel()[1].GetValue())
	}
	assert.ElementsMatch(t, []string{
		ownAccount + " " + ownRegion, ownAccount + " " + otherRegion,
		otherAccount + " " + ownRegion, otherAccount + " " + otherRegion,
	}, places)
}

func TestFor_KeepsABoundedNumberOfClients(t *testing.T) {
	clients, _ := newClients(t)
	role := func(n int) environment.Role {
		return environment.Role{ARN: fmt.Sprintf("arn:aws:iam::%012d:role/deployer", n)}
	}
	first := clients.For(role(0), "")
	for n := range maxClients {
		clients.For(role(n+1), "")
	}
	assert.Len(t, clients.clients, maxClients)
	assert.LessOrEqual(t, len(clients.limits), maxClients+1)
	assert.LessOrEqual(t, len(clients.roles), maxClients)
	assert.NotSame(t, first, clients.For(role(0), ""))

	later := time.Now().Add(clientRetention + time.Minute)
	clients.client(Caller{Role: deployer}, later)
	assert.Len(t, clients.clients, 1, "the others were not used for long")
	assert.Len(t, clients.roles, 1)
	assert.Len(t, clients.limits, 2, "its own, and those of the scheduler's credentials")
}

func TestCluster_OfAnotherAccountRequiresARole(t *testing.T) {
	clients, sims := fourPlaces(t)
	for _, given := range []string{clusterIn(otherAccount, ownRegion), clusterIn(otherAccount, otherRegion)} {
		_, err := clients.For(environment.Role{}, given).Cluster(t.Context(), given)
		require.ErrorIs(t, err, environment.ErrRoleRequired)
		require.NotErrorIs(t, err, environment.ErrClusterNotFound, "it may exist, and run tasks")
		assert.ErrorContains(t, err, "set role to the ARN of an IAM role of account "+otherAccount)
		assert.Zero(t, sims[given].Calls("DescribeClusters"))
	}
	unknown := "arn:aws:ecs:" + otherRegion + ":" + ownAccount + ":cluster/none"
	_, err := clients.For(environment.Role{}, unknown).Cluster(t.Context(), unknown)
	require.ErrorIs(t, err, environment.ErrClusterNotFound)
}

func TestCluster_OfAnotherPartitionIsRefused(t *testing.T) {
	clients, sim := newClients(t)
	for given, want := range map[string]string{
		"arn:aws-cn:ecs:cn-north-1:123456789012:cluster/prod":        "is of the partition aws-cn, and the credentials",
		"arn:aws-us-gov:ecs:us-gov-west-1:123456789012:cluster/prod": "is of the partition aws-us-gov, and the credentials",
		"arn:aws-iso-b:ecs:us-isob-east-1:123456789012:cluster/prod": "is of the partition aws-iso-b, and the credentials",
		"arn:aws:ecs:cn-north-1:123456789012:cluster/prod":           "region cn-north-1 is of the partition aws-cn",
		"arn:aws-us-gov:ecs:us-east-1:123456789012:cluster/prod":     "region us-east-1 is of the partition aws",
		"arn:aws-eusc:ecs:eusc-de-east-1:123456789012:cluster/prod":  "is of the partition aws-eusc, and the credentials",
	} {
		_, err := clients.For(environment.Role{}, given).Cluster(t.Context(), given)
		require.ErrorIs(t, err, environment.ErrPartitionMismatch, given)
		assert.ErrorContains(t, err, want)
	}
	assert.Zero(t, sim.Calls("DescribeClusters"))
	future := "arn:aws-new:ecs:zz-new-1:123456789012:cluster/prod"
	assert.NoError(t, checkPartition(future, "zz-new-1"), "ECS alone knows new partitions")
}

// A region that the account has not enabled does not know its credentials.
func TestCluster_NamesTheRegionThatRefuses(t *testing.T) {
	clients, _ := fourPlaces(t)
	given := clusterIn(ownAccount, "ap-east-1")
	_, err := clients.For(environment.Role{}, given).Cluster(t.Context(), given)
	require.ErrorIs(t, err, environment.ErrECSCredentialsExpired)
	assert.ErrorContains(t, err, "in region ap-east-1: UnrecognizedClientException")
}

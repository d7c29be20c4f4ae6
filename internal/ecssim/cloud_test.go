package ecssim

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/credentials/stscreds"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// cloudFixture serves three places: the account 111111111111 in two regions, and 222222222222 in one.
type cloudFixture struct {
	t                         *testing.T
	home, otherRegion, member *Sim
	config                    aws.Config
}

const memberRole = "arn:aws:iam::222222222222:role/blox"

func newCloudFixture(t *testing.T) *cloudFixture {
	w := &cloudFixture{
		t: t, home: New(Config{Account: "111111111111", Region: "us-east-1"}),
		otherRegion: New(Config{Account: "111111111111", Region: "eu-west-1"}),
		member:      New(Config{Account: "222222222222", Region: "us-east-1"}),
	}
	server := httptest.NewServer(NewCloud(w.home, w.otherRegion, w.member))
	t.Cleanup(func() {
		for _, s := range []*Sim{w.home, w.otherRegion, w.member} {
			s.Close()
		}
		server.Close()
	})
	w.config = aws.Config{
		Region: "us-east-1", BaseEndpoint: &server.URL, HTTPClient: server.Client(),
		Credentials: credentials.NewStaticCredentialsProvider("any", "thing", ""),
		Retryer:     func() aws.Retryer { return aws.NopRetryer{} },
	}
	return w
}

// client returns a client of a region, with the credentials of a role unless it is empty.
func (w *cloudFixture) client(region, role string) *ecs.Client {
	cfg := w.config.Copy()
	if role != "" {
		cfg.Credentials = aws.NewCredentialsCache(stscreds.NewAssumeRoleProvider(sts.NewFromConfig(w.config), role))
	}
	cfg.Region = region
	return ecs.NewFromConfig(cfg)
}

func (w *cloudFixture) clusters(client *ecs.Client) []string {
	w.t.Helper()
	out, err := client.ListClusters(w.t.Context(), &ecs.ListClustersInput{})
	require.NoError(w.t, err)
	return out.ClusterArns
}

func TestCloud_RoutesByRegionAndAccount(t *testing.T) {
	t.Parallel()
	w := newCloudFixture(t)
	assert.Equal(t, []string{"arn:aws:ecs:us-east-1:111111111111:cluster/default"}, w.clusters(w.client("us-east-1", "")))
	assert.Equal(t, []string{"arn:aws:ecs:eu-west-1:111111111111:cluster/default"}, w.clusters(w.client("eu-west-1", "")))
	member := w.client("us-east-1", memberRole)
	assert.Equal(t, []string{"arn:aws:ecs:us-east-1:222222222222:cluster/default"}, w.clusters(member))
	assert.Equal(t, 1, w.member.RoleCalls(memberRole, "ListClusters"))
	assert.Equal(t, 1, w.home.RoleCalls("", "AssumeRole"), "home has the roles")

	_, err := w.client("ap-south-1", "").ListClusters(t.Context(), &ecs.ListClustersInput{})
	assert.ErrorContains(t, err, "The simulator has no account 111111111111 in region ap-south-1.")
}

func TestCloud_EndsTheCredentialsOfARoleEverywhere(t *testing.T) {
	t.Parallel()
	w := newCloudFixture(t)
	member := w.client("us-east-1", memberRole)
	w.clusters(member)
	w.home.ExpireRoles()
	_, err := member.ListClusters(t.Context(), &ecs.ListClustersInput{})
	assert.ErrorContains(t, err, "ExpiredToken")
	w.member.SetFaults(Faults{Refusals: map[string]Refusal{
		"ecs": {Code: "AccessDeniedException", Fraction: 1, Role: memberRole},
	}})
	_, err = w.client("us-east-1", memberRole).ListClusters(t.Context(), &ecs.ListClustersInput{})
	assert.ErrorContains(t, err, "AccessDeniedException")
}

func TestCloud_PassesControlRequestsToTheNamedAccountAndRegion(t *testing.T) {
	t.Parallel()
	w := newCloudFixture(t)
	post := func(query string) (status int, body string) {
		resp, err := http.Post(*w.config.BaseEndpoint+"/_sim/clusters?"+query, "", nil)
		require.NoError(t, err)
		defer resp.Body.Close()
		content, err := io.ReadAll(resp.Body)
		require.NoError(t, err)
		return resp.StatusCode, string(content)
	}
	for query, sim := range map[string]*Sim{
		"name=at-home": w.home, "name=abroad&region=eu-west-1": w.otherRegion,
		"name=of-a-member&account=222222222222": w.member,
	} {
		status, body := post(query)
		require.Equal(t, http.StatusOK, status, body)
		name, _, _ := strings.Cut(strings.TrimPrefix(query, "name="), "&")
		clusters := sim.state("").Clusters
		require.Len(t, clusters, 2)
		assert.True(t, strings.HasSuffix(clusters[1], ":cluster/"+name), clusters[1])
	}
	status, body := post("name=nowhere&region=ap-south-1")
	assert.Equal(t, http.StatusNotFound, status)
	assert.Contains(t, body, "ap-south-1")
	status, _ = post("nam=x&region=eu-west-1")
	assert.Equal(t, http.StatusBadRequest, status)
}

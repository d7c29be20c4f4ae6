package reconcile

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/stretchr/testify/assert"

	"github.com/blox/blox/cluster-state-service/state"
	"github.com/blox/blox/internal/ecssim"
	"github.com/blox/blox/internal/testenv"
)

func TestReconciler_FindsOutItsRegionWithoutClusters(t *testing.T) {
	f := newFixture(t, ecssim.Config{Faults: ecssim.Faults{ServerErrors: map[string]float64{"ListClusters": 1}}})
	r := New(Config{ECS: f.ecs, RegionName: "us-east-1", Interval: time.Hour, Log: testenv.Logger(t)})
	assert.Equal(t, state.Region{Name: "us-east-1"}, r.Region())
	_, err := r.identify(t.Context())
	assert.NoError(t, err)
	assert.Equal(t, state.Region{Account: "123456789012", Name: "us-east-1"}, r.Region())
}

// Credentials may allow to describe some clusters only, and not the default one.
func TestReconciler_FindsOutItsRegionFromListedClusters(t *testing.T) {
	f := newFixture(t, ecssim.Config{Faults: ecssim.Faults{Refusals: map[string]ecssim.Refusal{
		"DescribeClusters": {Code: "AccessDeniedException", Fraction: 1},
	}}})
	r := New(Config{ECS: f.ecs, RegionName: "us-east-1", Interval: time.Hour, Log: testenv.Logger(t)})
	_, err := r.identify(t.Context())
	assert.NoError(t, err)
	assert.Equal(t, "123456789012", r.Region().Account)
}

// ECS may refuse every call that shows the account. STS shows it to any credentials.
func TestReconciler_FindsOutItsAccountFromSTSIfECSRefuses(t *testing.T) {
	denied := ecssim.Refusal{Code: "AccessDeniedException", Fraction: 1}
	f := newFixture(t, ecssim.Config{Faults: ecssim.Faults{Refusals: map[string]ecssim.Refusal{"ecs": denied}}})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, err := w.Write([]byte(`<GetCallerIdentityResponse><GetCallerIdentityResult><Account>210987654321</Account>
			<Arn>arn:aws-cn:sts::210987654321:assumed-role/blox/i-1</Arn></GetCallerIdentityResult></GetCallerIdentityResponse>`))
		assert.NoError(t, err)
	}))
	t.Cleanup(server.Close)
	cfg := Config{ECS: f.ecs, RegionName: "cn-north-1", Interval: time.Hour, Log: testenv.Logger(t)}
	_, err := New(cfg).identify(t.Context())
	assert.ErrorContains(t, err, "AccessDeniedException")
	cfg.STS = sts.New(sts.Options{Region: "cn-north-1", BaseEndpoint: &server.URL, HTTPClient: server.Client(),
		Credentials: credentials.NewStaticCredentialsProvider("any", "thing", "")})
	local, err := New(cfg).identify(t.Context())
	assert.NoError(t, err)
	assert.Equal(t, "arn:aws-cn:ecs:cn-north-1:210987654321:cluster/default", local.String())
}

// The ARN of a role shows the account without a call. An ECS of another account is an error, and never adopted.
func TestReconciler_KnowsTheAccountOfItsRole(t *testing.T) {
	f := newFixture(t, ecssim.Config{})
	r := New(Config{ECS: f.ecs, RegionName: "us-east-1", Partition: "aws", Account: "210987654321", Interval: time.Hour,
		Log: testenv.Logger(t)})
	local, err := r.identify(t.Context())
	assert.NoError(t, err)
	assert.Zero(t, f.Calls("DescribeClusters"))
	assert.ErrorIs(t, r.checkRegion(local, []string{f.CreateCluster("default")}), errRegionChanged)
	assert.Equal(t, state.Region{Account: "210987654321", Name: "us-east-1"}, r.Region())
}

// Credentials that are replaced may be of another account. The lock of the first account must not cover the second.
func TestReconciler_FollowsACredentialChangeToAnotherAccount(t *testing.T) {
	f := newFixture(t, ecssim.Config{})
	f.AddInstances("default", 1)
	next := ecssim.New(ecssim.Config{Account: "999999999999"})
	t.Cleanup(next.Close)
	next.AddInstances("default", 2)
	f.start(Config{Interval: time.Hour, CheckInterval: 50 * time.Millisecond})
	f.awaitState()
	f.serve(next)
	testenv.Eventually(t, func() bool {
		s := f.snapshot()
		return s.Instances.Len() == 3 && s.Leader(state.Region{Account: "999999999999", Name: "us-east-1"}) == "test" &&
			s.Leader(state.Region{Account: "123456789012", Name: "us-east-1"}) == ""
	}, "the other account is not reconciled")
}

package reconcile

import (
	"testing"
	"time"

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

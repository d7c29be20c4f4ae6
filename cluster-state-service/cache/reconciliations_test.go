package cache

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/blox/blox/cluster-state-service/state"
	"github.com/blox/blox/internal/arn"
	"github.com/blox/blox/internal/testenv"
)

const (
	irish  = "arn:aws:ecs:eu-west-1:123456789012:cluster/"
	german = "arn:aws:ecs:eu-central-1:123456789012:cluster/"
)

// reconciled returns the metadata of clusters that were reconciled that many minutes after midnight, or never if the
// number is negative, and of regions.
func reconciled(t *testing.T, clusters map[string]int, regions ...string) map[string]MetadataKey {
	t.Helper()
	metadata := map[string]MetadataKey{}
	put := func(key string, r state.Reconciliation) {
		value, err := json.Marshal(r)
		require.NoError(t, err)
		metadata[key] = ParseMetadataKey(key, string(value), 1)
	}
	for clusterARN, minute := range clusters {
		r := state.Reconciliation{Cluster: clusterARN, Error: "ListTasks: AccessDeniedException"}
		if minute >= 0 {
			r.FinishedAt, r.Error = at(minute), ""
		}
		a, err := arn.Parse(clusterARN)
		require.NoError(t, err)
		put(state.ReconciledKey(a), r)
	}
	for _, region := range regions {
		put(regionOf(region).ReconciledKey(), state.Reconciliation{FinishedAt: at(99)})
	}
	return metadata
}

// regionOf returns a region of the account.
func regionOf(name string) state.Region { return state.Region{Account: "123456789012", Name: name} }

func at(minute int) time.Time { return time.Date(2026, 3, 4, 0, minute, 0, 0, time.UTC) }

func TestReconciliations_DecideWhatCanBeServed(t *testing.T) {
	const complete, failed = "", "Not yet reconciled with ECS: " + irish + "b: ListTasks: AccessDeniedException"
	region := state.ErrNotReconciled.Error()
	for name, tc := range map[string]struct {
		metadata map[string]MetadataKey
		want     map[string]string // error by filter
	}{
		"nothing is reconciled": {nil, map[string]string{"": region, "a": region, irish + "a": region}},
		"one cluster is reconciled, the others are not yet known": {
			reconciled(t, map[string]int{irish + "a": 1}),
			map[string]string{"": region, "a": complete, irish + "a": complete, german + "a": region, "b": region},
		},
		"one cluster failed": {
			reconciled(t, map[string]int{irish + "a": 1, irish + "b": -1}),
			map[string]string{"": region, "a": complete, "b": failed},
		},
		"one cluster failed several times": {
			reconciled(t, map[string]int{irish + "a": 1, irish + "b": -1}, "eu-west-1"),
			map[string]string{"": complete, "a": complete, "b": failed, irish + "b": failed, german + "b": complete,
				"unknown": complete},
		},
		"another region is being reconciled": {
			reconciled(t, map[string]int{irish + "a": 1, german + "a": 1}, "eu-west-1"),
			map[string]string{"": complete, german + "a": complete, german + "b": region, "b": complete},
		},
		"another region is reconciled": {
			reconciled(t, map[string]int{german + "a": 1}, "eu-central-1"),
			map[string]string{"": region, "a": complete, irish + "a": region},
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := newReconciliations(tc.metadata)
			for given, want := range tc.want {
				filter, err := state.ParseClusterFilter(given)
				require.NoError(t, err)
				if err = r.Check(regionOf("eu-west-1"), filter); want == complete {
					assert.NoError(t, err, given)
				} else {
					assert.EqualError(t, err, want, given)
				}
			}
		})
	}
}

func TestReconciliations_CountFromTheOldestCluster(t *testing.T) {
	clusters := map[string]int{irish + "a": 3, irish + "b": 2, irish + "c": -1, german + "a": 1, german + "z": -1}
	r := newReconciliations(reconciled(t, clusters))
	assert.Zero(t, r.At(regionOf("eu-west-1")), "not every cluster was tried")
	r = newReconciliations(reconciled(t, clusters, "eu-west-1", "us-east-1"))
	assert.Equal(t, at(2), r.At(regionOf("eu-west-1")))
	assert.Zero(t, r.At(regionOf("eu-central-1")))
	assert.Equal(t, at(99), r.At(regionOf("us-east-1")), "without clusters, the region's own")
	assert.Equal(t, []string{german + "z", irish + "c"}, r.NotReconciled)
	assert.Equal(t, at(3), r.Of(irish+"a").FinishedAt)
	assert.Zero(t, r.Of(irish+"unknown"))
}

func TestReconciliations_FollowEtcdAndIgnoreMalformedValues(t *testing.T) {
	server := testenv.EtcdServer(t)
	client := server.Client()
	cache := start(t, server, 0)
	put := func(key, value string) *Reconciliations {
		_, err := client.Put(t.Context(), state.ReconcilePrefix+key, value)
		require.NoError(t, err)
		s, err := cache.WaitCurrent(t.Context())
		require.NoError(t, err)
		return s.Reconciliations
	}
	assert.Zero(t, put("123456789012/eu-west-1", "malformed").At(regionOf("eu-west-1")))
	assert.Empty(t, put("123456789012/eu-west-1/a", "malformed").NotReconciled)
	assert.Empty(t, put("123456789012/eu-west-1/a", `{"cluster":"`+irish+`other"}`).NotReconciled)
	assert.Equal(t, []string{irish + "a"}, put("123456789012/eu-west-1/a", `{"cluster":"`+irish+`a"}`).NotReconciled)
	body := `{"cluster":"` + irish + `a","startedAt":"2026-03-04T05:06:06Z","finishedAt":"2026-03-04T05:06:07Z"}`
	assert.Empty(t, put("123456789012/eu-west-1/a", body).NotReconciled)
	assert.Equal(t, time.Date(2026, 3, 4, 5, 6, 6, 0, time.UTC), cache.ReconciledAt(irish+"a"))
}

// Until ECS shows the account, it is the only one whose reconciliations of the region are recorded.
func TestReconciliations_GuessAnUnknownAccountOnlyWithoutAnAlternative(t *testing.T) {
	unknown := state.Region{Name: "eu-west-1"}
	metadata := reconciled(t, map[string]int{irish + "a": 3}, "eu-west-1", "us-east-1")
	assert.Equal(t, at(3), newReconciliations(metadata).At(unknown))
	assert.Zero(t, newReconciliations(metadata).At(state.Region{Account: "999999999999", Name: "eu-west-1"}))
	key := state.Region{Account: "999999999999", Name: "eu-west-1"}.ReconciledKey()
	metadata[key] = ParseMetadataKey(key, `{"finishedAt":"2026-03-04T05:06:07Z"}`, 1)
	assert.Zero(t, newReconciliations(metadata).At(unknown))
}

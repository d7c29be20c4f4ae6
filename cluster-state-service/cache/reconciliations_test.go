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

// sources returns sources of the account's regions, which lists wait for.
func sources(regions ...string) (all []state.Source) {
	for _, name := range regions {
		all = append(all, state.Source{Region: regionOf(name), Awaited: true})
	}
	return all
}

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
			map[string]string{"": region, "a": region, german + "a": complete, irish + "a": region},
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := newReconciliations(tc.metadata)
			for given, want := range tc.want {
				filter, err := state.ParseClusterFilter(given)
				require.NoError(t, err)
				if err = r.Check(sources("eu-west-1"), filter); want == complete {
					assert.NoError(t, err, given)
				} else {
					assert.EqualError(t, err, want, given)
				}
			}
		})
	}
}

// A cluster that is created later has no error yet, but its region was reconciled before.
func TestReconciliations_ANewClusterWaitsForItsFirstReconciliation(t *testing.T) {
	metadata := reconciled(t, map[string]int{irish + "a": 1}, "eu-west-1")
	a, err := arn.Parse(irish + "new")
	require.NoError(t, err)
	value, err := json.Marshal(state.Reconciliation{Cluster: irish + "new"})
	require.NoError(t, err)
	key := state.ReconciledKey(a)
	metadata[key] = ParseMetadataKey(key, string(value), 1)
	r := newReconciliations(metadata)
	for _, given := range []string{"new", irish + "new"} {
		filter, err := state.ParseClusterFilter(given)
		require.NoError(t, err)
		assert.EqualError(t, r.Check(sources("eu-west-1"), filter), "Not yet reconciled with ECS: "+irish+"new")
	}
	assert.NoError(t, r.Check(sources("eu-west-1"), state.ClusterFilter{}))
	assert.Equal(t, []string{irish + "new"}, r.NotReconciled)
}

func TestReconciliations_CountFromTheOldestCluster(t *testing.T) {
	clusters := map[string]int{irish + "a": 3, irish + "b": 2, irish + "c": -1, german + "a": 1, german + "z": -1}
	r := newReconciliations(reconciled(t, clusters))
	assert.Zero(t, r.At(sources("eu-west-1")), "not every cluster was tried")
	r = newReconciliations(reconciled(t, clusters, "eu-west-1", "us-east-1"))
	assert.Equal(t, at(2), r.At(sources("eu-west-1")))
	assert.Zero(t, r.At(sources("eu-central-1")))
	assert.Equal(t, at(99), r.At(sources("us-east-1")), "without clusters, the region's own")
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
	assert.Zero(t, put("123456789012/eu-west-1", "malformed").At(sources("eu-west-1")))
	assert.Empty(t, put("123456789012/eu-west-1/a", "malformed").NotReconciled)
	assert.Empty(t, put("123456789012/eu-west-1/a", `{"cluster":"`+irish+`other"}`).NotReconciled)
	assert.Equal(t, []string{irish + "a"}, put("123456789012/eu-west-1/a", `{"cluster":"`+irish+`a"}`).NotReconciled)
	body := `{"cluster":"` + irish + `a","startedAt":"2026-03-04T05:06:06Z","finishedAt":"2026-03-04T05:06:07Z"}`
	assert.Empty(t, put("123456789012/eu-west-1/a", body).NotReconciled)
	assert.Equal(t, time.Date(2026, 3, 4, 5, 6, 6, 0, time.UTC), cache.ReconciledAt(irish+"a"))
}

// Until ECS shows the account, it is the only one whose reconciliations of the region are recorded.
func TestReconciliations_GuessAnUnknownAccountOnlyWithoutAnAlternative(t *testing.T) {
	unknown := []state.Source{{Region: state.Region{Name: "eu-west-1"}}}
	other := state.Source{Region: state.Region{Account: "999999999999", Name: "eu-west-1"}}
	metadata := reconciled(t, map[string]int{irish + "a": 3}, "eu-west-1", "us-east-1")
	assert.Equal(t, at(3), newReconciliations(metadata).At(unknown))
	assert.Zero(t, newReconciliations(metadata).At([]state.Source{other}))
	key := other.ReconciledKey()
	metadata[key] = ParseMetadataKey(key, `{"finishedAt":"2026-03-04T05:06:07Z"}`, 1)
	assert.Zero(t, newReconciliations(metadata).At(unknown))
	assert.Equal(t, at(3), newReconciliations(metadata).At(append(unknown, other)), "the other account has its own source")
}

// The assumed account may be that of another service that shares etcd. ECS may show any other of the region.
func TestReconciliations_AnAssumedAccountAnswersForNoOther(t *testing.T) {
	const others = "arn:aws:ecs:eu-west-1:999999999999:cluster/"
	r := newReconciliations(reconciled(t, map[string]int{irish + "a": 3}, "eu-west-1"))
	unknown := []state.Source{{Region: state.Region{Name: "eu-west-1"}, Awaited: true}}
	for given, want := range map[string]string{
		"": "", irish + "a": "", irish + "b": "", german + "a": "",
		others + "a": state.ErrNotReconciled.Error(),
	} {
		filter, err := state.ParseClusterFilter(given)
		require.NoError(t, err)
		if err = r.Check(unknown, filter); want == "" {
			assert.NoError(t, err, given)
		} else {
			assert.EqualError(t, err, want, given)
		}
		assert.NoError(t, r.Check(sources("eu-west-1"), filter), "%s: the account is known", given)
	}
}

// A service serves a region of one account and one of another, whose role may be revoked.
func TestReconciliations_AnAccountThatFailsHarmsNoOther(t *testing.T) {
	const ours, theirs = irish, "arn:aws:ecs:eu-west-1:999999999999:cluster/"
	other := state.Region{Account: "999999999999", Name: "eu-west-1"}
	both := append(sources("eu-west-1"), state.Source{Region: other, Awaited: true})
	later := append(sources("eu-west-1"), state.Source{Region: other})
	const waits = "not yet reconciled with ECS"
	const failed = "Not yet reconciled with ECS: " + theirs + "*: assume role: AccessDenied"
	for name, tc := range map[string]struct {
		record  string // of the other region; empty for none
		own     bool   // the service's own region is settled
		sources []state.Source
		want    map[string]string // error by filter; empty for none
		named   bool              // in NotReconciled
	}{
		"it is being reconciled": {
			`{"cluster":"` + theirs + `*"}`, true, both,
			map[string]string{"": waits, ours + "a": "", ours + "b": "", theirs + "a": waits, "a": waits, "b": waits}, true,
		},
		"its record is not written yet": {
			"", true, both,
			map[string]string{"": waits, ours + "a": "", theirs + "a": waits, "a": waits}, false,
		},
		"it has failed": {
			`{"cluster":"` + theirs + `*","error":"assume role: AccessDenied"}`, true, both,
			map[string]string{"": "", ours + "a": "", ours + "b": "", theirs + "a": failed, "a": "", "b": failed}, true,
		},
		"it was added while the service runs": {
			`{"cluster":"` + theirs + `*"}`, true, later,
			map[string]string{"": "", ours + "a": "", theirs + "a": waits, "a": "", "b": waits}, true,
		},
		"it was added, and its record is not written yet": {
			"", true, later, map[string]string{"": "", theirs + "a": waits, "b": waits}, false,
		},
		"both have failed": {
			`{"cluster":"` + theirs + `*","error":"assume role: AccessDenied"}`, false, both,
			map[string]string{"": waits, theirs + "a": failed}, true,
		},
		"it failed after it was reconciled": {
			`{"cluster":"` + theirs + `*","finishedAt":"2026-03-04T00:01:00Z","error":"assume role: AccessDenied"}`, true, both,
			map[string]string{"": "", theirs + "a": "", "b": ""}, false,
		},
	} {
		t.Run(name, func(t *testing.T) {
			metadata := reconciled(t, map[string]int{ours + "a": 1}, "eu-west-1")
			if !tc.own {
				key := regionOf("eu-west-1").ReconciledKey()
				metadata = map[string]MetadataKey{key: ParseMetadataKey(key, `{"cluster":"`+ours+`*","error":"ListClusters: x"}`, 1)}
			}
			if tc.record != "" {
				metadata[other.ReconciledKey()] = ParseMetadataKey(other.ReconciledKey(), tc.record, 1)
			}
			r := newReconciliations(metadata)
			for given, want := range tc.want {
				filter, err := state.ParseClusterFilter(given)
				require.NoError(t, err)
				if err = r.Check(tc.sources, filter); want == "" {
					assert.NoError(t, err, given)
				} else {
					assert.EqualError(t, err, want, given)
				}
			}
			assert.Equal(t, tc.want[""] != "", r.At(tc.sources).IsZero())
			if tc.named {
				assert.Contains(t, r.NotReconciled, theirs+"*")
			} else {
				assert.Empty(t, r.NotReconciled)
			}
		})
	}
}

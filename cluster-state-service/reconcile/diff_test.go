package reconcile

import (
	"testing"
	"time"

	"github.com/go-openapi/swag/conv"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/blox/blox/cluster-state-service/cache"
	"github.com/blox/blox/cluster-state-service/state"
)

var now = time.Date(2026, 3, 4, 12, 0, 0, 0, time.UTC)

func instanceAt(version int64, recorded time.Time, attribute string) state.Instance {
	return state.Instance{
		ARN:        "arn:aws:ecs:eu-west-1:123456789012:container-instance/prod/1",
		ClusterARN: "arn:aws:ecs:eu-west-1:123456789012:cluster/prod",
		Version:    version, Status: "ACTIVE", Attributes: []state.Attribute{{Name: "stack", Value: attribute}},
		RecordedAt: recorded.Format(time.RFC3339),
	}
}

func TestDiff_CorrectsOutdatedRecords(t *testing.T) {
	key, err := instanceAt(1, now, "").Key()
	require.NoError(t, err)
	present := func(version int64, attribute string, inactive bool) []described[state.Instance] {
		return []described[state.Instance]{{
			key: key, entity: instanceAt(version, now, attribute), version: version, value: []byte("new"), inactive: inactive,
		}}
	}
	const revision = 7
	put := []state.Correction{{Key: key, Value: []byte("new"), Revision: revision}}
	remove := []state.Correction{{Key: key, Revision: revision}}
	old, young := now.Add(-6*time.Minute), now.Add(-4*time.Minute)
	for name, tc := range map[string]struct {
		stored  *state.Instance
		present []described[state.Instance]
		missing []state.Key
		want    []state.Correction
		same    bool // want is for a record of the same version
	}{
		"nothing to do": {},
		"a new instance is stored": {
			nil, present(3, "blue", false), nil, []state.Correction{{Key: key, Value: []byte("new")}}, false,
		},
		"a record of the same version may have other fields": {
			conv.Pointer(instanceAt(3, old, "blue")), present(3, "green", false), nil, put, true,
		},
		"a newer version in ECS replaces the record": {
			conv.Pointer(instanceAt(3, old, "blue")), present(4, "blue", false), nil, put, false,
		},
		"a newer version in the store stays": {
			conv.Pointer(instanceAt(5, old, "green")), present(4, "blue", false), nil, nil, false,
		},
		"a missing instance is removed": {
			conv.Pointer(instanceAt(3, old, "")), nil, []state.Key{key}, remove, false,
		},
		"a missing instance that changed recently stays": {
			conv.Pointer(instanceAt(3, young, "")), nil, []state.Key{key}, nil, false,
		},
		"a missing instance that is not stored needs nothing": {
			nil, nil, []state.Key{key}, nil, false,
		},
		"a missing instance without a time is removed": {
			conv.Pointer(instanceAt(3, time.Time{}, "")), nil, []state.Key{key}, remove, false,
		},
		"an inactive instance is removed": {
			conv.Pointer(instanceAt(3, old, "")), present(4, "", true), nil, remove, false,
		},
		"an instance that became inactive recently is updated": {
			conv.Pointer(instanceAt(3, young, "")), present(4, "", true), nil, put, false,
		},
		"an unknown inactive instance is not stored": {
			nil, present(4, "", true), nil, nil, false,
		},
	} {
		t.Run(name, func(t *testing.T) {
			stored := cache.NewInstances()
			if tc.stored != nil {
				stored.Put(&cache.Entry[state.Instance]{
					Key: key.String(), Entity: *tc.stored, Version: tc.stored.Version, Revision: revision,
				})
			}
			corrections, sameVersion := Diff(stored, tc.present, tc.missing, removal{now: now})
			if tc.same {
				corrections, sameVersion = sameVersion, corrections
			}
			assert.Equal(t, tc.want, corrections)
			assert.Empty(t, sameVersion)
		})
	}
}

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
	}{
		"nothing to do": {},
		"a new instance is stored": {
			nil, present(3, "blue", false), nil, []state.Correction{{Key: key, Value: []byte("new")}},
		},
		"an equal record stays": {
			conv.Pointer(instanceAt(3, old, "blue")), present(3, "blue", false), nil, nil,
		},
		"a newer version in ECS replaces the record": {
			conv.Pointer(instanceAt(3, old, "blue")), present(4, "blue", false), nil, put,
		},
		"a newer version in the store stays": {
			conv.Pointer(instanceAt(5, old, "green")), present(4, "blue", false), nil, nil,
		},
		"a change without a new version replaces the record": {
			conv.Pointer(instanceAt(3, old, "blue")), present(3, "green", false), nil, put,
		},
		"a missing instance is removed": {
			conv.Pointer(instanceAt(3, old, "")), nil, []state.Key{key}, remove,
		},
		"a missing instance that changed recently stays": {
			conv.Pointer(instanceAt(3, young, "")), nil, []state.Key{key}, nil,
		},
		"a missing instance that is not stored needs nothing": {
			nil, nil, []state.Key{key}, nil,
		},
		"a missing instance without a time is removed": {
			conv.Pointer(instanceAt(3, time.Time{}, "")), nil, []state.Key{key}, remove,
		},
		"an inactive instance is removed": {
			conv.Pointer(instanceAt(3, old, "")), present(4, "", true), nil, remove,
		},
		"an instance that became inactive recently is updated": {
			conv.Pointer(instanceAt(3, young, "")), present(4, "", true), nil, put,
		},
		"an unknown inactive instance is not stored": {
			nil, present(4, "", true), nil, nil,
		},
	} {
		t.Run(name, func(t *testing.T) {
			stored := cache.NewInstances()
			if tc.stored != nil {
				stored.Put(&cache.Entry[state.Instance]{
					Key: key.String(), Entity: *tc.stored, Version: tc.stored.Version, Revision: revision,
				})
			}
			assert.Equal(t, tc.want, Diff(stored, tc.present, tc.missing, now))
		})
	}
}

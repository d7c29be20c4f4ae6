package store

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/blox/blox/cluster-state-service/state"
	"github.com/blox/blox/internal/testenv"
)

// instanceRecord returns the state change event of an instance, without its health.
func instanceRecord(t *testing.T, version string) state.Record {
	t.Helper()
	value := testenv.Event(t, "instance-active.json", `"version": 14`, `"version": `+version)
	instance, err := state.DecodeInstance(value)
	require.NoError(t, err)
	key, err := instance.Key()
	require.NoError(t, err)
	return state.Record{Key: key, Version: instance.Version, Value: value}
}

// health returns the health change event of that instance, some minutes after the first.
func health(t *testing.T, status string, minutes int) state.Record {
	t.Helper()
	change, err := state.DecodeHealthChange(testenv.Event(t, "instance-health-impaired.json"))
	require.NoError(t, err)
	at, err := time.Parse(time.RFC3339, change.Health.ChangedAt)
	require.NoError(t, err)
	change.Health.OverallStatus = status
	change.Health.ChangedAt = at.Add(time.Duration(minutes) * time.Minute).Format(time.RFC3339)
	return state.Record{Key: change.Key, Health: &change.Health}
}

func storedInstance(t *testing.T, client *clientv3.Client, key state.Key) (state.Instance, int64) {
	t.Helper()
	value, revision := stored(t, client, key.String())
	instance, err := state.DecodeInstance([]byte(value))
	require.NoError(t, err)
	return instance, revision
}

// A health change has no version. It changes the health alone, in the order of time, and later events keep it.
func TestRecord_MergesHealthChanges(t *testing.T) {
	client := testenv.Etcd(t)
	s := New(client, nothingStored, nil) // each guess is wrong, so the store reads the health that it carries
	record := func(records ...state.Record) {
		t.Helper()
		require.NoError(t, s.Record(t.Context(), records))
	}
	first := instanceRecord(t, "14")
	record(health(t, "IMPAIRED", 0))
	value, _ := stored(t, client, first.Key.String())
	assert.Empty(t, value, "an unknown instance is not created from its health")

	record(first)
	before, _ := storedInstance(t, client, first.Key)
	assert.Empty(t, before.HealthStatus)
	record(health(t, "IMPAIRED", 0))
	impaired, revision := storedInstance(t, client, first.Key)
	assert.Equal(t, "IMPAIRED", impaired.HealthStatus.OverallStatus)
	without := impaired
	without.HealthStatus = state.HealthStatus{}
	assert.Equal(t, before, without, "nothing else changes")

	record(health(t, "IMPAIRED", 0), instanceRecord(t, "13"))
	record(health(t, "OK", -1))
	_, unchanged := storedInstance(t, client, first.Key)
	assert.Equal(t, revision, unchanged, "duplicates and late events change nothing")

	record(instanceRecord(t, "15"))
	later, _ := storedInstance(t, client, first.Key)
	assert.EqualValues(t, 15, later.Version)
	assert.Equal(t, "IMPAIRED", later.HealthStatus.OverallStatus, "state change events do not contain the health")

	record(health(t, "OK", 5))
	record(instanceRecord(t, "16"))
	record(health(t, "IMPAIRED", 1))
	recovered, _ := storedInstance(t, client, first.Key)
	assert.Equal(t, "OK", recovered.HealthStatus.OverallStatus)
}

// Describe's answer is as of its call.
func TestRecord_KeepsNewerHealthOfDescribe(t *testing.T) {
	client := testenv.Etcd(t)
	s := New(client, nothingStored, nil)
	described := instanceRecord(t, "14")
	described.Value = testenv.Event(t, "instance-active.json", `"detail": {`,
		`"detail": {"healthStatus":{"overallStatus":"IMPAIRED"},`)
	instance, err := state.DecodeInstance(described.Value)
	require.NoError(t, err)
	at, err := time.Parse(time.RFC3339, instance.RecordedAt)
	require.NoError(t, err)
	event, err := time.Parse(time.RFC3339, health(t, "OK", 0).Health.ChangedAt)
	require.NoError(t, err)
	minutes := int(at.Sub(event) / time.Minute)
	require.NoError(t, s.Record(t.Context(), []state.Record{described}))
	require.NoError(t, s.Record(t.Context(), []state.Record{health(t, "OK", minutes-1)}))
	got, _ := storedInstance(t, client, described.Key)
	assert.Equal(t, "IMPAIRED", got.HealthStatus.OverallStatus)
	require.NoError(t, s.Record(t.Context(), []state.Record{instanceRecord(t, "15")}))
	got, _ = storedInstance(t, client, described.Key)
	assert.Equal(t, "IMPAIRED", got.HealthStatus.OverallStatus, "an impairment is carried")
	require.NoError(t, s.Record(t.Context(), []state.Record{health(t, "OK", minutes+1)}))
	got, _ = storedInstance(t, client, described.Key)
	assert.Equal(t, "OK", got.HealthStatus.OverallStatus)
}

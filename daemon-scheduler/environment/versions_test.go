package environment

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// writer is a version of Blox that adds a completed deployment to an environment's record.
type writer func(t *testing.T, record []byte, id string, at time.Time) []byte

// thisVersion numbers deployments.
func thisVersion(t *testing.T, record []byte, id string, at time.Time) []byte {
	t.Helper()
	e := read(t, string(record))
	e = e.addDeployment(Deployment{ID: id, TaskDefinition: "td of " + id, Revision: 1}, at)
	return encoded(t, completed(e, id, at))
}

// olderVersion does not know sequence numbers, and keeps the fields that it does not know.
func olderVersion(t *testing.T, record []byte, id string, at time.Time) []byte {
	t.Helper()
	return withUnnumbered(t, record, id, at, func(map[string]any) {})
}

// v03Version drops the fields that it does not know.
func v03Version(t *testing.T, record []byte, id string, at time.Time) []byte {
	t.Helper()
	return withUnnumbered(t, record, id, at, func(fields map[string]any) {
		delete(fields, "LastSequence")
		for _, d := range fields["Deployments"].(map[string]any) {
			for _, field := range []string{"Sequence", "RolloutState", "RolloutStartedAt", "Revision"} {
				delete(d.(map[string]any), field)
			}
		}
	})
}

// withUnnumbered returns the record after a change and with another deployment.
func withUnnumbered(
	t *testing.T, record []byte, id string, at time.Time, change func(fields map[string]any),
) []byte {
	t.Helper()
	var fields map[string]any
	require.NoError(t, json.Unmarshal(record, &fields))
	change(fields)
	fields["InProgressDeploymentID"] = id
	fields["Deployments"].(map[string]any)[id] = map[string]any{
		"ID": id, "Status": Completed, "TaskDefinition": "td of " + id, "StartTime": at, "EndTime": at,
	}
	return encoded(t, fields)
}

func encoded(t *testing.T, record any) []byte {
	t.Helper()
	data, err := json.Marshal(record)
	require.NoError(t, err)
	return data
}

// The clock of the version that writes no sequence numbers is behind.
func TestHistory_StaysCausalAfterADowngrade(t *testing.T) {
	for name, older := range map[string]writer{"an older version": olderVersion, "v0.3": v03Version} {
		t.Run(name, func(t *testing.T) {
			record := encoded(t, New("logs", "arn:cluster", "arn:td:1", token1))
			record = thisVersion(t, record, first, now)
			record = thisVersion(t, record, second, now.Add(time.Minute))
			record = older(t, record, third, now.Add(-time.Hour))
			assert.Equal(t, []string{third, second, first}, historyIDs(read(t, string(record))))
			record = thisVersion(t, record, "fourth", now.Add(-2*time.Hour))
			record = older(t, record, "fifth", now.Add(-time.Hour+time.Minute))
			assert.Equal(t, "fifth", historyIDs(read(t, string(record)))[0])
		})
	}
}

// Replicas of two versions share etcd during a rolling upgrade. The clocks of this version's replicas differ.
func TestHistory_StaysCausalDuringARollingUpgrade(t *testing.T) {
	for seed := range uint64(200) {
		r := rand.New(rand.NewPCG(seed, 4))
		record := encoded(t, New("logs", "arn:cluster", "arn:td:1", token1))
		want := []string{}
		for n := range 2 + r.IntN(12) {
			id := fmt.Sprintf("d%02d", n)
			if n > 0 && r.IntN(2) == 0 {
				record = olderVersion(t, record, id, now.Add(time.Duration(n-60)*time.Minute))
			} else {
				record = thisVersion(t, record, id, now.Add(time.Duration(r.IntN(7200)-3600)*time.Second))
			}
			want = append([]string{id}, want...)
			e := read(t, string(record))
			current, _ := e.Current()
			require.Equal(t, id, current.ID, "seed %d", seed)
			require.Equal(t, want, historyIDs(e), "seed %d", seed)
		}
	}
}

func TestHistory_DeploymentsFromBeforeSequencesPrecedeNumberedOnes(t *testing.T) {
	e := read(t, `{"Deployments":{"old":{"Status":2,"StartTime":"2030-01-01T00:00:00Z"},`+
		`"new":{"Status":2,"Sequence":1,"StartTime":"2020-01-01T00:00:00Z"}}}`)
	assert.Equal(t, []string{"new", "old"}, historyIDs(e))
}

func TestHistory_OrdersUnnumberedDeploymentsByWhatTheRecordKnows(t *testing.T) {
	const pattern = `{"InProgressDeploymentID":"b","PendingDeploymentID":%q,"Deployments":{` +
		`"a":{"Status":0,"StartTime":"2017-01-01T00:00:00Z"},"b":{"Status":2,"StartTime":"2017-01-02T00:00:00Z"},` +
		`"c":{"Status":2,"StartTime":"2017-01-03T00:00:00Z"},` +
		`"d":{"Status":2,"RolloutState":"STOPPED","StartTime":"2017-01-04T00:00:00Z"}}}`
	e := read(t, fmt.Sprintf(pattern, "a"))
	assert.Equal(t, map[string]int64{"c": 1, "b": 2, "d": 3, "a": 4}, sequences(e), "d has not started")
	assert.EqualValues(t, 4, e.LastSequence)
	assert.Equal(t, map[string]int64{"a": 1, "c": 2, "b": 3, "d": 4}, sequences(read(t, fmt.Sprintf(pattern, "c"))))
}

func sequences(e Environment) map[string]int64 {
	of := map[string]int64{}
	for id, d := range e.Deployments {
		of[id] = d.Sequence
	}
	return of
}

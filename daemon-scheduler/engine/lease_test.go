package engine

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/blox/blox/daemon-scheduler/environment"
	"github.com/blox/blox/daemon-scheduler/store"
)

// deposed is the term of a leader whose lease has expired, and whose key etcd still has.
var deposed = store.Term{Key: "leader", Until: func() time.Time { return time.Time{} }}

func TestStartTask_SendsNothingAfterTheLeaseExpired(t *testing.T) {
	r, records, fake := newReconciliation(t, deposed)
	require.ErrorIs(t, r.startBatch(t.Context(), startsOn("i1")), errLeaseExpired)
	assert.Zero(t, fake.otherCalls.Load())
	assert.Empty(t, storedLaunches(t, records), "the announcement is withdrawn")
}

func TestReadiness_SendsNothingAfterTheLeaseExpired(t *testing.T) {
	for _, change := range []attributeChange{attributeSet, attributeRemoved} {
		t.Run(string(change), func(t *testing.T) {
			r, records, fake := newReconciliation(t, deposed)
			readiness := &readinessReconciliation{
				Engine: r.Engine, ECS: r.ECS, leader: r.leader, log: r.log, cluster: "c",
			}
			attributes := []environment.ReadinessAttribute{{Name: "ready", Instance: "i1", Cluster: "c"}}
			require.ErrorIs(t, readiness.changeBatch(t.Context(), change, attributes), errLeaseExpired)
			assert.Zero(t, fake.otherCalls.Load())
			stored, _, err := records.Scan(t.Context(), store.AttributePrefix)
			require.NoError(t, err)
			assert.Empty(t, stored, "the announcement is withdrawn")
		})
	}
}

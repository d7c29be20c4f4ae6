package clusterstate

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/blox/blox/daemon-scheduler/environment"
)

func TestAgentTracker_RemembersTheStartOfEachLoss(t *testing.T) {
	var tracker AgentTracker
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	lost := environment.Instance{ARN: "i1", Status: "ACTIVE"}
	found := environment.Instance{ARN: "i1", Status: "ACTIVE", AgentConnected: true}
	gone := environment.Instance{ARN: "i2", Status: "INACTIVE"}
	observe := func(after time.Duration, instances ...environment.Instance) map[string]time.Time {
		tracker.Observe("prod", instances, at.Add(after))
		return tracker.DisconnectedSince("prod")
	}
	assert.Empty(t, observe(0, found))
	assert.Equal(t, map[string]time.Time{"i1": at.Add(time.Minute)}, observe(time.Minute, lost, gone))
	assert.Equal(t, map[string]time.Time{"i1": at.Add(time.Minute)}, observe(time.Hour, lost))
	assert.Empty(t, tracker.DisconnectedSince("other"))
	assert.Empty(t, observe(2*time.Hour, found))
	assert.Equal(t, map[string]time.Time{"i1": at.Add(3 * time.Hour)}, observe(3*time.Hour, lost), "a new loss")
	assert.Empty(t, observe(4*time.Hour))
	assert.Empty(t, tracker.byCluster)
}

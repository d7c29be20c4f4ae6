package engine

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/blox/blox/daemon-scheduler/environment"
	"github.com/blox/blox/daemon-scheduler/store"
)

// An instance may improve while the failure of a start there is not known yet.
func TestLeaderState_KnowsImprovementsThatPrecedeTheFailureRecord(t *testing.T) {
	l := newLeaderState(store.Term{})
	l.recordImproved("i1")
	failed := map[string]environment.Launch{
		"i1": {Instance: "i1", State: environment.LaunchFailed}, "i2": {Instance: "i2", State: environment.LaunchFailed},
	}
	assert.Contains(t, l.improvements(failed), "i1")
	assert.NotContains(t, l.improvements(failed), "i2")
	open := map[string]environment.Launch{"i1": {Instance: "i1", State: environment.LaunchOpen}}
	assert.Empty(t, l.improvements(open), "only failed launches are retried")
}

package bench

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/blox/blox/cluster-state-service/ingest"
)

// If the service skipped the events, the figures would be wrong.
func TestLifecycleEvents_AreAcceptedByTheService(t *testing.T) {
	for _, body := range lifecycleEvents(0, 8) {
		record, err := ingest.Decode([]byte(body))
		require.NoError(t, err)
		assert.Contains(t, []string{taskKey(0, 0), taskKey(1, 1)}, record.Key.String())
	}
}

func TestTimestamp_IsReadFromEvent(t *testing.T) {
	_, ok := elapsed([]byte(taskEvent(1, 1, 1, "RUNNING", timestamp())), time.Now())
	assert.True(t, ok)
}

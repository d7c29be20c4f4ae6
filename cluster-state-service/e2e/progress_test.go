package e2e

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/blox/blox/internal/testenv"
)

// The times of the last receive and the newest event show whether events arrive.
func TestReady_ShowsTheNewestEventAndTheLastReceive(t *testing.T) {
	c := newStockedService(t)
	began := time.Now()
	c.sendMessage(string(testenv.Event(t, "task-ec2-stopped.json", "2026-03-04T11:00:02", "2026-03-04T11:00:07")))
	testenv.Eventually(t, func() bool { return c.served()[runningTask] == "STOPPED" })
	answer, _ := c.get("/v1/tasks")
	assert.Equal(t, "2026-03-04T11:00:07.000Z", answer.Header.Get("Blox-Newest-Event-At"))
	received, err := time.Parse(time.RFC3339, answer.Header.Get("Blox-Received-At"))
	require.NoError(t, err)
	assert.WithinRange(t, received, began.Truncate(time.Second), time.Now())

	_, body := c.get("/v1/ready")
	var ready struct{ ReceivedAt, NewestEventAt string }
	require.NoError(t, json.Unmarshal([]byte(body), &ready))
	assert.Equal(t, "2026-03-04T11:00:07.500Z", ready.NewestEventAt)
	assert.NotEmpty(t, ready.ReceivedAt)
}

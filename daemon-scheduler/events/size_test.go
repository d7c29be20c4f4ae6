package events

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/blox/blox/daemon-scheduler/environment"
)

// The README says how large events are, and so how many fit into the bounds.
func TestEvents_HaveTheDocumentedSizes(t *testing.T) {
	arn := func(kind string) string {
		return "arn:aws:ecs:us-east-1:123456789012:" + kind + "/production/0123456789abcdef0123456789abcdef"
	}
	one := environment.Event{
		LastSeenAt: time.Now(), Action: environment.EventTaskReplaced, Environment: "node-exporter",
		Cluster: "arn:aws:ecs:us-east-1:123456789012:cluster/production", Deployment: "01234567-89ab-cdef-0123-456789abcdef",
		TaskDefinition: "arn:aws:ecs:us-east-1:123456789012:task-definition/node-exporter:12", Count: 1,
		Reason: "Replacing a task that stopped.", Revision: 123456789,
		Instances: []environment.EventInstance{{
			Instance: arn("container-instance"), Task: arn("task"), ReplacedTask: arn("task"),
		}},
	}
	merged := one
	for range 30 {
		merged, _ = merged.Merge(one)
	}
	paused := environment.Event{
		LastSeenAt: time.Now(), Action: environment.EventEnvironmentPaused, Environment: "node-exporter",
		Cluster: one.Cluster, Actor: "CN=alice,OU=operations,O=Example", Revision: 123456789,
		TaskDefinition: one.TaskDefinition,
		Changes:        []environment.FieldChange{{Field: "status", Before: "active", After: "paused"}},
	}
	largest := paused
	for n := range 40 {
		largest.Changes = append(largest.Changes, environment.FieldChange{
			Field: fmt.Sprint("deploymentConfiguration.", n), Before: strings.Repeat("x", 500), After: strings.Repeat("y", 500),
		})
	}
	size := func(e environment.Event) int {
		text, err := json.Marshal(e.Truncated())
		require.NoError(t, err)
		return len(text)
	}
	assert.InDelta(t, 700, size(one), 100)
	assert.InDelta(t, 3500, size(merged), 400)
	assert.InDelta(t, 400, size(paused), 100)
	assert.InDelta(t, 13_000, size(largest), 1500)
}

package state

import (
	"fmt"
	"testing"
	"time"
	"unsafe"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/blox/blox/internal/testenv"
)

// Filters and reconciliations must not notice that the cache holds summaries.
func TestTaskSummary_KeepsWhatFiltersRead(t *testing.T) {
	task, err := DecodeTask(testenv.Event(t, "task-ec2-running.json"))
	require.NoError(t, err)
	key, err := task.Key()
	require.NoError(t, err)
	summary := (&TaskSummarizer{}).Summarize(&task, key.String())
	assert.Equal(t, task.ARN, summary.ARN)
	assert.Equal(t, task.LastChanged(), summary.LastChanged())
	for name, value := range map[string]string{
		"status": task.LastStatus, "cluster": task.ClusterARN, "startedBy": task.StartedBy,
		"desiredStatus": task.DesiredStatus, "taskDefinition": task.TaskDefinitionARN,
		"containerInstance": task.ContainerInstanceARN, "launchType": task.LaunchType, "group": task.Group,
		"capacityProviderName": task.CapacityProviderName, "since": task.UpdatedAt, "search": task.AvailabilityZone,
	} {
		f, err := ParseFilter(KindTask, func(parameter string) string {
			if parameter == name {
				return value
			}
			return ""
		})
		require.NoError(t, err, name)
		assert.True(t, f.MatchesTask(&summary), name)
	}
	assert.Equal(t, task.ARN, task.Summary("other").ARN)
}

func TestTaskSummary_HasTheTimesOfTheTask(t *testing.T) {
	for _, task := range []Task{
		{LastStatus: "STOPPED", StoppedAt: "2026-03-04T10:15:30.123456789Z", UpdatedAt: "2026-03-04T10:15:31Z"},
		{LastStatus: "STOPPED", RecordedAt: "2026-03-04T12:15:30+02:00"},
		{LastStatus: "STOPPED"},
		{LastStatus: "RUNNING", StoppedAt: "2026-03-04T10:15:30Z", UpdatedAt: "malformed"},
		{LastStatus: "RUNNING", UpdatedAt: "2026-03-04T10:15:30Z", RecordedAt: "2026-03-05T10:15:30Z"},
	} {
		summary := task.Summary("")
		assert.True(t, task.LastChanged().Equal(summary.LastChanged()), "%+v", task)
		at, ended := task.EndedAt()
		summaryAt, summaryEnded := summary.EndedAt()
		assert.Equal(t, ended, summaryEnded, "%+v", task)
		assert.True(t, at.Equal(summaryAt), "%+v: %s, not %s", task, summaryAt, at)
	}
	future := Task{LastStatus: "RUNNING", UpdatedAt: "9999-12-31T00:00:00Z"}.summary()
	assert.True(t, future.LastChanged().After(time.Now()), "a time that does not fit is not in the past")
	past := Task{LastStatus: "RUNNING", UpdatedAt: "0099-12-31T00:00:00Z"}.summary()
	assert.True(t, past.LastChanged().IsZero())
}

func (t Task) summary() TaskSummary { return t.Summary("") }

func TestTaskSummarizer_SharesEqualValues(t *testing.T) {
	z := &TaskSummarizer{}
	summarize := func(startedBy string) TaskSummary {
		return z.Summarize(&Task{StartedBy: startedBy}, "")
	}
	first, second := summarize(fmt.Sprint("by-", 1)), summarize(fmt.Sprint("by-", 1))
	assert.Same(t, unsafe.StringData(first.StartedBy), unsafe.StringData(second.StartedBy))
	for n := range maxInterned + 1 {
		assert.Equal(t, fmt.Sprint("by-", n), summarize(fmt.Sprint("by-", n)).StartedBy)
	}
	assert.Less(t, len(z.interned), maxInterned)
}

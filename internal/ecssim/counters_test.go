package ecssim

import (
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestCounters_PeaksAndViolations(t *testing.T) {
	w := newFixture(t, Config{StopDelay: 1 << 40})
	w.RegisterTaskDefinition("agent")
	instances := w.AddInstances("default", 2)
	first := w.start("agent", "old", instances...)
	w.start("agent", "new", instances[0])
	counters := w.Counters()
	assert.Equal(t, map[string]int{"old": 1, "new": 1}, counters.PeakByStartedBy)
	assert.Equal(t, map[string]int{"agent": 2}, counters.PeakByFamily)
	assert.Empty(t, counters.Violations)

	_, err := w.ecs.StopTask(w.ctx, &ecs.StopTaskInput{Task: &first[1]})
	require.NoError(t, err)
	second := w.start("agent", "old", instances[1])
	counters = w.Counters()
	assert.Equal(t, 2, counters.PeakByStartedBy["old"], "a task that is stopping is still live")
	require.Len(t, counters.Violations, 1)
	v := counters.Violations[0]
	assert.Equal(t, []any{instances[1], "old", 2, second[0]}, []any{v.InstanceARN, v.StartedBy, v.Live, v.TaskARN})

	require.NoError(t, w.KillTask(first[1], 0))
	require.NoError(t, w.KillTask(second[0], 0))
	w.ResetCounters()
	w.start("agent", "old", instances[1])
	assert.Equal(t, 1, w.Counters().PeakByStartedBy["old"])
	assert.Empty(t, w.Counters().Violations)
}

func TestCounters_FewestRunningAndMostDuplicated(t *testing.T) {
	w := newFixture(t, Config{StopDelay: 1 << 40})
	w.RegisterTaskDefinition("agent")
	instances := w.AddInstances("default", 3)
	first := w.start("agent", "old", instances...)
	assert.Zero(t, w.Counters().FewestRunning["agent"], "no task ran at first")
	w.ResetCounters()
	assert.Equal(t, 3, w.Counters().FewestRunning["agent"])
	second := w.start("agent", "new", instances[0], instances[1])
	require.NoError(t, w.KillTask(first[0], 0)) // the other one still runs
	assert.Equal(t, 3, w.Counters().FewestRunning["agent"])
	assert.Equal(t, 2, w.Counters().MostDuplicated["agent"])
	require.NoError(t, w.KillTask(second[0], 0))
	_, err := w.ecs.StopTask(w.ctx, &ecs.StopTaskInput{Task: &first[2]})
	require.NoError(t, err)
	assert.Equal(t, 1, w.Counters().FewestRunning["agent"], "a stopping task does not count")
	w.start("agent", "new", instances[0])
	assert.Equal(t, 1, w.Counters().FewestRunning["agent"], "the minimum is kept")
	w.ResetCounters()
	assert.Equal(t, 2, w.Counters().FewestRunning["agent"])
	assert.Equal(t, 1, w.Counters().MostDuplicated["agent"])
}

func TestCounters_IgnoreTasksWithoutStartedBy(t *testing.T) {
	w := newFixture(t, Config{})
	w.RegisterTaskDefinition("web")
	instances := w.AddInstances("default", 1)
	for range 2 {
		_, err := w.ecs.StartTask(w.ctx, &ecs.StartTaskInput{
			TaskDefinition: aws.String("web"), ContainerInstances: instances,
		})
		require.NoError(t, err)
	}
	assert.Empty(t, w.Counters().Violations)
	assert.Empty(t, w.Counters().PeakByStartedBy)
	assert.Equal(t, 2, w.Counters().PeakByFamily["web"])
}

package ecssim

import (
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestChanges_ListsTasksInstancesAndRefusedStarts(t *testing.T) {
	w := newFixture(t, Config{Changes: 100, APILimits: true})
	i := w.AddInstances("default", 1)[0]
	definition := w.RegisterTaskDefinition("agent", WithHealthCheck())
	start := func(instance string) error {
		_, err := w.ecs.StartTask(w.ctx, &ecs.StartTaskInput{
			TaskDefinition: &definition, ContainerInstances: []string{instance}, StartedBy: new("me"),
		})
		return err
	}
	require.NoError(t, start(i))
	task := w.Tasks("default")[0].ARN
	_, err := w.ecs.StopTask(w.ctx, &ecs.StopTaskInput{Task: &task, Reason: new("by hand")})
	require.NoError(t, err)

	var statuses []string // of the task
	for n, c := range w.Changes(0) {
		require.Equal(t, n+1, c.Number)
		require.False(t, c.At.IsZero())
		switch {
		case c.Instance != nil:
			assert.Equal(t, i, c.Instance.ARN)
		case c.Task != nil:
			statuses = append(statuses, c.Task.LastStatus+" "+c.Task.DesiredStatus+" "+c.Task.HealthStatus)
			assert.Equal(t, c.Task.DesiredStatus == statusStopped, c.Task.StoppedReason == "by hand")
		}
	}
	assert.Contains(t, statuses, "RUNNING RUNNING HEALTHY", "a change of health has no version, but is listed")
	assert.Contains(t, statuses, "RUNNING STOPPED HEALTHY", "ECS accepted StopTask")
	assert.Equal(t, "STOPPED STOPPED HEALTHY", statuses[len(statuses)-1])

	last := len(w.Changes(0))
	require.NoError(t, start("arn:aws:ecs:us-east-1:123456789012:container-instance/default/none"))
	w.SetFaults(Faults{Refusals: map[string]Refusal{"StartTask": {Code: "AccessDeniedException", Fraction: 1}}})
	require.Error(t, start(i))
	w.SetFaults(Faults{LostResponses: map[string]float64{"StartTask": 1}})
	require.Error(t, start(i))
	var refusals []StartRefusal
	for _, c := range w.Changes(last) {
		if c.Refusal != nil {
			refusals = append(refusals, *c.Refusal)
		}
	}
	assert.Equal(t, []StartRefusal{
		{"me", "arn:aws:ecs:us-east-1:123456789012:container-instance/default/none", "MISSING"},
		{"me", i, "AccessDeniedException"},
	}, refusals[:2], "a lost response is no refusal")
	assert.Len(t, refusals, 2)
	assert.Empty(t, newFixture(t, Config{}).Changes(0))
}
